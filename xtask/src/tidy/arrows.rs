//! Who may depend on whom.

use std::path::Path;

use serde_json::Value;

use super::Finding;
use crate::workspace::{self, File};

/// What each of our crates may depend on, tests apart; the arrows of ARCHITECTURE.md.
const ARROWS: &[(&str, &[&str])] = &[
    ("apflow-core", &[]),
    ("apflow-storage", &["apflow-core"]),
    ("apflow-executors", &["apflow-core"]),
    ("apflow-protocols", &["apflow-core"]),
    ("apflow-distributed", &["apflow-core"]),
    (
        "apflow",
        &[
            "apflow-core",
            "apflow-storage",
            "apflow-executors",
            "apflow-protocols",
            "apflow-distributed",
        ],
    ),
    ("apflow-cli", &["apflow"]),
    ("apflow-examples", &["apflow"]),
    ("xtask", &["apflow-core"]),
    // The benchmark measures every layer, so it may see every layer.
    (
        "apflow-bench",
        &[
            "apflow",
            "apflow-core",
            "apflow-storage",
            "apflow-executors",
            "apflow-protocols",
            "apflow-distributed",
        ],
    ),
];

/// Crates that core must not reach by any path: sockets, databases, HTTP.
const OUT_OF_REACH: [&str; 9] =
    ["sqlx", "sqlx-core", "libsqlite3-sys", "mio", "socket2", "reqwest", "hyper", "axum", "rustls"];

/// Every dependency between our crates that [`ARROWS`] does not draw.
pub(super) fn between_crates(metadata: &Value, files: &[File]) -> Vec<Finding> {
    let packages = workspace::packages(metadata);
    let ours: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut findings = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let manifest = manifest_of(package, metadata);
        let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else {
            let say =
                format!("`{name}` has no arrows; say in xtask/src/tidy/arrows.rs whom it may know");
            findings.push(Finding::new("arrow", &manifest, 1, say));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["name"].as_str().unwrap_or_default();
            let for_tests = dependency["kind"] == "dev";
            if for_tests || !ours.contains(&to) || allowed.contains(&to) {
                continue;
            }
            let say = format!(
                "`{name}` depends on `{to}`; it may know {}. Move what it needs to a crate below both, or pass it in as a trait of apflow-core",
                if allowed.is_empty() { "no crate of ours".to_owned() } else { allowed.join(", ") }
            );
            let line = line_of_dependency(files, &manifest, to);
            findings.push(Finding::new("arrow", &manifest, line, say));
        }
    }
    findings
}

fn manifest_of(package: &Value, metadata: &Value) -> String {
    let full = package["manifest_path"].as_str().unwrap_or_default();
    let root = metadata["workspace_root"].as_str().unwrap_or_default();
    full.strip_prefix(root).unwrap_or(full).trim_start_matches('/').to_owned()
}

/// The line that names a dependency in the tables that are not for tests; 1 if none is found.
fn line_of_dependency(files: &[File], manifest: &str, dependency: &str) -> usize {
    let Some(file) = files.iter().find(|file| file.path == manifest) else { return 1 };
    let mut for_tests = false;
    for (at, line) in file.text.lines().enumerate() {
        if line.starts_with('[') {
            for_tests = line.contains("dev-dependencies");
        }
        let rest = line.strip_prefix(dependency);
        if !for_tests && rest.is_some_and(|rest| rest.starts_with(['.', ' ', '='])) {
            return at + 1;
        }
    }
    1
}

/// What `cargo tree` says apflow-core reaches with every feature on.
pub(super) fn tree_of_core(root: &Path) -> Result<String, String> {
    workspace::output(
        workspace::cargo()
            .current_dir(root)
            .args(["tree", "--package", "apflow-core", "--edges", "normal"])
            .args(["--prefix", "none", "--all-features"]),
    )
}

/// Every forbidden crate in what [`tree_of_core`] returned.
pub(super) fn core_reaches(tree: &str) -> Vec<Finding> {
    let reached = |name: &&str| tree.lines().any(|line| line.split(' ').next() == Some(*name));
    OUT_OF_REACH
        .into_iter()
        .filter(reached)
        .map(|name| {
            let say = format!(
                "apflow-core reaches `{name}`, and core does no IO: find the way with `cargo tree -p apflow-core -e normal -i {name}` and cut it"
            );
            Finding::new("reach", "crates/apflow-core/Cargo.toml", 1, say)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workspace_where(from: &str, to: &str, kind: &Value) -> Value {
        json!({"workspace_root": "/r", "packages": [
            {"name": from, "manifest_path": format!("/r/crates/{from}/Cargo.toml"),
             "dependencies": [{"name": to, "kind": kind}, {"name": "serde", "kind": null}]},
            {"name": to, "manifest_path": format!("/r/crates/{to}/Cargo.toml"), "dependencies": []},
        ]})
    }

    #[test]
    fn an_arrow_that_is_not_drawn_is_found_on_its_line() {
        let metadata = workspace_where("apflow-protocols", "apflow-storage", &Value::Null);
        let manifest = File {
            path: "crates/apflow-protocols/Cargo.toml".to_owned(),
            text: "[dev-dependencies]\napflow-storage.workspace = true\n[dependencies]\napflow-storage.workspace = true\n"
                .to_owned(),
        };
        let found = between_crates(&metadata, &[manifest]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (found[0].path.as_str(), found[0].line),
            ("crates/apflow-protocols/Cargo.toml", 4)
        );
        assert!(found[0].say.contains("may know apflow-core"), "{}", found[0].say);
    }

    #[test]
    fn core_knows_nobody_and_the_cli_only_the_facade() {
        for (from, to) in [("apflow-core", "apflow-storage"), ("apflow-cli", "apflow-core")] {
            assert_eq!(between_crates(&workspace_where(from, to, &Value::Null), &[]).len(), 1);
            assert_eq!(between_crates(&workspace_where(from, to, &json!("build")), &[]).len(), 1);
        }
        assert!(
            between_crates(&workspace_where("apflow-cli", "apflow", &Value::Null), &[]).is_empty()
        );
    }

    #[test]
    fn tests_may_know_anybody() {
        let metadata = workspace_where("apflow-protocols", "apflow-storage", &json!("dev"));
        assert_eq!(between_crates(&metadata, &[]), []);
    }

    #[test]
    fn a_crate_without_arrows_is_asked_for_them() {
        let metadata = workspace_where("apflow-new", "apflow-core", &Value::Null);
        let found = between_crates(&metadata, &[]);
        assert!(found[0].say.contains("has no arrows"), "{found:?}");
    }

    #[test]
    fn core_may_reach_tokio_and_no_socket() {
        assert_eq!(core_reaches("apflow-core v0.1.0\ntokio v1.48.0\nmiow v1\n"), []);
        let found = core_reaches("tokio v1.48.0\nmio v1.0.0\nhyper v1.0.0 (*)\n");
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
