//! What the tasks of a run share. The rules that hold for whoever keeps channels are those of
//! `apflow_core::testing::channels`; here are also those about runs.

use std::{sync::Arc, time::Duration};

use apflow_core::{
    channel::{Answer, ChannelError, ChannelId, Expect, Op},
    id::{TaskId, TreeId},
    store::{Start, StartScope},
    testing::channels::{self as suite, ChannelBed},
    time::Clock as _,
};
use serde_json::{Value, json};

use super::Bed;

/// The channel of a fresh submission.
async fn fresh(bed: &Bed) -> ChannelBed {
    bed.submit("a; b <a").await;
    let id = channel(bed, "tree-a").await;
    let clock = Arc::clone(&bed.clock);
    let pass = Arc::new(move |time| clock.advance(time));
    ChannelBed { store: bed.store.clone(), id, pass }
}

async fn channel(bed: &Bed, tree: &str) -> ChannelId {
    let found = bed.store.channel_of(&TreeId::new(tree)).await.expect("an answer");
    found.expect("there is such a tree")
}

async fn set(bed: &Bed, id: &ChannelId, value: Value) -> Result<Answer, ChannelError> {
    let op = Op::Set { key: "k".to_owned(), value, ttl: None, expect: Expect::Any };
    bed.store.channel_do(id, op, None).await
}

async fn get(bed: &Bed, id: &ChannelId) -> Result<Option<Value>, ChannelError> {
    match bed.store.channel_do(id, Op::Get { key: "k".to_owned() }, None).await? {
        Answer::Found(entry) => Ok(entry.map(|entry| entry.value)),
        other => panic!("{other:?}"),
    }
}

macro_rules! of_the_suite {
    ($($rule:ident,)*) => {
        $(
            #[doc = "The rule of that name, on a channel of a run."]
            pub async fn $rule(bed: &Bed) {
                suite::$rule(&fresh(bed).await).await;
            }
        )*
    };
}

of_the_suite! {
    a_value_comes_back_as_it_was_written,
    a_write_is_done_only_where_what_it_expects_is_there,
    sums_and_lists_begin_where_nothing_is,
    a_value_is_gone_when_its_time_is_over,
    keys_are_listed_in_order_and_in_pages,
    a_lock_is_held_by_one_and_lost_with_its_time,
    what_is_done_under_a_lost_lock_is_refused,
    spaces_do_not_meet,
    what_cannot_be_kept_is_refused,
    s05_what_is_added_at_once_is_all_there,
    s05_what_is_appended_at_once_is_all_there,
    s05_what_is_done_under_a_lock_is_done_one_after_another,
    a_full_channel_takes_no_more_until_something_goes,
    operations_are_linearizable,
}

/// Trees of one submission share a channel, those of different ones do not.
pub async fn a_submission_has_one_channel(bed: &Bed) {
    bed.submit("x; y").await;
    bed.submit("z").await;
    let (x, y, z) =
        (channel(bed, "tree-x").await, channel(bed, "tree-y").await, channel(bed, "tree-z").await);
    assert_eq!(x, y);
    set(bed, &x, json!(1)).await.expect("written");
    assert_eq!(get(bed, &y).await.expect("read"), Some(json!(1)));
    assert_eq!(get(bed, &z).await.expect("read"), None);
    assert_eq!(bed.store.channel_of(&TreeId::new("nothing")).await.expect("an answer"), None);
    bed.run_all(&[]).await;
}

/// What was put there before the run begins, and what a failed run left, is there.
pub async fn a_run_that_goes_on_keeps_its_channel(bed: &Bed) {
    bed.put("r; a ^r; b ^r <a").await;
    let id = channel(bed, "tree-r").await;
    set(bed, &id, json!("before")).await.expect("written");
    bed.start("r").await.expect("it begins");
    bed.run_all(&["a"]).await;
    bed.begin("r", true).await.expect("it goes on");
    bed.run_all(&[]).await;
    assert_eq!(channel(bed, "tree-r").await, id);
    assert_eq!(get(bed, &id).await.expect("read"), Some(json!("before")));
}

/// A run from nothing has an empty channel, and what is left of the run before cannot write into it.
pub async fn a_run_from_nothing_begins_with_an_empty_channel(bed: &Bed) {
    bed.submit("r; a ^r").await;
    let first = channel(bed, "tree-r").await;
    set(bed, &first, json!(1)).await.expect("written");
    bed.run_all(&[]).await;
    bed.begin("r", true).await.expect("it begins again");
    let second = channel(bed, "tree-r").await;
    assert_eq!(second.pass, first.pass + 1);
    assert_eq!(get(bed, &second).await.expect("read"), None);
    assert!(matches!(set(bed, &first, json!(2)).await, Err(ChannelError::Gone)));
    assert!(matches!(get(bed, &first).await, Err(ChannelError::Gone)));
    let version = |answer| match answer {
        Answer::Written { version, .. } => version,
        other => panic!("{other:?}"),
    };
    let written = set(bed, &second, json!(3)).await.expect("written");
    assert!(version(written) > 1, "no version comes twice");
    bed.run_all(&[]).await;
    let task = TaskId::new("r");
    let (scope, callback) = (StartScope::Afresh, None);
    let again = Start { task, scope, reexecute: false, callback, demo: false };
    bed.store.start(again).await.expect("it begins again");
    assert_eq!(channel(bed, "tree-r").await.pass, first.pass + 2);
    bed.run_all(&[]).await;
}

/// A channel is forgotten with its submission.
pub async fn a_channel_goes_with_its_submission(bed: &Bed) {
    bed.submit("old").await;
    let id = channel(bed, "tree-old").await;
    set(bed, &id, json!(1)).await.expect("written");
    bed.run_all(&[]).await;
    bed.put("never").await;
    let never = channel(bed, "tree-never").await;
    set(bed, &never, json!(1)).await.expect("written");
    let later = bed.clock.now().after(Duration::from_hours(1));
    assert_eq!(bed.store.prune(later, 100).await.expect("pruned"), 1);
    assert_eq!(bed.store.delete(&TaskId::new("never")).await.expect("deleted"), 1);
    for id in [id, never] {
        assert!(matches!(get(bed, &id).await, Err(ChannelError::Gone)));
        assert!(matches!(set(bed, &id, json!(2)).await, Err(ChannelError::Gone)));
        assert_eq!(bed.store.channel_of(&id.tree).await.expect("an answer"), None);
    }
}
