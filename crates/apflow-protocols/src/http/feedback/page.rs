//! The pages themselves: plain HTML that loads nothing and runs nothing.

use std::fmt::Write as _;

use apflow_core::{
    question::{Question, QuestionKind},
    store::{WaitRecord, WaitState},
};
use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse as _, Response},
};
use serde_json::Value;

/// How it looks; [`POLICY`] names its hash, so nothing else can style the page.
const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.3rem;white-space:pre-wrap;overflow-wrap:anywhere}\
dd,pre{overflow-wrap:anywhere;white-space:pre-wrap}\
label{display:block;margin:.4rem 0}fieldset{margin:1rem 0}\
textarea,input[type=text]{display:block;width:100%;font:inherit;box-sizing:border-box}\
button{font:inherit;padding:.4rem 1.2rem}.wrong{border-left:.3rem solid #b00;padding-left:.7rem}";

const POLICY: &str = "default-src 'none'; \
style-src 'sha256-9CsbmjUYVdPMqmkgI7Qav1PXx9nRFPozmY8cFPGBYbo='; \
form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The text with everything that HTML would read replaced.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A whole page; `body` is HTML, `title` is text.
fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">\
         <style>{STYLE}</style></head><body><main>{body}</main></body></html>",
        escaped(title)
    );
    let mut response = (status, Html(html)).into_response();
    let set: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // The address holds the token, so no other site learns it. `no-referrer` would make the browser
        // send the form without its origin, which the server refuses.
        (header::REFERRER_POLICY, "same-origin"),
        (header::VARY, "Origin"),
    ];
    for (name, value) in set {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn told(status: StatusCode, title: &str, text: &str) -> Response {
    page(status, title, &format!("<h1>{}</h1><p>{}</p>", escaped(title), escaped(text)))
}

/// For a wrong token and for a question that does not exist, alike.
pub(super) fn nowhere() -> Response {
    let text =
        "Check that the whole link was copied. A link that was once good may have been withdrawn.";
    told(StatusCode::NOT_FOUND, "This link leads nowhere", text)
}

pub(super) fn done() -> Response {
    told(StatusCode::OK, "Thank you", "The answer was taken, and the task goes on.")
}

/// The form was not made with this link.
pub(super) fn stale() -> Response {
    let text = "Open the link again and send the form from there. Nothing was answered.";
    told(StatusCode::FORBIDDEN, "This form cannot be taken", text)
}

pub(super) fn unreadable() -> Response {
    let text = "Open the link again and send the form from there. Nothing was answered.";
    told(StatusCode::BAD_REQUEST, "This form cannot be read", text)
}

pub(super) fn broken() -> Response {
    let text = "What is stored of it is no question. Ask whoever sent the link.";
    told(StatusCode::INTERNAL_SERVER_ERROR, "This question cannot be shown", text)
}

pub(super) fn trouble(status: StatusCode, code: &str) -> Response {
    let text = format!("Try again in a while ({code}).");
    told(status, "This did not work", &text)
}

/// A question that takes no answer any more.
pub(super) fn gone(wait: &WaitRecord) -> Response {
    let (title, text) = match wait.state {
        WaitState::Answered => {
            ("This question was answered", "The first answer counts; there is nothing left to do.")
        }
        WaitState::Cancelled => ("This question was withdrawn", "No answer is needed any more."),
        WaitState::Expired | WaitState::Pending => {
            ("This question is closed", "The time for an answer is over.")
        }
    };
    told(StatusCode::GONE, title, text)
}

/// The form, with what was wrong with the answer before, if there was one.
pub(super) fn form(
    wait: &WaitRecord,
    question: &Question,
    proof: &str,
    wrong: Option<&str>,
) -> Response {
    let mut body = format!("<h1 dir=\"auto\">{}</h1>", escaped(&question.prompt));
    if let Some(wrong) = wrong {
        let _ = write!(body, "<p class=\"wrong\" role=\"alert\">{}</p>", escaped(wrong));
    }
    let _ = write!(body, "<p>Asked by the task <bdi>{}</bdi>", escaped(&wait.name));
    if let Some(to) = &wait.escalated_to {
        let _ = write!(body, ", for <bdi>{}</bdi>", escaped(to));
    }
    if let Some(until) = wait.until.and_then(|until| serde_json::to_value(until).ok()) {
        let _ = write!(body, ", until {}", escaped(&plain(&until)));
    }
    body.push_str(".</p>");
    if !question.metadata.is_empty() {
        body.push_str("<dl>");
        for (name, value) in &question.metadata {
            let (name, value) = (escaped(name), escaped(&plain(value)));
            let _ = write!(body, "<dt dir=\"auto\">{name}</dt><dd dir=\"auto\">{value}</dd>");
        }
        body.push_str("</dl>");
    }
    // Without an address a form goes to that of its page, token and all, behind any proxy.
    body.push_str("<form method=\"post\">");
    let _ = write!(body, "<input type=\"hidden\" name=\"form\" value=\"{}\">", escaped(proof));
    body.push_str(&controls(question));
    body.push_str(
        "<label>Your name, if you like <input type=\"text\" name=\"by\" maxlength=\"80\" \
         autocomplete=\"name\"></label><p><button type=\"submit\">Send the answer</button></p></form>",
    );
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    page(status, "A task asks", &body)
}

/// A text as it is, anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn controls(question: &Question) -> String {
    let choices = |kind: &str, required: &str, options: &[String]| {
        let mut html = "<fieldset><legend>The answer</legend>".to_owned();
        for (n, option) in options.iter().enumerate() {
            let option = escaped(option);
            let _ = write!(
                html,
                "<label><input type=\"{kind}\" name=\"option\" value=\"{n}\"{required}> \
                 <bdi>{option}</bdi></label>"
            );
        }
        html + "</fieldset>"
    };
    match &question.kind {
        QuestionKind::Approval => "<fieldset><legend>The answer</legend>\
             <label><input type=\"radio\" name=\"approved\" value=\"yes\" required> Yes</label>\
             <label><input type=\"radio\" name=\"approved\" value=\"no\" required> No</label></fieldset>\
             <label>Why, if you like <textarea name=\"reason\" rows=\"3\"></textarea></label>"
            .to_owned(),
        QuestionKind::Text => {
            "<label>The answer <textarea name=\"text\" rows=\"8\" required></textarea></label>".to_owned()
        }
        QuestionKind::Selection { options } => choices("radio", " required", options),
        QuestionKind::MultiSelection { options } => choices("checkbox", "", options),
        QuestionKind::Custom { schema } => {
            let mut html = String::new();
            if !schema.is_null() {
                let schema = escaped(&format!("{schema:#}"));
                let _ = write!(html, "<details><summary>What fits</summary><pre>{schema}</pre></details>");
            }
            html + "<label>The answer, as JSON \
                    <textarea name=\"json\" rows=\"8\" required spellcheck=\"false\"></textarea></label>"
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_policy_allows_the_style_of_the_page_and_no_other() {
        let hash = format!("'sha256-{}'", STANDARD.encode(Sha256::digest(STYLE)));
        assert!(POLICY.contains(&hash), "{hash}");
        assert!(!POLICY.contains("unsafe") && !POLICY.contains("script-src"));
    }

    #[test]
    fn no_character_that_html_reads_is_left() {
        assert_eq!(escaped("<a b='c' d=\"e\">&"), "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;");
    }
}
