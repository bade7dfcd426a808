//! Tokens, and signatures that must not count twice.

use std::time::Duration;

use apflow_core::{
    store::{ApiToken, Seen, StoreError},
    time::Clock as _,
};

use super::Bed;

const HOUR: Duration = Duration::from_hours(1);

fn token(bed: &Bed, id: &str) -> ApiToken {
    ApiToken {
        id: id.to_owned(),
        name: format!("the token {id}"),
        digest: format!("digest of {id}"),
        user_id: Some("u1".to_owned()),
        admin: false,
        read_only: true,
        created_at: bed.clock.now(),
        expires_at: Some(bed.clock.now().after(HOUR)),
        last_used_at: None,
        revoked_at: None,
    }
}

async fn find(bed: &Bed, id: &str) -> ApiToken {
    let found = bed.store.token(&format!("digest of {id}")).await.expect("an answer");
    found.expect("it is there")
}

/// A token is found by its digest and by nothing else.
pub async fn a_token_comes_back_as_it_was_stored(bed: &Bed) {
    let one = token(bed, "one");
    bed.store.add_token(one.clone()).await.expect("stored");
    bed.clock.advance(HOUR);
    let admin = ApiToken {
        user_id: None,
        admin: true,
        read_only: false,
        expires_at: None,
        ..token(bed, "two")
    };
    bed.store.add_token(admin.clone()).await.expect("stored");
    assert_eq!(find(bed, "one").await, one);
    assert_eq!(bed.store.tokens().await.expect("a list"), [one, admin]);
    for digest in ["", "one", "the token one", "digest of ONE"] {
        assert_eq!(bed.store.token(digest).await.expect("an answer"), None, "{digest}");
    }
}

/// Names are how people tell tokens apart.
pub async fn a_taken_name_is_refused_and_the_first_token_stays(bed: &Bed) {
    bed.store.add_token(token(bed, "one")).await.expect("stored");
    let same_name = ApiToken { name: token(bed, "one").name, ..token(bed, "two") };
    for taken in [token(bed, "one"), same_name] {
        let error = bed.store.add_token(taken).await.expect_err("it is taken");
        let StoreError::Rejected(reasons) = &error else { panic!("{error:?}") };
        assert!(reasons[0].contains("the token one"), "{error}");
    }
    assert_eq!(bed.store.tokens().await.expect("a list").len(), 1);
}

/// Taking the last token back must not open the door.
pub async fn a_token_that_was_taken_back_still_counts_as_one(bed: &Bed) {
    assert!(!bed.store.has_tokens().await.expect("an answer"));
    bed.store.add_token(token(bed, "one")).await.expect("stored");
    assert!(bed.store.has_tokens().await.expect("an answer"));
    let now = bed.clock.now();
    assert!(find(bed, "one").await.works(now));
    assert!(!bed.store.forget_token("one", now).await.expect("an answer"), "it works");
    assert!(bed.store.revoke_token("one", now).await.expect("an answer"));
    assert!(!bed.store.revoke_token("one", now.after(HOUR)).await.expect("an answer"), "once");
    assert!(!bed.store.revoke_token("nobody", now).await.expect("an answer"));
    let taken_back = find(bed, "one").await;
    assert_eq!(taken_back.revoked_at, Some(now));
    assert!(!taken_back.works(now));
    assert!(bed.store.has_tokens().await.expect("an answer"));
    assert!(bed.store.forget_token("one", now).await.expect("an answer"));
    assert!(!bed.store.has_tokens().await.expect("an answer"));
}

/// A token ends at its moment, not after it.
pub async fn a_token_that_expired_can_be_forgotten_and_not_before(bed: &Bed) {
    bed.store.add_token(token(bed, "one")).await.expect("stored");
    let end = find(bed, "one").await.expires_at.expect("it has an end");
    assert!(!find(bed, "one").await.works(end));
    assert!(!bed.store.forget_token("one", bed.clock.now()).await.expect("an answer"));
    assert!(bed.store.forget_token("one", end).await.expect("an answer"));
}

/// The last use only moves on.
pub async fn the_last_use_of_a_token_is_noted(bed: &Bed) {
    bed.store.add_token(token(bed, "one")).await.expect("stored");
    let now = bed.clock.now();
    for at in [now.after(HOUR), now] {
        bed.store.use_token("one", at).await.expect("noted");
        assert_eq!(find(bed, "one").await.last_used_at, Some(now.after(HOUR)));
    }
    bed.store.use_token("nobody", now).await.expect("nothing to note");
}

/// A mark counts once until its time is over.
pub async fn a_mark_is_seen_once_until_its_time_is_over(bed: &Bed) {
    let see = async |mark: &str| {
        let now = bed.clock.now();
        bed.store.see(mark, now, now.after(HOUR)).await.expect("an answer")
    };
    assert_eq!(see("a").await, Seen::First);
    assert_eq!(see("b").await, Seen::First);
    assert_eq!(see("a").await, Seen::Again);
    bed.clock.advance(Duration::from_mins(59));
    assert_eq!(see("a").await, Seen::Again, "seeing it again does not make it last longer");
    bed.clock.advance(Duration::from_mins(1));
    assert_eq!(see("a").await, Seen::First);
}

/// Of many who bring one mark at the same time one is the first.
pub async fn one_mark_is_first_for_one_of_many(bed: &Bed) {
    let now = bed.clock.now();
    let all = (0..24).map(|at| {
        let mark = format!("mark {}", at % 3);
        async move { bed.store.see(&mark, now, now.after(HOUR)).await.expect("an answer") }
    });
    let seen = futures_util::future::join_all(all).await;
    assert_eq!(seen.iter().filter(|seen| **seen == Seen::First).count(), 3, "{seen:?}");
    assert_eq!(seen.iter().filter(|seen| **seen == Seen::Again).count(), 21, "{seen:?}");
}
