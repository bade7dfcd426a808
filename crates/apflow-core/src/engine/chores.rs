//! What a worker does beside running tasks: recovery at the start, and telling hooks about trees.

use std::{sync::Arc, time::Duration};

use tokio::{sync::broadcast::error::RecvError, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Inner,
    hooks::{self, Tree},
    turn, watch,
};
use crate::{
    store::{EventKind, MAX_LETTERS, Signal, StoreError},
    task::Outcome,
};

/// Takes up what dead processes left running; tries until the store answers.
pub(super) async fn recover(engine: &Inner) {
    let mut failures = 0;
    loop {
        match engine.store.recover().await {
            Ok(0) => return,
            Ok(tasks) => {
                tracing::info!(node = %engine.node, tasks, "took up what dead processes left");
                return;
            }
            Err(error) => {
                failures += 1;
                engine.store_failed("recover", &error);
                sleep(turn::pause(failures, engine.config.store_pause)).await;
            }
        }
    }
}

/// Keys that are forgotten in one transaction.
const KEYS_AT_ONCE: u32 = 500;
/// Dead letters that are dropped in one transaction.
const LETTERS_AT_ONCE: u32 = 1_000;
/// How often it is looked for keys that are old enough.
const LOOK_FOR_KEYS: Duration = Duration::from_hours(1);

/// Forgets idempotency keys and reports of spending whose time is over, and the oldest dead letters of
/// owners who have too many, until told to stop.
pub(super) async fn forget_keys(engine: Arc<Inner>, stop: CancellationToken) {
    loop {
        match engine.store.forget_keys(engine.config.key_retention, KEYS_AT_ONCE).await {
            // There may be more of them.
            Ok(gone) if gone >= u64::from(KEYS_AT_ONCE) && !stop.is_cancelled() => continue,
            Ok(_) => {}
            Err(error) => engine.store_failed("forget idempotency keys", &error),
        }
        match engine.store.forget_usage(engine.config.usage_retention, KEYS_AT_ONCE).await {
            Ok(gone) if gone >= u64::from(KEYS_AT_ONCE) && !stop.is_cancelled() => continue,
            Ok(_) => {}
            Err(error) => engine.store_failed("forget what was spent long ago", &error),
        }
        match engine.store.trim_letters(MAX_LETTERS, LETTERS_AT_ONCE).await {
            Ok(gone) if gone >= u64::from(LETTERS_AT_ONCE) && !stop.is_cancelled() => continue,
            Ok(_) => {}
            Err(error) => engine.store_failed("drop old dead letters", &error),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(LOOK_FOR_KEYS) => {}
        }
    }
}

/// Calls the tree hooks for every run that begins or ends, until told to stop; then for the rest.
pub(super) async fn tell_hooks(engine: Arc<Inner>, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => return,
        () = engine.hooks.any() => {}
    }
    let mut signals = engine.store.signals();
    let mut cursor = None;
    loop {
        if let Err(error) = tell_news(&engine, &mut cursor).await {
            engine.store_failed("read events", &error);
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(engine.config.store_pause.1) => continue,
            }
        }
        if stop.is_cancelled() {
            return;
        }
        let something_changed = async {
            loop {
                match signals.recv().await {
                    Ok(Signal::Changed(_)) | Err(RecvError::Lagged(_)) => return,
                    Ok(Signal::Ready | Signal::Stopped(_) | Signal::Finished(_)) => {}
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = something_changed => {}
            () = sleep(engine.config.back_stop) => {}
        }
    }
}

async fn tell_news(engine: &Inner, cursor: &mut Option<i64>) -> Result<(), StoreError> {
    let mut after = match *cursor {
        Some(cursor) => cursor,
        // Only what happens from now on.
        None => watch::newest(engine.store.as_ref()).await?,
    };
    *cursor = Some(after);
    loop {
        let events = engine.store.events(None, after, watch::PAGE).await?;
        let Some(last) = events.last() else { return Ok(()) };
        after = last.seq;
        *cursor = Some(after);
        for event in &events {
            let what = match event.kind {
                EventKind::RunStarted => Tree::Started,
                EventKind::RunFinished => {
                    let word = event.detail.get("outcome").and_then(serde_json::Value::as_str);
                    let Some(outcome) = word.and_then(Outcome::parse) else { continue };
                    Tree::Finished(outcome)
                }
                _ => continue,
            };
            hooks::tell(&engine.hooks.now(), &event.tree, what).await;
        }
    }
}
