//! A test file that no `mod` names is never compiled, and nobody notices.

use std::collections::BTreeMap;

use super::Finding;
use crate::{rust_source::RustSource, workspace::File};

/// Finds files and folders beside a `tests/main.rs` that it does not name.
pub(super) fn every_test_file_is_named(files: &[File]) -> Vec<Finding> {
    let mut crates: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for file in files {
        let Some((package, inside)) = file.path.split_once("/tests/") else { continue };
        let name = match inside.split_once('/') {
            None => inside.strip_suffix(".rs"),
            Some((folder, rest)) => (rest == "mod.rs").then_some(folder),
        };
        if let Some(name) = name
            && is_package(package, files)
        {
            crates.entry(package).or_default().push((name, &file.path));
        }
    }
    crates.into_iter().flat_map(|(package, names)| in_package(package, &names, files)).collect()
}

fn is_package(directory: &str, files: &[File]) -> bool {
    let manifest = format!("{directory}/Cargo.toml");
    files.iter().any(|file| file.path == manifest)
}

fn in_package(package: &str, names: &[(&str, &str)], files: &[File]) -> Vec<Finding> {
    let text_of =
        |path: &str| files.iter().find(|file| file.path == path).map(|file| file.text.as_str());
    let mut findings = Vec::new();
    let Some(main) = text_of(&format!("{package}/tests/main.rs")) else {
        for (name, path) in names {
            let say = format!(
                "one test binary per crate: make {package}/tests/main.rs and write `mod {name};` into it"
            );
            findings.push(Finding::new("forgotten", path, 1, say));
        }
        return findings;
    };
    let code: String = RustSource::read(main).code.iter().collect();
    let words: Vec<&str> = code.split_whitespace().collect();
    let others: Vec<_> = names.iter().filter(|(name, _)| *name != "main").collect();
    for (name, path) in &others {
        let statement = format!("{name};");
        if !words.windows(2).any(|pair| pair[0] == "mod" && pair[1] == statement) {
            let say = format!(
                "this file is never compiled into the tests; write `mod {name};` into {package}/tests/main.rs"
            );
            findings.push(Finding::new("forgotten", path, 1, say));
        }
    }
    let manifest = format!("{package}/Cargo.toml");
    let alone = text_of(&manifest).is_some_and(|text| {
        text.lines().any(|line| line.split_whitespace().collect::<String>() == "autotests=false")
    });
    if !others.is_empty() && !alone {
        let say = "cargo makes every file in tests/ a binary of its own: write `autotests = false` under [package], and `[[test]]` with name = \"main\" and path = \"tests/main.rs\"";
        findings.push(Finding::new("forgotten", &manifest, 1, say));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(manifest: &str, main: Option<&str>, others: &[&str]) -> Vec<String> {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        let mut files = vec![file("crates/a/Cargo.toml", manifest)];
        files.extend(main.map(|text| file("crates/a/tests/main.rs", text)));
        files.extend(others.iter().map(|name| file(&format!("crates/a/tests/{name}"), "")));
        every_test_file_is_named(&files).into_iter().map(|finding| finding.path).collect()
    }

    const ALONE: &str = "[package]\nautotests = false\n";

    #[test]
    fn a_file_without_a_mod_is_forgotten() {
        let main = "//! mod races;\nmod leases;\n";
        assert_eq!(found(ALONE, Some(main), &["leases.rs"]), [""; 0]);
        assert_eq!(
            found(ALONE, Some(main), &["leases.rs", "races.rs", "model/mod.rs", "data/v1.rs"]),
            ["crates/a/tests/races.rs", "crates/a/tests/model/mod.rs"]
        );
    }

    #[test]
    fn a_test_beside_no_main_is_asked_to_have_one() {
        assert_eq!(found(ALONE, None, &["races.rs"]), ["crates/a/tests/races.rs"]);
    }

    #[test]
    fn files_are_not_compiled_twice() {
        assert_eq!(found("[package]\n", Some("mod a;"), &["a.rs"]), ["crates/a/Cargo.toml"]);
        assert_eq!(found("[package]\n", Some("fn a() {}"), &[]), [""; 0], "one file needs nothing");
    }
}
