//! Any expression in any zone is followed upwards, or refused with problems that are named; never a panic.
#![no_main]

use apflow_core::{
    problem::Problems,
    schedule::{Kind, Plan, zones},
    task::Schedule,
    time::Timestamp,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u16, u32, &str)| {
    let (kind, zone, hour, expression) = input;
    let zones = zones();
    let schedule = Schedule {
        schedule_type: Some(Kind::ALL[usize::from(kind) % Kind::ALL.len()].as_str().to_owned()),
        schedule_expression: Some(expression.to_owned()),
        schedule_timezone: Some(zones[usize::from(zone) % zones.len()].to_owned()),
        ..Schedule::default()
    };
    let plan = match Plan::read(&schedule) {
        Ok(Some(plan)) => plan,
        Ok(None) => unreachable!("a type and an expression are a schedule"),
        Err(Problems(told)) => return assert!(told.iter().all(|one| one.field.is_some())),
    };
    // Any hour from 1970 to 2083.
    let from = Timestamp(i64::from(hour % 1_000_000) * 3_600_000_000);
    let mut last = from;
    for _ in 0..20 {
        let Some(slot) = plan.after(last) else { break };
        assert!(slot > last, "{schedule:?}: {slot} after {last}");
        last = slot;
    }
    let due = plan.due(from, Timestamp(from.0 + 86_400_000_000));
    assert!(due.fire.len() <= 1 && due.next.is_none_or(|next| next > from));
});
