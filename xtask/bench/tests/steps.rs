//! One diamond, killed at its writes one after the other.

use apflow::prelude::Durability;
use apflow_bench::chaos::steps::Steps;

use crate::stage::{of, program};

#[tokio::test(flavor = "multi_thread")]
async fn a_diamond_survives_a_kill_at_any_of_its_writes() {
    let place = tempfile::tempdir().unwrap();
    let steps = Steps {
        program: program(),
        place: place.path().to_owned(),
        durability: Durability::Strict,
    };
    let points = steps.points().unwrap();
    let most = usize::try_from(of(60)).unwrap();
    // Evenly over the whole run, the first and the last write included.
    let picked: Vec<usize> = (0..most).map(|at| at * (points.len() - 1) / (most - 1)).collect();
    let (mut killed, mut repeated) = (0, 0);
    for at in picked {
        let step = steps.kill_at(&points[at]).await.unwrap();
        killed += u64::from(step.killed);
        repeated += step.findings.reexecutions;
        assert!(step.findings.violations.is_empty(), "{}:\n{}", points[at], step.findings);
        assert_eq!(step.findings.completed, 4, "{}:\n{}", points[at], step.findings);
    }
    println!("{} writes, killed at {killed} of {most}, {repeated} attempts repeated", points.len());
    // The number of writes differs a little from run to run; nearly all of them were reached.
    assert!(killed * 10 >= of(60) * 8, "only {killed} of {most} runs came to their write");
    assert!(repeated > 0, "no kill ever hit a running task");
}
