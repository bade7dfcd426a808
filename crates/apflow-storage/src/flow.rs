//! Limits that hold for everybody, and breakers: the store's part.

use std::collections::HashMap;

use apflow_core::{
    breaker::Breaker,
    flow::{Gate, SharedLimit},
    store::{FlowStore, MAX_SHARED, StoreError},
};
use async_trait::async_trait;

use crate::{
    committer::Job,
    read::Reads,
    rows::Rows,
    rows_flow,
    steps::{self, Effects},
    store::Database,
};

/// One change by hand.
#[derive(Debug)]
pub(crate) enum FlowJob {
    Set(Box<SharedLimit>),
    Delete(String),
    Reset(String),
}

/// Whether there was something before, or why nothing was done.
pub(crate) type FlowCame = Result<bool, &'static str>;

/// Does one job in the open transaction.
pub(crate) async fn carry_out<R: Rows + ?Sized>(
    rows: &mut R,
    job: &FlowJob,
) -> Result<(FlowCame, Effects), StoreError> {
    match job {
        FlowJob::Set(limit) => steps::flow::set_limit(rows, &limit.key, Some(limit)).await,
        FlowJob::Delete(key) => steps::flow::set_limit(rows, key, None).await,
        FlowJob::Reset(key) => {
            let (existed, effects) = steps::flow::reset_breaker(rows, key).await?;
            Ok((Ok(existed), effects))
        }
    }
}

impl<R: Reads> Database<R> {
    async fn change_flow(&self, job: FlowJob) -> Result<bool, StoreError> {
        let came = self.ask(|to| Job::Flow(job, to)).await?;
        came.map_err(|_| {
            let why = format!("there are {MAX_SHARED} shared limits, and no more are kept");
            StoreError::Rejected(vec![why])
        })
    }
}

#[async_trait]
impl<R: Reads> FlowStore for Database<R> {
    async fn limits(&self) -> Result<Vec<(SharedLimit, u32)>, StoreError> {
        let mut gate = Gate::default();
        for facets in self.reads.running_facets().await? {
            if let Some(flow) = steps::flow::flow_in(&facets) {
                gate.count(&flow);
            }
        }
        let running: HashMap<String, u32> = gate.running;
        let rows = self.reads.limits(MAX_SHARED).await?;
        rows.into_iter()
            .map(|row| {
                let limit = rows_flow::limit(row)?;
                let taken = running.get(&limit.key).copied().unwrap_or(0);
                Ok((limit, taken))
            })
            .collect()
    }

    async fn set_limit(&self, limit: SharedLimit) -> Result<(), StoreError> {
        self.change_flow(FlowJob::Set(Box::new(limit))).await.map(drop)
    }

    async fn delete_limit(&self, key: &str) -> Result<bool, StoreError> {
        self.change_flow(FlowJob::Delete(key.to_owned())).await
    }

    async fn breakers(&self, limit: u32) -> Result<Vec<Breaker>, StoreError> {
        self.reads.breakers(limit).await?.into_iter().map(rows_flow::breaker).collect()
    }

    async fn breaker(&self, key: &str) -> Result<Option<Breaker>, StoreError> {
        self.reads.breaker(key).await?.map(rows_flow::breaker).transpose()
    }

    async fn reset_breaker(&self, key: &str) -> Result<bool, StoreError> {
        self.change_flow(FlowJob::Reset(key.to_owned())).await
    }
}
