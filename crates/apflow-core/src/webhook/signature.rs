//! Signatures of inbound webhooks: two ways to write one, and what each covers; pure.
//!
//! Ours is `hex(HMAC-SHA256(secret, TIMESTAMP "." TASK_ID "\0" BODY))`. An id never holds the
//! character U+0000 and a timestamp no point, so no other task, time or body signs alike.
//!
//! The Standard Webhooks one is over `ID "." TIMESTAMP "." BODY` and names no task. So each task has
//! a secret of its own for it, derived from ours.

use std::{fmt, fmt::Write as _, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::{id::TaskId, secret::Secret, time::Timestamp};

/// How far the time of a signature may lie from ours, either way.
pub const TOLERANCE: Duration = Duration::from_mins(5);

/// The most signatures of one header that are looked at; a sender that changes its key sends two.
const MAX_SIGNATURES: usize = 8;

/// What a request says to prove that it may.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Signature {
    /// Nothing.
    #[default]
    None,
    /// `X-Webhook-Signature` and `X-Webhook-Timestamp`, or parameters of that name.
    Own {
        /// Hex digits.
        signature: String,
        /// Seconds since 1970.
        timestamp: Option<String>,
    },
    /// `webhook-id`, `webhook-timestamp` and `webhook-signature`.
    Standard {
        /// The message; the same in every try to deliver it.
        id: String,
        /// Seconds since 1970.
        timestamp: Option<String>,
        /// `v1,BASE64`, several with spaces between.
        signatures: String,
    },
}

impl fmt::Debug for Signature {
    /// A signature that was not used yet is as good as a password for five minutes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Own { .. } => "Own(…)",
            Self::Standard { .. } => "Standard(…)",
        })
    }
}

/// Why a signature proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is none.
    Missing,
    /// It says no time, or one that is no number, or one long ago or far ahead.
    Time,
    /// It was made with another key, for another task, or over another body.
    Wrong,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "Missing signature",
            Self::Time => {
                "Invalid signature: its timestamp is missing or not within 5 minutes of now"
            }
            Self::Wrong => "Invalid signature",
        })
    }
}

/// What signatures are checked with.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// Each may have made it.
    pub secrets: &'a [Secret],
    /// Also take v1's, which names no task.
    pub legacy: bool,
}

impl Keys<'_> {
    /// The mark by which a good signature is known again, or why it is none.
    pub fn check(
        &self,
        signature: &Signature,
        task: &TaskId,
        body: &[u8],
        now: Timestamp,
    ) -> Result<String, Fault> {
        match signature {
            Signature::None => Err(Fault::Missing),
            Signature::Own { signature, timestamp } => {
                let timestamp = fresh(timestamp.as_deref(), now)?;
                let given = unhex(signature).ok_or(Fault::Wrong)?;
                let mut good = false;
                for secret in self.secrets {
                    let key = secret.reveal().as_bytes();
                    good |= matches(own(key, timestamp, task, body), &given);
                    // It counts once, whichever task it is sent to first.
                    if self.legacy {
                        good |= matches(legacy(key, timestamp, body), &given);
                    }
                }
                if good { Ok(mark(&[b"own", &given])) } else { Err(Fault::Wrong) }
            }
            Signature::Standard { id, timestamp, signatures } => {
                let timestamp = fresh(timestamp.as_deref(), now)?;
                if id.is_empty() {
                    return Err(Fault::Wrong);
                }
                let given: Vec<Vec<u8>> = signatures
                    .split(' ')
                    .filter_map(|one| one.strip_prefix("v1,"))
                    .filter_map(|one| BASE64.decode(one).ok())
                    .take(MAX_SIGNATURES)
                    .collect();
                let mut good = false;
                for secret in self.secrets {
                    let key = derived(secret, task);
                    for one in &given {
                        good |= matches(standard(&key, id, timestamp, body), one);
                    }
                }
                if good {
                    Ok(mark(&[b"standard", task.as_str().as_bytes(), id.as_bytes()]))
                } else {
                    Err(Fault::Wrong)
                }
            }
        }
    }
}

/// Our signature in hex digits, as a client makes it.
pub fn sign(secret: &Secret, timestamp: i64, task: &TaskId, body: &[u8]) -> String {
    let key = secret.reveal().as_bytes();
    hex(&own(key, &timestamp.to_string(), task, body).finalize().into_bytes())
}

/// The secret that Standard Webhooks senders are given for one task: `whsec_…`.
pub fn standard_secret(secret: &Secret, task: &TaskId) -> Secret {
    Secret::new(format!("whsec_{}", BASE64.encode(derived(secret, task))))
}

type Sum = Hmac<Sha256>;

fn keyed(key: &[u8]) -> Sum {
    match Sum::new_from_slice(key) {
        Ok(sum) => sum,
        Err(_) => unreachable!("HMAC takes keys of every length"),
    }
}

fn own(key: &[u8], timestamp: &str, task: &TaskId, body: &[u8]) -> Sum {
    keyed(key)
        .chain_update(timestamp)
        .chain_update(".")
        .chain_update(task.as_str())
        .chain_update("\0")
        .chain_update(body)
}

fn legacy(key: &[u8], timestamp: &str, body: &[u8]) -> Sum {
    keyed(key).chain_update(timestamp).chain_update(".").chain_update(body)
}

fn standard(key: &[u8], id: &str, timestamp: &str, body: &[u8]) -> Sum {
    keyed(key)
        .chain_update(id)
        .chain_update(".")
        .chain_update(timestamp)
        .chain_update(".")
        .chain_update(body)
}

/// Begins with a word, and what is signed with the secret itself begins with a number.
fn derived(secret: &Secret, task: &TaskId) -> Vec<u8> {
    let sum = keyed(secret.reveal().as_bytes())
        .chain_update("apflow standard webhook\0")
        .chain_update(task.as_str());
    sum.finalize().into_bytes().to_vec()
}

/// Takes the same time wherever the two differ.
fn matches(sum: Sum, given: &[u8]) -> bool {
    sum.verify_slice(given).is_ok()
}

/// The timestamp as it was written, if it is near enough.
fn fresh(timestamp: Option<&str>, now: Timestamp) -> Result<&str, Fault> {
    let text = timestamp.ok_or(Fault::Time)?;
    // A sign, a space or a zero in front would sign differently and mean the same.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) || text.starts_with('0') {
        return Err(Fault::Time);
    }
    let seconds: i64 = text.parse().map_err(|_| Fault::Time)?;
    let said = Timestamp(seconds.checked_mul(1_000_000).ok_or(Fault::Time)?);
    let off = said.since(now).max(now.since(said));
    if off > TOLERANCE { Err(Fault::Time) } else { Ok(text) }
}

fn mark(parts: &[&[u8]]) -> String {
    let mut sum = Sha256::new();
    for part in parts {
        sum.update(part);
        sum.update([0]);
    }
    hex(&sum.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000_000);
    const SECONDS: i64 = 1_700_000_000;

    fn secret(text: &str) -> Secret {
        Secret::new(text)
    }

    fn check(
        secrets: &[Secret],
        legacy: bool,
        signature: &Signature,
        task: &str,
        body: &[u8],
    ) -> Result<String, Fault> {
        Keys { secrets, legacy }.check(signature, &task.into(), body, NOW)
    }

    fn signed(with: &Secret, at: i64, task: &str, body: &[u8]) -> Signature {
        Signature::Own {
            signature: sign(with, at, &task.into(), body),
            timestamp: Some(at.to_string()),
        }
    }

    #[test]
    fn w5_a_signature_is_for_one_task_one_time_and_one_body() {
        let ours = [secret("0123456789abcdef")];
        let good = signed(&ours[0], SECONDS, "a", b"body");
        assert!(check(&ours, false, &good, "a", b"body").is_ok());
        assert_eq!(check(&ours, false, &good, "b", b"body"), Err(Fault::Wrong));
        assert_eq!(check(&ours, false, &good, "a", b"bodY"), Err(Fault::Wrong));
        assert_eq!(check(&ours, false, &good, "a", b""), Err(Fault::Wrong));
        let Signature::Own { signature, .. } = good.clone() else { panic!("ours") };
        let later = Signature::Own { signature, timestamp: Some((SECONDS + 1).to_string()) };
        assert_eq!(check(&ours, false, &later, "a", b"body"), Err(Fault::Wrong));
        // Where the id ends and the body begins cannot be moved.
        let moved = signed(&ours[0], SECONDS, "a", b"b.c");
        assert_eq!(check(&ours, false, &moved, "a.b", b"c"), Err(Fault::Wrong));
        let other = [secret("0123456789abcdeX")];
        assert_eq!(check(&other, false, &good, "a", b"body"), Err(Fault::Wrong));
    }

    #[test]
    fn w1_nothing_signed_is_nothing_proven_also_over_nothing() {
        let ours = [secret("0123456789abcdef")];
        assert_eq!(check(&ours, true, &Signature::None, "a", b""), Err(Fault::Missing));
        for text in ["", "0", &"0".repeat(64), &"g".repeat(64), &"é".repeat(32)] {
            let signature =
                Signature::Own { signature: text.to_owned(), timestamp: Some(SECONDS.to_string()) };
            assert_eq!(check(&ours, true, &signature, "a", b""), Err(Fault::Wrong), "{text}");
        }
    }

    #[test]
    fn w3_a_time_that_is_missing_wrong_old_or_far_ahead_is_refused() {
        let ours = [secret("0123456789abcdef")];
        for at in [SECONDS - 600, SECONDS + 600, SECONDS - 301, SECONDS + 301, 1] {
            let signature = signed(&ours[0], at, "a", b"");
            assert_eq!(check(&ours, false, &signature, "a", b""), Err(Fault::Time), "{at}");
        }
        for at in [SECONDS - 300, SECONDS + 300] {
            assert!(check(&ours, false, &signed(&ours[0], at, "a", b""), "a", b"").is_ok(), "{at}");
        }
        let huge = format!("1{}", "0".repeat(30));
        for text in [
            None,
            Some(""),
            Some("now"),
            Some("1.7e9"),
            Some("-1"),
            Some(" 1700000000"),
            Some("01700000000"),
            Some("+1700000000"),
            Some(huge.as_str()),
        ] {
            // The signature itself is right for whatever the time says.
            let sum = own(b"0123456789abcdef", text.unwrap_or_default(), &"a".into(), b"");
            let signature = hex(&sum.finalize().into_bytes());
            let signature = Signature::Own { signature, timestamp: text.map(str::to_owned) };
            assert_eq!(check(&ours, false, &signature, "a", b""), Err(Fault::Time), "{text:?}");
        }
    }

    #[test]
    fn the_signature_of_v1_counts_only_where_it_was_asked_for() {
        let ours = [secret("0123456789abcdef")];
        let sum = legacy(b"0123456789abcdef", "1700000000", b"{}");
        let signature = hex(&sum.finalize().into_bytes());
        let signature = Signature::Own { signature, timestamp: Some("1700000000".to_owned()) };
        assert_eq!(check(&ours, false, &signature, "a", b"{}"), Err(Fault::Wrong));
        assert!(check(&ours, true, &signature, "a", b"{}").is_ok());
    }

    #[test]
    fn while_a_secret_is_replaced_both_count() {
        let both = [secret("the-new-secret-00"), secret("the-old-secret-00")];
        for by in &both {
            assert!(check(&both, false, &signed(by, SECONDS, "a", b"x"), "a", b"x").is_ok());
        }
    }

    #[test]
    fn w5_a_standard_webhook_is_signed_with_the_secret_of_its_task() {
        let ours = [secret("0123456789abcdef")];
        let given = standard_secret(&ours[0], &"a".into());
        let key = given.reveal().strip_prefix("whsec_").expect("the prefix").to_owned();
        let key = BASE64.decode(key).expect("base64");
        let sum = standard(&key, "msg_1", "1700000000", b"{}").finalize().into_bytes();
        let signatures = format!("v2,xx v1,AAAA v1,{}", BASE64.encode(sum));
        let timestamp = Some("1700000000".to_owned());
        let message = |id: &str| Signature::Standard {
            id: id.to_owned(),
            timestamp: timestamp.clone(),
            signatures: signatures.clone(),
        };
        let first = check(&ours, false, &message("msg_1"), "a", b"{}");
        assert!(first.is_ok());
        assert_eq!(check(&ours, false, &message("msg_1"), "b", b"{}"), Err(Fault::Wrong));
        assert_eq!(check(&ours, false, &message("msg_2"), "a", b"{}"), Err(Fault::Wrong));
        assert_eq!(check(&ours, false, &message("msg_1"), "a", b"{ }"), Err(Fault::Wrong));
        assert_eq!(check(&ours, false, &message(""), "a", b"{}"), Err(Fault::Wrong));
    }

    #[test]
    fn a_signature_is_known_again_and_another_one_is_not_taken_for_it() {
        let ours = [secret("0123456789abcdef")];
        let mark = |at, task: &str| {
            check(&ours, false, &signed(&ours[0], at, task, b""), task, b"").expect("good")
        };
        assert_eq!(mark(SECONDS, "a"), mark(SECONDS, "a"));
        assert_ne!(mark(SECONDS, "a"), mark(SECONDS + 1, "a"));
        assert_ne!(mark(SECONDS, "a"), mark(SECONDS, "b"));
        // The same digits in capitals are the same signature.
        let Signature::Own { signature, timestamp } = signed(&ours[0], SECONDS, "a", b"") else {
            panic!("ours")
        };
        let loud = Signature::Own { signature: signature.to_uppercase(), timestamp };
        assert_eq!(check(&ours, false, &loud, "a", b""), Ok(mark(SECONDS, "a")));
    }

    #[test]
    fn l3_debug_does_not_show_a_signature() {
        let shown = format!("{:?}", signed(&secret("0123456789abcdef"), SECONDS, "a", b""));
        assert!(!shown.contains(|c: char| c.is_ascii_digit()), "{shown}");
    }
}
