//! API tokens: made of 256 random bits, kept as their SHA-256, compared in constant time; pure.

use std::fmt::Write as _;

use apflow_core::{api::Caller, secret::Secret, store::ApiToken, time::Timestamp};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// What every API token begins with, so that scanners for lost secrets find it.
pub const PREFIX: &str = "apf_";

/// Random bytes of a token.
pub const RANDOM: usize = 32;

/// A token that was just made: the only moment at which it can be shown.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The token itself.
    pub token: Secret,
    /// What is kept of it.
    pub digest: String,
}

impl NewToken {
    /// The token of these random bytes.
    pub fn of(random: [u8; RANDOM]) -> Self {
        let token = format!("{PREFIX}{}", hex(&random));
        let digest = hex(&Sha256::digest(&token));
        Self { token: Secret::new(token), digest }
    }
}

/// An API token that somebody configured: its digest, and who it speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredToken {
    /// The SHA-256 of the token in hex digits.
    pub digest: String,
    /// The owner whose tasks it may see; only an admin's token has none.
    pub user_id: Option<String>,
    /// It may see everybody's.
    pub admin: bool,
    /// It may change nothing.
    pub read_only: bool,
    /// When it stops working, if ever.
    pub expires_at: Option<Timestamp>,
}

impl ConfiguredToken {
    /// The token with this digest, for an owner or, without one, for an admin.
    pub fn new(digest: &str, user_id: Option<String>) -> Result<Self, String> {
        let digest = digest.trim().to_ascii_lowercase();
        if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("the hash of an API token has 64 hex digits; `apflow token create \
                        --hash-only` prints one"
                .to_owned());
        }
        if user_id.as_deref() == Some("") {
            return Err("the user of an API token has a name".to_owned());
        }
        let admin = user_id.is_none();
        Ok(Self { digest, user_id, admin, read_only: false, expires_at: None })
    }
}

/// The digest of what has the form of an API token.
pub fn digest(text: &str) -> Option<String> {
    text.starts_with(PREFIX).then(|| hex(&Sha256::digest(text)))
}

/// Whether two digests are the same, in a time that does not depend on where they differ.
pub fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// Who a token of this digest speaks for; every configured one is looked at, found or not.
pub fn among(tokens: &[ConfiguredToken], digest: &str, now: Timestamp) -> Option<Caller> {
    let mut found = None;
    for token in tokens {
        if same(&token.digest, digest) && token.expires_at.is_none_or(|until| now < until) {
            found = Some(Caller {
                user_id: token.user_id.clone(),
                admin: token.admin,
                read_only: token.read_only,
                verified: true,
            });
        }
    }
    found
}

/// Who a token of the database speaks for.
pub fn caller(token: &ApiToken) -> Caller {
    Caller {
        user_id: token.user_id.clone(),
        admin: token.admin,
        read_only: token.read_only,
        verified: true,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    #[test]
    fn a_token_can_be_found_by_a_scanner_and_is_not_what_is_kept() {
        let made = NewToken::of([7; RANDOM]);
        let text = made.token.reveal();
        assert!(text.starts_with("apf_") && text.len() == 4 + 64, "{text}");
        assert_eq!(digest(text), Some(made.digest.clone()));
        assert!(!made.digest.contains("0707"));
        assert_ne!(NewToken::of([8; RANDOM]).digest, made.digest);
        assert_eq!(digest("eyJ.x.y"), None);
        assert!(!format!("{made:?}").contains(text), "l3");
    }

    #[test]
    fn a_configured_token_speaks_for_its_user_until_it_expires() {
        let made = NewToken::of([7; RANDOM]);
        let other = NewToken::of([8; RANDOM]);
        let mut mine =
            ConfiguredToken::new(&made.digest.to_uppercase(), Some("u1".into())).expect("good");
        let admin = ConfiguredToken::new(&other.digest, None).expect("good");
        let of = |tokens: &[ConfiguredToken], digest: &str| among(tokens, digest, NOW);
        let both = [mine.clone(), admin];
        assert_eq!(of(&both, &made.digest).map(|it| it.user_id), Some(Some("u1".to_owned())));
        assert_eq!(of(&both, &other.digest).map(|it| it.admin), Some(true));
        assert_eq!(of(&both, &NewToken::of([9; RANDOM]).digest), None);
        mine.expires_at = Some(NOW);
        assert_eq!(of(&[mine], &made.digest), None);
        for wrong in ["", "abc", &"g".repeat(64), made.token.reveal()] {
            assert!(ConfiguredToken::new(wrong, None).is_err(), "{wrong}");
        }
        assert!(ConfiguredToken::new(&made.digest, Some(String::new())).is_err());
    }

    #[test]
    fn a17_digests_are_compared_whole_wherever_they_differ() {
        // What is compared is a hash of what was sent, whole and without a branch: the time says
        // nothing, and if it did, it would speak of the hash.
        let ours = NewToken::of([7; RANDOM]).digest;
        for at in [0, 31, 63] {
            let mut wrong = ours.clone().into_bytes();
            wrong[at] ^= 1;
            assert!(!same(&ours, std::str::from_utf8(&wrong).expect("ASCII")), "{at}");
        }
        assert!(same(&ours, &ours.clone()));
        assert!(!same(&ours, &ours[..63]) && !same(&ours, ""));
    }
}
