//! Reading the fields of `tasks.update` that say when a task runs by itself.

use serde_json::{Value, json};

use super::{
    ApiError,
    params::describe,
    patch::{within, word},
};
use crate::{
    code::Code,
    problem::{Problem, Problems},
    schedule::{
        Kind, MAX_CATCH_UP, MAX_EXPRESSION_BYTES, MAX_JITTER_SECONDS, MAX_MISFIRE_WINDOW_SECONDS,
        MOMENT, Plan, Zone, moment,
    },
    store::Patch,
    task::{Misfire, Overlap, Schedule},
};

/// The value as it is stored, if it can stand alone; how the fields fit together is seen by [`check`].
pub(super) fn field(name: &str, value: Value) -> Result<Value, ApiError> {
    match name {
        // It is on or off; a client that clears it means off.
        "schedule_enabled" if value.is_null() => return Ok(json!(false)),
        "schedule_enabled" if !value.is_boolean() => {
            return Err(ApiError::invalid(name, "true or false", describe(&value)));
        }
        "schedule_type" => word(name, &value, &Kind::ALL.map(Kind::as_str))?,
        "schedule_overlap" => word(name, &value, &Overlap::ALL.map(Overlap::as_str))?,
        "schedule_misfire" => word(name, &value, &Misfire::ALL.map(Misfire::as_str))?,
        "schedule_catch_up" => return within(name, value, 1, i64::from(MAX_CATCH_UP)),
        "schedule_jitter_seconds" => seconds(name, &value, 0.0, MAX_JITTER_SECONDS)?,
        "schedule_misfire_window_seconds" => {
            seconds(name, &value, 1.0, MAX_MISFIRE_WINDOW_SECONDS)?;
        }
        "schedule_start_at" | "schedule_end_at" if !value.is_null() => {
            let read = value.as_str().map_or_else(|| Err("it is no text".to_owned()), moment);
            read.map_err(|reason| alone(name, reason, MOMENT, &value))?;
        }
        "schedule_timezone" if !value.is_null() => {
            let known = value.as_str().is_some_and(|name| Zone::find(name).is_some());
            if !known {
                let expected = "a name of the IANA list of zones, like Europe/Berlin or UTC";
                let error = ApiError::invalid(name, expected, describe(&value));
                return Err(match value.as_str().and_then(Zone::near) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error,
                });
            }
        }
        "schedule_expression" => {
            let fits = value.is_null()
                || value.as_str().is_some_and(|text| text.len() <= MAX_EXPRESSION_BYTES);
            if !fits {
                let expected = format!("a text of at most {MAX_EXPRESSION_BYTES} letters");
                return Err(ApiError::invalid(name, expected, describe(&value)));
            }
        }
        _ => {}
    }
    Ok(value)
}

/// Refuses a patch after which the schedule of a task could not be followed.
///
/// A patch that leaves the schedule alone passes, whatever was stored by an older version.
pub(super) fn check(stored: &Schedule, patch: &Patch) -> Result<(), ApiError> {
    let Some(Value::Object(changes)) = patch.definition.get("schedule") else { return Ok(()) };
    let mut merged = json!(stored);
    for (name, value) in changes {
        merged[name] = value.clone();
    }
    // Each value was read when the patch was; what is stored was written by the same type.
    let Ok(merged) = serde_json::from_value::<Schedule>(merged) else { return Ok(()) };
    Plan::read(&merged).map(|_| ()).map_err(refused)
}

fn refused(Problems(problems): Problems) -> ApiError {
    let texts: Vec<&str> = problems.iter().map(|problem| problem.reason.as_str()).collect();
    let detail = format!("Update failed:\n- {}", texts.join("\n- "));
    let hint = problems.first().and_then(|problem| problem.hint.clone());
    ApiError { problems, hint, ..ApiError::new(Code::InvalidSchedule, detail) }
}

fn alone(name: &str, reason: String, expected: &str, value: &Value) -> ApiError {
    let detail = format!("`{name}` must be {expected}: {reason}");
    let problem = Problem::new(Code::InvalidParams, reason)
        .in_field(name)
        .expecting(expected)
        .found(describe(value))
        .known_as(&detail);
    ApiError { problems: vec![problem], ..ApiError::new(Code::InvalidParams, detail) }
}

fn seconds(name: &str, value: &Value, least: f64, most: f64) -> Result<(), ApiError> {
    let fits = |seconds: f64| (least..=most).contains(&seconds);
    if value.is_null() || value.as_f64().is_some_and(fits) {
        return Ok(());
    }
    let expected = format!("a number of seconds from {least} to {most}");
    Err(ApiError::invalid(name, expected, describe(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(changes: Value) -> Patch {
        let mut patch = Patch::default();
        patch.definition.insert("schedule".to_owned(), changes);
        patch
    }

    #[test]
    fn fields_are_judged_together_with_what_is_stored() {
        let stored = Schedule {
            schedule_type: Some("daily".to_owned()),
            schedule_expression: Some("09:00".to_owned()),
            schedule_enabled: true,
            ..Schedule::default()
        };
        assert!(check(&stored, &patch(json!({"schedule_expression": "10:30"}))).is_ok());
        let error = check(&stored, &patch(json!({"schedule_type": "cron"}))).expect_err("no cron");
        assert_eq!(error.code, Code::InvalidSchedule);
        assert_eq!(error.problems[0].field.as_deref(), Some("schedule_expression"));
        let both = json!({"schedule_type": "cron", "schedule_expression": "0 9 * * 1-5"});
        assert!(check(&stored, &patch(both)).is_ok());
        let error = check(&stored, &patch(json!({"schedule_expression": null}))).expect_err("on");
        assert!(error.detail.contains("does not say when"), "{}", error.detail);
        let off = json!({"schedule_expression": null, "schedule_enabled": false});
        assert!(check(&stored, &patch(off)).is_ok());
    }

    #[test]
    fn an_old_row_that_could_not_be_written_today_does_not_stop_other_changes() {
        let stored = Schedule { schedule_type: Some("hourly".to_owned()), ..Schedule::default() };
        assert!(check(&stored, &Patch::default()).is_ok());
        assert!(check(&stored, &patch(json!({"max_runs": 3}))).is_err());
    }

    #[test]
    fn a_moment_without_an_offset_is_refused_with_the_reason() {
        let error = field("schedule_end_at", json!("2027-01-01T09:00:00")).expect_err("naive");
        assert!(error.detail.contains("no offset"), "{}", error.detail);
        assert!(field("schedule_end_at", json!(5)).is_err());
        assert!(field("schedule_end_at", json!("2027-01-01T09:00:00+02:00")).is_ok());
    }
}
