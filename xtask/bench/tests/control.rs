//! Tests of the test: what the checks are for is what they find.

use apflow::core::store::EventKind;
use apflow_bench::chaos::{
    check::{Evidence, Faults, Findings, check},
    log::What,
};

use crate::stage::{is_sound, on_sqlite};

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_is_refused_and_nothing_is_broken() {
    let (_place, mut siege) = on_sqlite(1);
    siege.haunt();
    let findings = siege.lay(None).await.unwrap();
    is_sound("zombies before the fence", &findings);
    assert!(findings.refused > 0, "no zombie ever reported: {findings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_fence_the_same_zombies_break_the_rules() {
    let (_place, mut siege) = on_sqlite(1);
    siege.haunt();
    siege.worker.unfenced = true;
    let findings = siege.lay(None).await.unwrap();
    println!("zombies without a fence\n{findings}");
    assert!(findings.of("I5") > 0, "a stale result went unnoticed: {findings}");
    assert!(findings.of("I6") > 0, "a child that began too early went unnoticed: {findings}");
}

/// What is found once `damage` was done to the evidence of a sound run.
fn after(sound: &Evidence, damage: impl FnOnce(&mut Evidence)) -> Findings {
    let mut evidence = sound.clone();
    damage(&mut evidence);
    check(&evidence)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_notices_when_it_is_broken() {
    let (_place, mut siege) = on_sqlite(2);
    siege.worker.trees = Some(12);
    siege.kills = 3;
    assert_eq!(siege.lay(None).await.unwrap().violations, []);
    let worker = &siege.worker;
    let faults = Faults { kills: 3, slots: 4, workers: 1, ..Faults::default() };
    let sound = Evidence::read(&worker.db, &worker.dir, worker.plan, faults).await.unwrap();
    assert_eq!(check(&sound).violations, []);

    let lost = after(&sound, |evidence| evidence.records.truncate(evidence.records.len() - 1));
    assert_eq!(lost.of("I1"), 1, "{lost}");
    let twice = after(&sound, |evidence| {
        let end = evidence.events.iter().find(|event| event.kind == EventKind::Completed).cloned();
        evidence.events.extend(end);
    });
    assert_eq!((twice.of("I2"), twice.of("I3")), (1, 1), "{twice}");
    let changed = after(&sound, |evidence| {
        let end = evidence.events.iter_mut().find(|event| event.kind == EventKind::Completed);
        end.unwrap().kind = EventKind::Failed;
    });
    assert_eq!(changed.of("I3"), 1, "{changed}");
    let overtaken = after(&sound, |evidence| evidence.effects.reverse());
    assert!(overtaken.of("I6") + overtaken.of("log") > 0, "{overtaken}");
    let early = after(&sound, |evidence| {
        // The last start of all moves to the beginning; a root would not mind, but it is none.
        let at = evidence
            .effects
            .iter()
            .rposition(|effect| matches!(&effect.what, What::Start { saw, .. } if !saw.is_empty()));
        let start = evidence.effects.remove(at.unwrap());
        evidence.effects.insert(0, start);
    });
    assert!(early.of("I6") > 0, "{early}");
    let forged = after(&sound, |evidence| evidence.records[0].result = Some("1.2.3.".into()));
    assert!(forged.of("I5") + forged.of("I17") > 0, "{forged}");
    let stranger = after(&sound, |evidence| evidence.acknowledged -= 2);
    assert!(stranger.of("I10") > 0, "{stranger}");
    let innocent = after(&sound, |evidence| evidence.faults = Faults::default());
    assert_eq!(innocent.of("I13"), usize::from(innocent.reexecutions > 0), "{innocent}");
    let again = after(&sound, |evidence| {
        let start =
            evidence.effects.iter().rfind(|effect| matches!(effect.what, What::Start { .. }));
        let mut start = start.unwrap().clone();
        if let What::Start { token, attempt, .. } = &mut start.what {
            (*token, *attempt) = (*token + 2, *attempt + 1);
        }
        evidence.effects.push(start);
    });
    assert_eq!(again.of("I4"), 1, "{again}");
}
