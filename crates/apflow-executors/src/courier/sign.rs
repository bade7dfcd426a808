//! The proof that a delivery comes from here and was not changed on the way.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;

/// The shortest secret: less can be guessed.
const SHORTEST: usize = 16;
/// What the secrets of Standard Webhooks begin with.
const PREFIX: &str = "whsec_";

/// A secret that both sides share.
#[derive(Clone)]
pub struct SigningKey {
    bytes: Vec<u8>,
}

/// Never shown.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(***)")
    }
}

impl SigningKey {
    /// Reads a secret: `whsec_` and base64, or any text of at least 16 bytes taken as it is.
    pub fn new(secret: &str) -> Result<Self, String> {
        let bytes = match secret.strip_prefix(PREFIX) {
            Some(encoded) => STANDARD
                .decode(encoded)
                .map_err(|_| format!("what follows `{PREFIX}` in the secret is not base64"))?,
            None => secret.as_bytes().to_vec(),
        };
        if bytes.len() < SHORTEST {
            return Err(format!(
                "the secret has {} bytes, and fewer than {SHORTEST} can be guessed",
                bytes.len()
            ));
        }
        Ok(Self { bytes })
    }

    fn mac(&self, parts: &[&str]) -> hmac::Tag {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.bytes);
        let mut context = hmac::Context::with_key(&key);
        for part in parts {
            context.update(part.as_bytes());
        }
        context.sign()
    }

    /// `v1,` and base64 of the code over `id.timestamp.body`.
    pub fn standard(&self, id: &str, at: &str, body: &str) -> String {
        format!("v1,{}", STANDARD.encode(self.mac(&[id, ".", at, ".", body])))
    }

    /// The code over `timestamp.body` in hexadecimal, as apflow wants it of those who call it.
    pub fn own(&self, at: &str, body: &str) -> String {
        super::seal::hex(self.mac(&[at, ".", body]).as_ref())
    }

    /// A key for another purpose that tells nothing of this one.
    pub(super) fn derived(&self, purpose: &str) -> [u8; 32] {
        let tag = self.mac(&[purpose]);
        let mut key = [0; 32];
        key.copy_from_slice(tag.as_ref());
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_the_specification_shows() {
        // The example of the Standard Webhooks libraries.
        let key = SigningKey::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let signed =
            key.standard("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_part_is_signed() {
        let key = SigningKey::new("a secret of some length").expect("a secret");
        let signed = key.standard("a", "1", "{}");
        for (id, at, body) in [("b", "1", "{}"), ("a", "2", "{}"), ("a", "1", "{ }")] {
            assert_ne!(key.standard(id, at, body), signed);
        }
        let other = SigningKey::new("a secret of another length").expect("a secret");
        assert_ne!(other.standard("a", "1", "{}"), signed);
        assert_eq!(key.own("1", "{}").len(), 64);
    }

    #[test]
    fn a_secret_that_can_be_guessed_is_refused() {
        for secret in ["", "short", "whsec_c2hvcnQ=", "whsec_not base64!"] {
            assert!(SigningKey::new(secret).is_err(), "{secret}");
        }
        assert_eq!(format!("{:?}", SigningKey::new("CANARYCANARYCANARY")), "Ok(SigningKey(***))");
    }
}
