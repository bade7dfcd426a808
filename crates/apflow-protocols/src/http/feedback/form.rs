//! What a person filled in, and the answer it stands for.

use apflow_core::question::{Question, QuestionKind};
use serde_json::{Value, json};

use crate::http::rest::decoded;

/// A form has at most so many fields; a question offers up to a thousand options.
const MAX_FIELDS: usize = 1_100;

/// Names and values of a form or a query, in their order.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads a query or a body; none if it is not written as one.
    pub(super) fn read(text: &str) -> Option<Self> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let mut fields = Vec::new();
        for pair in pairs {
            if fields.len() == MAX_FIELDS {
                return None;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            fields.push((decoded(name)?, decoded(value)?));
        }
        Some(Self(fields))
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a field that is there once.
    pub(super) fn only<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut values = self.all(name);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }
}

/// The answer a form stands for, or what is missing, for the person who filled it in.
pub(super) fn answer(question: &Question, said: &Fields) -> Result<Value, String> {
    let option = |options: &[String], text: &str| {
        let chosen = text.parse::<usize>().ok().and_then(|n| options.get(n));
        chosen.cloned().ok_or_else(|| "That is not one of the options.".to_owned())
    };
    match &question.kind {
        QuestionKind::Approval => {
            let approved = match said.only("approved") {
                Some("yes") => true,
                Some("no") => false,
                _ => return Err("Choose yes or no.".to_owned()),
            };
            match said.only("reason").filter(|reason| !reason.trim().is_empty()) {
                Some(reason) => Ok(json!({ "approved": approved, "reason": reason })),
                None => Ok(json!({ "approved": approved })),
            }
        }
        QuestionKind::Text => {
            let text = said.only("text").ok_or("Write an answer.")?;
            // A form ends its lines as mail does.
            Ok(json!({ "text": text.replace("\r\n", "\n") }))
        }
        QuestionKind::Selection { options } => {
            let text = said.only("option").ok_or("Choose one of the options.")?;
            Ok(json!({ "selected": option(options, text)? }))
        }
        QuestionKind::MultiSelection { options } => {
            let chosen: Result<Vec<String>, String> =
                said.all("option").map(|text| option(options, text)).collect();
            Ok(json!({ "selected_multiple": chosen? }))
        }
        QuestionKind::Custom { .. } => {
            let text = said.only("json").ok_or("Write an answer.")?;
            let data: Value = serde_json::from_str(text)
                .map_err(|error| format!("The answer is no JSON: {error}."))?;
            Ok(json!({ "custom_data": data }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(question: &Question, form: &str) -> Result<Value, String> {
        answer(question, &Fields::read(form).expect("a form"))
    }

    #[test]
    fn a_form_stands_for_an_answer_of_each_kind() {
        let approval = Question::approval("?");
        assert_eq!(read(&approval, "approved=yes&reason=+"), Ok(json!({ "approved": true })));
        let no = json!({ "approved": false, "reason": "too early" });
        assert_eq!(read(&approval, "approved=no&reason=too+early"), Ok(no));
        assert_eq!(read(&Question::text("?"), "text=a%0D%0Ab"), Ok(json!({ "text": "a\nb" })));
        let one = Question::selection("?", ["a b", "<c>"]);
        assert_eq!(read(&one, "option=1"), Ok(json!({ "selected": "<c>" })));
        let some = Question::multi_selection("?", ["a", "b", "c"]);
        let both = json!({ "selected_multiple": ["a", "c"] });
        assert_eq!(read(&some, "option=0&option=2"), Ok(both));
        assert_eq!(read(&some, ""), Ok(json!({ "selected_multiple": [] })));
        let custom = Question::custom("?", Value::Null);
        assert_eq!(read(&custom, "json=%7B%22n%22%3A1%7D"), Ok(json!({ "custom_data": {"n": 1} })));
    }

    #[test]
    fn what_no_form_of_ours_sends_is_no_answer() {
        assert!(read(&Question::approval("?"), "approved=yes&approved=no").is_err());
        assert!(read(&Question::approval("?"), "approved=maybe").is_err());
        assert!(read(&Question::selection("?", ["a"]), "option=1").is_err());
        assert!(read(&Question::selection("?", ["a"]), "option=a").is_err());
        assert!(read(&Question::custom("?", Value::Null), "json=%7B").is_err());
        for broken in ["a=%", "a=%zz", "a=%ff", "a=%00"] {
            assert!(Fields::read(broken).is_none(), "{broken}");
        }
        assert!(Fields::read(&"a&".repeat(MAX_FIELDS + 1)).is_none());
    }
}
