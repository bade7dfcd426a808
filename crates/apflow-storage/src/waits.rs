//! Parked tasks: what a transaction is asked to do for them, and the store's part.

use apflow_core::{
    id::{TaskId, TreeId},
    store::{
        Answering, Page, Pause, PauseAnswer, Publish, Published, StoreError, WaitFilter,
        WaitRecord, WaitState, WaitStore,
    },
    task::{Definition, WaitFor},
    time::Timestamp,
};
use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    committer::Job,
    read::Reads,
    rows::Rows,
    rows_waits::WaitRow,
    steps::{self, Effects},
    store::Database,
};

/// Something to do about parked tasks.
#[derive(Debug)]
pub(crate) enum WaitJob {
    Answer(Answering),
    Publish(Publish),
    Pause(Pause),
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum WaitCame {
    /// Whether the answer was taken, or why not.
    Answer(Result<(), StoreError>),
    Publish(Published),
    Pause(PauseAnswer),
}

impl WaitJob {
    /// Does it in the open transaction.
    pub(crate) async fn carry_out<R: Rows + ?Sized>(
        &self,
        rows: &mut R,
    ) -> Result<(WaitCame, Effects), StoreError> {
        Ok(match self {
            Self::Answer(answering) => {
                let (came, effects) = steps::answer(rows, answering).await?;
                (WaitCame::Answer(came), effects)
            }
            Self::Publish(event) => {
                let (came, effects) = steps::publish(rows, event).await?;
                (WaitCame::Publish(came), effects)
            }
            Self::Pause(pause) => {
                let (came, effects) = steps::pause(rows, pause).await?;
                (WaitCame::Pause(came), effects)
            }
        })
    }
}

fn unfitting(came: &WaitCame) -> StoreError {
    StoreError::Unavailable { what: format!("an answer that does not fit: {came:?}"), source: None }
}

impl<R: Reads> Database<R> {
    async fn about_waits(&self, job: WaitJob) -> Result<WaitCame, StoreError> {
        self.ask(|to| Job::Wait(Box::new(job), to)).await
    }
}

#[async_trait]
impl<R: Reads> WaitStore for Database<R> {
    async fn waits(&self, filter: &WaitFilter, page: Page) -> Result<Vec<WaitRecord>, StoreError> {
        let rows = self.reads.waits(filter, page).await?;
        let read = |row: WaitRow| match record(row) {
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%error, "a row was left out of a list");
                None
            }
            other => Some(other),
        };
        rows.into_iter().filter_map(read).collect()
    }

    async fn wait(&self, id: &str) -> Result<Option<WaitRecord>, StoreError> {
        self.reads.wait(id).await?.map(record).transpose()
    }

    async fn answer(&self, answering: Answering) -> Result<WaitRecord, StoreError> {
        let id = answering.id.clone();
        match self.about_waits(WaitJob::Answer(answering)).await? {
            WaitCame::Answer(came) => came?,
            other => return Err(unfitting(&other)),
        }
        self.wait(&id).await?.ok_or(StoreError::NoSuchWait { id })
    }

    async fn publish(&self, event: Publish) -> Result<Published, StoreError> {
        match self.about_waits(WaitJob::Publish(event)).await? {
            WaitCame::Publish(published) => Ok(published),
            other => Err(unfitting(&other)),
        }
    }

    async fn pause(&self, pause: Pause) -> Result<PauseAnswer, StoreError> {
        match self.about_waits(WaitJob::Pause(pause)).await? {
            WaitCame::Pause(answer) => Ok(answer),
            other => Err(unfitting(&other)),
        }
    }
}

fn json<T: DeserializeOwned>(column: &str, text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("{column}: {error}"))
}

/// The wait a row stands for.
fn record(row: WaitRow) -> Result<WaitRecord, StoreError> {
    let corrupt =
        |what: String| StoreError::Corrupt { table: "af_waits", row: row.id.clone(), what };
    let answer = match &row.answer {
        Some(text) => json("answer", text).map_err(&corrupt)?,
        None => Value::Null,
    };
    let definition: Definition = json("definition", &row.definition).map_err(&corrupt)?;
    Ok(WaitRecord {
        what: WaitFor::parse(&row.kind).ok_or_else(|| corrupt(format!("kind is {}", row.kind)))?,
        state: WaitState::parse(&row.state)
            .ok_or_else(|| corrupt(format!("state is {}", row.state)))?,
        detail: json("detail", &row.detail).map_err(&corrupt)?,
        on_timeout: json("on_timeout", &row.on_timeout).map_err(&corrupt)?,
        answer,
        id: row.id,
        task: TaskId::new(row.task),
        tree: TreeId::new(row.tree),
        name: definition.name,
        user_id: row.user_id,
        run: u32::try_from(row.run).unwrap_or(u32::MAX),
        key: row.key,
        escalated_to: row.escalated_to,
        answered_by: row.answered_by,
        asked_at: Timestamp(row.asked_at),
        until: row.until.map(Timestamp),
        answered_at: row.answered_at.map(Timestamp),
        page: None,
    })
}
