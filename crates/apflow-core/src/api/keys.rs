//! Keys of language models by owner and provider: in memory only, never shown, never stored.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use crate::secret::Secret;

/// Keys that are kept at most.
const MOST: usize = 10_000;

/// The keys people left with this process; they are gone when it ends.
#[derive(Debug, Default)]
pub(super) struct LlmKeys {
    kept: Mutex<BTreeMap<(String, String), Secret>>,
}

impl LlmKeys {
    /// Keeps a key; false if there are too many.
    pub(super) fn set(&self, owner: &str, provider: &str, key: Secret) -> bool {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (owner.to_owned(), provider.to_owned());
        if kept.len() >= MOST && !kept.contains_key(&place) {
            return false;
        }
        kept.insert(place, key);
        true
    }

    /// The key to use: that of the provider, or any if none is named.
    pub(super) fn of(&self, owner: &str, provider: Option<&str>) -> Option<Secret> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match provider {
            Some(provider) => kept.get(&(owner.to_owned(), provider.to_owned())).cloned(),
            None => kept.iter().find(|((whose, _), _)| whose == owner).map(|(_, key)| key.clone()),
        }
    }

    /// The providers of which there is a key.
    pub(super) fn providers(&self, owner: &str) -> Vec<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let own = kept.keys().filter(|(whose, _)| whose == owner);
        own.map(|(_, provider)| provider.clone()).collect()
    }

    /// Forgets the key of one provider, or all of them; says how many went.
    pub(super) fn delete(&self, owner: &str, provider: Option<&str>) -> usize {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let before = kept.len();
        kept.retain(|(whose, of), _| whose != owner || provider.is_some_and(|one| one != of));
        before - kept.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l1_a_kept_key_is_found_by_its_owner_and_shown_to_nobody() {
        let keys = LlmKeys::default();
        assert!(keys.set("ann", "openai", Secret::new("CANARY4")));
        assert!(!format!("{keys:?}").contains("CANARY4"));
        let found = keys.of("ann", None).expect("kept");
        assert_eq!(found.reveal(), "CANARY4");
        assert_eq!((keys.of("ann", Some("other")), keys.of("bob", None)), (None, None));
        assert_eq!(keys.providers("ann"), ["openai"]);
        assert_eq!((keys.delete("bob", None), keys.delete("ann", Some("openai"))), (0, 1));
        assert_eq!(keys.of("ann", None), None);
    }

    #[test]
    fn the_number_of_keys_is_bounded() {
        let keys = LlmKeys::default();
        for n in 0..MOST {
            assert!(keys.set(&n.to_string(), "p", Secret::new("k")));
        }
        assert!(!keys.set("one more", "p", Secret::new("k")));
        assert!(keys.set("0", "p", Secret::new("another")), "one may be replaced");
    }
}
