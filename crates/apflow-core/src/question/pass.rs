//! Links with which a person answers one question without an account.
//!
//! The token of a link is computed from the id of its question and a secret of the operator, and is
//! stored nowhere. It opens that question only, and as the first answer counts, it answers it once.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::secret::Secret;

/// A secret for links has at least so many bytes.
pub const MIN_PASS_SECRET: usize = 16;
/// A token of a link has so many characters.
const TOKEN_CHARS: usize = 43;

/// Makes the tokens of links, and knows them again.
#[derive(Clone)]
pub struct Passes {
    /// The first one makes tokens; all of them know theirs again.
    keys: Vec<Hmac<Sha256>>,
    /// Where people reach the server, without a slash at the end.
    base: Option<String>,
}

/// Keys are not shown.
impl fmt::Debug for Passes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passes").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Passes {
    /// Makes tokens with this secret.
    pub fn new(secret: &Secret) -> Result<Self, String> {
        Ok(Self { keys: vec![key(secret)?], base: None })
    }

    /// Still takes tokens that were made with this one, while it is replaced.
    pub fn or_old(mut self, secret: &Secret) -> Result<Self, String> {
        self.keys.push(key(secret)?);
        Ok(self)
    }

    /// Says where people reach the server, such as `https://apflow.example`; without it a link is
    /// only a path.
    pub fn reached_at(mut self, base: &str) -> Result<Self, String> {
        let base = base.trim_end_matches('/');
        let host = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"));
        let is_plain = |host: &str| {
            !host.is_empty()
                && !host.contains(['?', '#', '@', '"', '<', '>', '|', '\\'])
                && !host.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        if !host.is_some_and(is_plain) {
            return Err("it is no address such as https://apflow.example".to_owned());
        }
        self.base = Some(base.to_owned());
        Ok(self)
    }

    /// Where a question is answered; whoever has this may answer.
    pub fn link(&self, question: &str) -> Option<String> {
        let base = self.base.as_deref().unwrap_or_default();
        let token = self.token(question)?;
        // Ids of questions are plain; one that is not gets no link rather than a broken one.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        question.bytes().all(is_plain).then(|| format!("{base}/feedback/{question}?token={token}"))
    }

    /// What opens a question.
    pub fn token(&self, question: &str) -> Option<String> {
        self.keys
            .first()
            .map(|key| BASE64.encode(tag(key, &["link", question]).finalize().into_bytes()))
    }

    /// Whether it is the token of that question; takes as long for every wrong one.
    pub fn opens(&self, question: &str, token: &str) -> bool {
        self.knows(&["link", question], token)
    }

    /// What a form that was opened with a token has to send back.
    pub fn form(&self, question: &str, token: &str) -> Option<String> {
        let parts = ["form", question, token];
        self.keys.first().map(|key| BASE64.encode(tag(key, &parts).finalize().into_bytes()))
    }

    /// Whether a form was opened with that token.
    pub fn is_form(&self, question: &str, token: &str, form: &str) -> bool {
        self.knows(&["form", question, token], form)
    }

    fn knows(&self, parts: &[&str], said: &str) -> bool {
        if said.len() != TOKEN_CHARS {
            return false;
        }
        let Ok(said) = BASE64.decode(said) else { return false };
        // Every key is tried, so that the time does not tell which one it was.
        self.keys
            .iter()
            .fold(false, |known, key| known | tag(key, parts).verify_slice(&said).is_ok())
    }
}

/// The secret may sign other things too, so what signs here is another key.
fn key(secret: &Secret) -> Result<Hmac<Sha256>, String> {
    let bytes = secret.reveal().len();
    if bytes < MIN_PASS_SECRET {
        return Err(format!("it has {bytes} bytes, where at least {MIN_PASS_SECRET} are needed"));
    }
    let mut hasher = Sha256::new();
    hasher.update(b"apflow links to questions\0");
    hasher.update(secret.reveal());
    Hmac::new_from_slice(&hasher.finalize()).map_err(|error| error.to_string())
}

/// The authentication code over parts, each with its length, so that no two lists of parts are alike.
fn tag(key: &Hmac<Sha256>, parts: &[&str]) -> Hmac<Sha256> {
    let mut mac = key.clone();
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(secret: &str) -> Passes {
        Passes::new(&Secret::new(secret)).expect("long enough")
    }

    #[test]
    fn a_token_opens_its_question_and_no_other() {
        let passes = passes("0123456789abcdef");
        let token = passes.token("q1").expect("made");
        assert_eq!(token.len(), TOKEN_CHARS);
        assert!(passes.opens("q1", &token));
        assert!(!passes.opens("q2", &token));
        for wrong in ["", "x", &token[1..], &format!("{token}A"), &"A".repeat(TOKEN_CHARS)] {
            assert!(!passes.opens("q1", wrong), "{wrong}");
        }
    }

    #[test]
    fn a_form_belongs_to_its_token_and_is_none() {
        let passes = passes("0123456789abcdef");
        let (token, other) = (passes.token("q1").expect("made"), passes.token("q2").expect("made"));
        let form = passes.form("q1", &token).expect("made");
        assert!(passes.is_form("q1", &token, &form));
        assert!(!passes.is_form("q1", &other, &form) && !passes.is_form("q2", &other, &form));
        assert!(!passes.opens("q1", &form) && !passes.is_form("q1", &token, &token));
    }

    #[test]
    fn an_old_secret_counts_while_it_is_replaced_and_a_short_one_never() {
        let old = passes("0123456789abcdef");
        let token = old.token("q1").expect("made");
        let new = passes("fedcba9876543210");
        assert!(!new.opens("q1", &token));
        let both = new.or_old(&Secret::new("0123456789abcdef")).expect("long enough");
        assert!(both.opens("q1", &token));
        assert_ne!(both.token("q1"), Some(token));
        assert!(Passes::new(&Secret::new("short")).is_err());
    }

    #[test]
    fn a_link_is_made_of_plain_parts_only() {
        let passes = passes("0123456789abcdef");
        for wrong in [
            "",
            "apflow.example",
            "ftp://a",
            "https://",
            "https://u@a",
            "https://a/?b",
            "https://a b",
        ] {
            assert!(passes.clone().reached_at(wrong).is_err(), "{wrong}");
        }
        let passes = passes.reached_at("https://apflow.example/in/").expect("an address");
        let link = passes.link("q1").expect("a plain id");
        assert!(link.starts_with("https://apflow.example/in/feedback/q1?token="), "{link}");
        assert_eq!(passes.link("q 1"), None);
        assert!(!format!("{passes:?}").contains("keys"));
    }
}
