//! Keeps what callers send along out of the database: sealed under a key that only the operator has.

use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};

use super::SigningKey;

/// Seals and opens.
pub(super) struct Seal {
    key: [u8; 32],
}

impl Seal {
    pub(super) fn new(key: &SigningKey) -> Self {
        Self { key: key.derived("apflow callback targets, version 1") }
    }

    fn key(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&CHACHA20_POLY1305, &self.key).ok().map(LessSafeKey::new)
    }

    /// The text, readable only with the key and only as part of what `of` names.
    pub(super) fn close(&self, text: &str, of: &str) -> Option<String> {
        // Chosen at random each time; one key seals far fewer than 2^32 targets.
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut bytes = text.as_bytes().to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.key()?.seal_in_place_append_tag(unique, Aad::from(of), &mut bytes).ok()?;
        Some(hex(&nonce) + &hex(&bytes))
    }

    /// The text that was sealed, if this is the key and nobody changed it.
    pub(super) fn open(&self, sealed: &str, of: &str) -> Option<String> {
        let mut bytes = unhex(sealed)?;
        if bytes.len() < NONCE_LEN {
            return None;
        }
        let mut rest = bytes.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).ok()?;
        let text = self.key()?.open_in_place(nonce, Aad::from(of), &mut rest).ok()?;
        String::from_utf8(text.to_vec()).ok()
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let nibble = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(secret: &str) -> Seal {
        Seal::new(&SigningKey::new(secret).expect("a secret"))
    }

    #[test]
    fn what_is_sealed_opens_only_with_its_key_and_in_its_place() {
        let mine = seal("a secret of some length");
        let sealed = mine.close("CANARY §", "cb-1").expect("sealed");
        assert!(!sealed.contains("CANARY"));
        assert_eq!(mine.open(&sealed, "cb-1").as_deref(), Some("CANARY §"));
        assert_eq!(mine.open(&sealed, "cb-2"), None, "it was moved to another row");
        assert_eq!(seal("a secret of another length").open(&sealed, "cb-1"), None);
        assert_ne!(mine.close("CANARY §", "cb-1").as_deref(), Some(sealed.as_str()));
        for at in [0, 30, sealed.len() - 1] {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).expect("digits");
            assert_eq!(mine.open(&changed, "cb-1"), None);
        }
        for broken in ["", "0", "zz", "00", "é"] {
            assert_eq!(mine.open(broken, "cb-1"), None);
        }
    }
}
