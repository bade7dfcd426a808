//! What a request proves itself with, and how it is kept out of results and errors.

use serde_json::Value;
use url::Url;

const HIDDEN: &str = "***";

/// Shorter ones would hide half of every text.
const SHORTEST: usize = 4;

/// In a body a short secret is more likely an innocent word.
const SHORTEST_IN_BODY: usize = 8;

/// Names in a query whose values are not shown.
const SECRET_NAMES: [&str; 13] = [
    "access_token",
    "api_key",
    "api-key",
    "apikey",
    "auth",
    "client_secret",
    "key",
    "password",
    "passwd",
    "secret",
    "sig",
    "signature",
    "token",
];

/// The secrets of one request.
#[derive(Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Remembers `secret` as it is and as it looks in a query.
    pub(super) fn add(&mut self, secret: &str) {
        if secret.chars().count() < SHORTEST {
            return;
        }
        let in_query: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let in_path = in_query.replace('+', "%20");
        for form in [secret.to_owned(), in_query, in_path] {
            if !self.0.contains(&form) {
                self.0.push(form);
            }
        }
        // A secret may be part of another: the longer goes first.
        self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// The text without any of them.
    pub(super) fn hidden(&self, text: &str) -> String {
        self.hidden_from(text, SHORTEST)
    }

    /// The same for what the other side sent, where short secrets are left alone.
    pub(super) fn hidden_in_body(&self, text: &str) -> String {
        self.hidden_from(text, SHORTEST_IN_BODY)
    }

    fn hidden_from(&self, text: &str, shortest: usize) -> String {
        let mut text = text.to_owned();
        for secret in self.0.iter().filter(|secret| secret.len() >= shortest) {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), HIDDEN);
            }
        }
        text
    }

    /// Hides them in every text and every key of a JSON value.
    pub(super) fn hide_within(&self, value: &mut Value) {
        if self.0.is_empty() {
            return;
        }
        match value {
            Value::String(text) => *text = self.hidden_in_body(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide_within(item)),
            Value::Object(map) => {
                *map = std::mem::take(map)
                    .into_iter()
                    .map(|(key, mut value)| {
                        self.hide_within(&mut value);
                        (self.hidden_in_body(&key), value)
                    })
                    .collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// The URL as people may see it: values that look like secrets by their name are not shown.
pub(crate) fn shown(url: &Url) -> String {
    let is_secret = |name: &str| SECRET_NAMES.contains(&name.to_ascii_lowercase().as_str());
    if !url.query_pairs().any(|(name, _)| is_secret(&name)) {
        return url.to_string();
    }
    let pairs: Vec<String> = url
        .query()
        .unwrap_or_default()
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _))
                if url::form_urlencoded::parse(name.as_bytes())
                    .any(|(name, _)| is_secret(&name)) =>
            {
                format!("{name}={HIDDEN}")
            }
            _ => pair.to_owned(),
        })
        .collect();
    let mut shown = url.clone();
    shown.set_query(Some(&pairs.join("&")));
    shown.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_hidden_in_all_its_forms() {
        let mut secrets = Secrets::default();
        secrets.add("CANARY one/two");
        secrets.add("CANARY");
        for text in ["CANARY one/two", "CANARY+one%2Ftwo", "CANARY%20one%2Ftwo"] {
            assert_eq!(secrets.hidden(&format!("<{text}>")), "<***>");
        }
        let mut body = json!({"CANARY one/two": [1, "a CANARY one/two b", null]});
        secrets.hide_within(&mut body);
        assert_eq!(body, json!({"***": [1, "a *** b", null]}));
    }

    #[test]
    fn a_short_secret_does_not_spoil_what_the_other_side_says() {
        let mut secrets = Secrets::default();
        secrets.add("abc");
        secrets.add("admin");
        assert_eq!(secrets.hidden_in_body("abc admin"), "abc admin");
        assert_eq!(secrets.hidden("abc admin"), "abc ***");
    }

    #[test]
    fn a_query_shows_no_value_of_a_secret_name() {
        let shown = |url: &str| shown(&Url::parse(url).expect("a URL"));
        assert_eq!(shown("https://a.b/?q=1&q=2"), "https://a.b/?q=1&q=2");
        assert_eq!(
            shown("https://a.b/?q=a%20b&API_KEY=x&tok%65n=y&page_token=z#f"),
            "https://a.b/?q=a%20b&API_KEY=***&tok%65n=***&page_token=z#f"
        );
    }
}
