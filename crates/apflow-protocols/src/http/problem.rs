//! Errors of `/v1` as `application/problem+json` (RFC 9457).

use apflow_core::{api::ApiError, code::Code};
use axum::http::StatusCode;
use serde_json::{Value, json};

/// What the body calls itself.
pub(super) const KIND: &str = "application/problem+json";

/// The status that says best what is wrong with a request that could be read.
///
/// On `/v1` a request that fits its schema and still cannot be carried out, for what it says and not for
/// how, is 422; JSON-RPC has fewer words and says 400.
pub(super) fn status(code: Code) -> StatusCode {
    let number = match code {
        Code::InvalidTask
        | Code::Cycle
        | Code::UnknownReference
        | Code::InvalidParent
        | Code::InvalidTree
        | Code::UnknownExecutor
        | Code::InvalidInputs
        | Code::InvalidSchedule
        | Code::NoSchedule
        | Code::OverlapUnavailable
        | Code::NoCallbacks
        | Code::NoGenerator
        | Code::NoLlmKey
        | Code::InvalidExpression
        | Code::InvalidGroup
        | Code::InvalidFlow
        | Code::UnreadableExport
        // JSON that is well-formed and holds what cannot be kept: too deep, U+0000, an inexact number.
        | Code::InvalidRequest => 422,
        other => other.http(),
    };
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The document: the members of the standard, and beside them those of `error.data` in JSON-RPC.
pub(super) fn body(status: StatusCode, error: &ApiError, request: &str) -> Value {
    let mut body = error.data();
    body["type"] = json!(format!("/docs/errors/{}", error.code));
    body["title"] = json!(error.code.title());
    body["status"] = json!(status.as_u16());
    body["instance"] = json!(request);
    body
}

/// JSON Schema of the document.
pub(super) fn schema() -> Value {
    let text = |says: &str| json!({ "type": "string", "description": says });
    let mut fault = json!({
        "type": "object", "title": "Fault", "required": ["code", "reason", "detail"],
        "description": "One of several things that are wrong.",
        "properties": faults(),
    });
    fault["properties"]["code"] = text("What sort of error this one is.");
    fault["properties"]["detail"] =
        text("What is wrong, in the words of the older API if it has any.");
    let mut properties = faults();
    properties["type"] = json!({ "type": "string", "format": "uri-reference",
        "description": "The page that explains errors of this sort." });
    properties["title"] = text("What happened, without the particulars.");
    properties["status"] = json!({ "type": "integer", "minimum": 400, "maximum": 599,
        "description": "The HTTP status." });
    properties["detail"] = text("What happened.");
    properties["instance"] =
        text("The number of the request, as in `X-Request-Id` and in the log.");
    properties["code"] = json!({ "type": "string", "pattern": "^AF[0-9]{4}$",
        "description": "What sort of error it is; programs branch on it." });
    properties["errors"] = json!({ "type": "array", "items": fault,
        "description": "Everything that is wrong, if it is more than one thing." });
    json!({
        "type": "object", "title": "Problem",
        "description": "Why a request was not carried out (RFC 9457).",
        "required": ["type", "title", "status", "detail", "instance", "code"],
        "properties": properties, "additionalProperties": false,
    })
}

/// The members that say what is wrong with the request itself.
fn faults() -> Value {
    let text = |says: &str| json!({ "type": "string", "description": says });
    json!({
        "task": text("The task it is about."),
        "field": text("The field, with the way to it."),
        "reason": text("Why it cannot be accepted."),
        "expected": text("What would have been accepted."),
        "actual": text("What was found."),
        "path": {"type": "array", "items": {"type": "string"}, "description": "The tasks of a loop."},
        "hint": text("What to do about it."),
    })
}

#[cfg(test)]
mod tests {
    use apflow_core::{
        problem::{Problem, Problems},
        schema::check,
    };

    use super::*;

    #[test]
    fn a_problem_has_the_members_of_the_standard_and_ours() {
        let error = ApiError::invalid("limit", "a number from 0 to 1000", "\"x\"").hint("try 10");
        let body = body(status(error.code), &error, "r-1");
        assert_eq!(
            body,
            json!({
                "type": "/docs/errors/AF0012", "title": "the parameters do not fit the operation",
                "status": 400, "instance": "r-1", "code": "AF0012", "field": "limit",
                "expected": "a number from 0 to 1000", "actual": "\"x\"", "hint": "try 10",
                "reason": "`limit` must be a number from 0 to 1000, and it is \"x\"",
                "detail": "`limit` must be a number from 0 to 1000, and it is \"x\"",
            })
        );
    }

    #[test]
    fn every_code_makes_a_problem_that_fits_the_schema() {
        for code in Code::ALL {
            let problem =
                Problem::new(*code, "why").of_task("a").in_field("f").found("x").hinting("h");
            let looped =
                Problem::new(*code, "a loop").along(vec!["a".into(), "b".into(), "a".into()]);
            let error = ApiError::from(Problems(vec![problem, looped]));
            let body = body(status(*code), &error, "r");
            assert_eq!(check(&schema(), &body), Ok(()), "{body}");
            assert!(body["status"].as_u64().is_some_and(|it| it >= 400), "{code}");
        }
    }
}
