//! The words of a command line, taken out one by one until nothing is left.

use std::str::FromStr;

use apflow::prelude::Durability;

use super::Result;

/// What is left of a command line.
#[derive(Debug)]
pub struct Words(Vec<String>);

impl Words {
    /// The words as they came.
    pub fn new(words: &[String]) -> Self {
        Self(words.to_vec())
    }

    /// Takes `--name VALUE` out.
    pub fn value<T: FromStr>(&mut self, name: &str) -> Result<Option<T>> {
        let Some(at) = self.0.iter().position(|word| word.strip_prefix("--") == Some(name)) else {
            return Ok(None);
        };
        if at + 1 >= self.0.len() {
            return Err(format!("--{name} needs a value after it"));
        }
        let value = self.0.remove(at + 1);
        self.0.remove(at);
        value.parse().map(Some).map_err(|_| format!("--{name} cannot be `{value}`"))
    }

    /// Takes `--name` out; true if it was there.
    pub fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|word| word.strip_prefix("--") != Some(name));
        self.0.len() < before
    }

    /// What `--relaxed` says.
    pub fn durability(&mut self) -> Durability {
        if self.flag("relaxed") { Durability::Relaxed } else { Durability::Strict }
    }

    /// Complains about whatever nobody asked for.
    pub fn nothing_is_left(self) -> Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some(word) => Err(format!("`{word}` is not understood; see docs/guides/chaos.md")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_once_and_the_rest_is_an_error() {
        let mut words = Words::new(&["--kills", "3", "--relaxed", "x"].map(str::to_owned));
        assert_eq!(words.value("kills"), Ok(Some(3)));
        assert_eq!(words.value::<u64>("kills"), Ok(None));
        assert_eq!(words.durability(), Durability::Relaxed);
        assert!(!words.flag("relaxed"));
        assert!(words.nothing_is_left().unwrap_err().contains("`x`"));
        assert!(Words::new(&["--kills".to_owned()]).value::<u64>("kills").is_err());
        assert!(Words::new(&["--kills", "y"].map(str::to_owned)).value::<u64>("kills").is_err());
    }
}
