//! The ids people type: in full, by their beginning, or on standard input.

use std::io::Read as _;

use apflow::core::code::Code;
use serde_json::json;

use super::Door;
use crate::error::CliError;

/// Candidates that are listed.
const LISTED: usize = 10;
/// The most that is read from standard input.
const MOST: u64 = 64 << 20;

impl Door {
    /// The ids that were meant, each once, in the order in which they came.
    pub(crate) async fn ids(&self, typed: &[String]) -> Result<Vec<String>, CliError> {
        let mut ids: Vec<String> = Vec::with_capacity(typed.len());
        let mut known = std::collections::HashSet::new();
        for word in given(typed)? {
            let id = self.id(&word).await?;
            if known.insert(id.clone()) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// The id that was meant: itself, or the only one that begins like it.
    ///
    /// Where none fits, the word is left as it is, and the call says that there is no such task.
    pub(crate) async fn id(&self, typed: &str) -> Result<String, CliError> {
        if typed.is_empty() || is_whole(typed) {
            return Ok(typed.to_owned());
        }
        let params = json!({ "id_prefix": typed, "root_only": false, "limit": LISTED + 1 });
        let found = match self.call("tasks.list", params).await {
            Ok(found) => found,
            // What cannot be the beginning of an id is told by the call it is meant for.
            Err(error) if error.code() == Some(Code::InvalidParams) => return Ok(typed.to_owned()),
            Err(error) => return Err(error),
        };
        let begins = |id: &&str| id.starts_with(typed);
        // A server that does not know `id_prefix` sends whatever it has.
        let mut ids: Vec<&str> = found
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it["id"].as_str())
            .filter(begins)
            .collect();
        ids.sort_unstable();
        match ids.as_slice() {
            [] => Ok(typed.to_owned()),
            [only] => Ok((*only).to_owned()),
            [first, ..] if *first == typed => Ok(typed.to_owned()),
            several => Err(ambiguous(typed, several)),
        }
    }
}

/// An id that apflow made up; nothing else begins like it.
fn is_whole(id: &str) -> bool {
    let at = |place| [8, 13, 18, 23].contains(&place);
    id.len() == 36
        && id
            .bytes()
            .enumerate()
            .all(|(place, byte)| if at(place) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}

fn ambiguous(typed: &str, several: &[&str]) -> CliError {
    let mut listed = several.iter().take(LISTED).copied().collect::<Vec<_>>().join("\n");
    if several.len() > LISTED {
        listed.push_str("\n…");
    }
    CliError::new(Code::AmbiguousId, format!("several ids begin with `{typed}`"))
        .because(listed)
        .help("type more of the one you mean")
}

/// What was typed, with the words of standard input in place of `-`.
fn given(typed: &[String]) -> Result<Vec<String>, CliError> {
    let mut words = Vec::with_capacity(typed.len());
    let mut read = false;
    for word in typed {
        if word != "-" {
            words.push(word.clone());
            continue;
        }
        if std::mem::replace(&mut read, true) {
            return Err(CliError::usage("`-` stands twice, and standard input can be read once"));
        }
        let mut text = String::new();
        std::io::stdin().lock().take(MOST).read_to_string(&mut text).map_err(|error| {
            CliError::usage("standard input cannot be read").because(error.to_string())
        })?;
        words.extend(lines(&text));
    }
    if words.is_empty() {
        return Err(CliError::usage("standard input names no task")
            .help("write one id a line, as `-o id` does"));
    }
    Ok(words)
}

/// One id a line: ids may hold spaces.
fn lines(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_ours_is_known_by_its_form() {
        assert!(is_whole("01976f3e-7b2a-7c11-8a3e-2f1b9d0c4e5f"));
        assert!(!is_whole("01976f3e-7b2a-7c11-8a3e-2f1b9d0c4e5"));
        assert!(!is_whole("01976f3e07b2a07c1108a3e02f1b9d0c4e5f"));
        assert!(!is_whole("top"));
    }

    #[test]
    fn several_that_fit_are_listed_and_not_all_of_a_thousand() {
        let all: Vec<String> = (0..30).map(|number| format!("a{number:02}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let told = format!("{:?}", ambiguous("a", &all));
        assert!(told.contains("a00") && told.contains('…'), "{told}");
        assert!(!told.contains("a10"), "{told}");
    }

    #[test]
    fn one_id_stands_on_a_line_of_its_own() {
        let found: Vec<String> = lines(" a b \n\nc\n").collect();
        assert_eq!(found, ["a b", "c"]);
    }
}
