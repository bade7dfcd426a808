//! Which values answer which question.

use super::*;

fn reason(question: &Question, value: &Value) -> String {
    question.read(value).expect_err("it does not fit").reason
}

#[test]
fn an_answer_may_be_written_bare_or_under_its_name_and_reads_back_as_itself() {
    let schema = json!({ "type": "object", "required": ["n"] });
    let cases = [
        (Question::approval("?"), json!(true), json!({ "approved": true })),
        (
            Question::approval("?"),
            json!({ "approved": false, "reason": "no" }),
            json!({ "approved": false, "reason": "no" }),
        ),
        (Question::text("?"), json!("hi"), json!({ "text": "hi" })),
        (Question::selection("?", ["a", "b"]), json!("b"), json!({ "selected": "b" })),
        (
            Question::multi_selection("?", ["a", "b"]),
            json!(["b"]),
            json!({ "selected_multiple": ["b"] }),
        ),
        (Question::custom("?", schema), json!({ "n": 1 }), json!({ "custom_data": { "n": 1 } })),
    ];
    for (question, said, stored) in cases {
        let reply = question.read(&said).expect("it fits");
        assert_eq!(reply.to_value(), stored);
        assert_eq!(question.read(&stored), Ok(reply), "what is stored can be read");
    }
}

#[test]
fn what_is_no_answer_is_refused_with_what_would_be_one() {
    let select = Question::selection("?", ["a", "b"]);
    assert_eq!(reason(&select, &json!("c")), "`c` is not among the options");
    assert_eq!(select.read(&json!("c")).expect_err("no").expected, "one of `a`, `b`");
    assert!(select.read(&json!({ "approved": true })).is_err(), "the answer to another kind");
    assert!(Question::approval("?").read(&json!("yes")).is_err());
    assert!(Question::approval("?").read(&json!({ "approved": true, "reason": 1 })).is_err());
    assert!(Question::text("?").read(&json!(7)).is_err());
    let several = Question::multi_selection("?", ["a", "b"]);
    assert_eq!(reason(&several, &json!(["a", "a"])), "`a` is there twice");
    assert!(several.read(&json!("a")).is_err());
    let custom = Question::custom("?", json!({ "type": "object", "required": ["n"] }));
    assert!(custom.read(&json!({ "m": 1 })).is_err());
    let long = json!("x".repeat(MAX_ANSWER_BYTES));
    assert!(Question::text("?").read(&long).is_err());
}

#[test]
fn a_question_that_cannot_be_answered_is_not_asked() {
    let hour = Duration::from_hours(1);
    let escalate = OnTimeout::Escalate { to: " ".to_owned(), after: hour };
    for bad in [
        Question::text("  "),
        Question::selection("?", Vec::<String>::new()),
        Question::selection("?", ["a", "a"]),
        Question::custom("?", json!([1])),
        Question::text("x".repeat(MAX_QUESTION_BYTES)),
        Question::approval("?").within(hour, OnTimeout::Default(json!("yes"))),
        Question::approval("?").within(hour, escalate),
    ] {
        assert!(bad.fault().is_some(), "{bad:?}");
    }
    let good = Question::approval("?").within(hour, OnTimeout::Default(json!(true)));
    assert_eq!(good.fault(), None);
}

#[test]
fn a_question_is_stored_and_read_back() {
    for question in [
        Question::approval("deploy?"),
        Question::selection("which?", ["a"]),
        Question::custom("what?", json!({ "type": "array" })),
    ] {
        assert_eq!(Question::of(&question.detail()), Ok(question));
    }
}
