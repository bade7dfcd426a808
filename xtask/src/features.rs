//! Every feature of every library checked alone, so that none leans on another unsaid.

use serde_json::Value;

use crate::workspace;

/// The crates whose features people choose.
const CRATES: [&str; 6] = [
    "apflow-core",
    "apflow-storage",
    "apflow-executors",
    "apflow-protocols",
    "apflow-distributed",
    "apflow",
];

/// Checks each crate without features and with each one alone; a warning counts as a failure.
pub(crate) fn run() -> Result<(), String> {
    let root = workspace::root()?;
    let pairs = pairs(&workspace::metadata(&root)?);
    let mut failed = Vec::new();
    for (number, (package, feature)) in pairs.iter().enumerate() {
        let label = feature.as_deref().unwrap_or("no feature");
        println!("[{}/{}] {package}: {label}", number + 1, pairs.len());
        let mut command = workspace::cargo();
        command.current_dir(&root).args([
            "check",
            "--quiet",
            "--color",
            "never",
            "--package",
            package,
        ]);
        command.arg("--no-default-features");
        if let Some(feature) = feature {
            command.args(["--features", feature]);
        }
        let output = command.output().map_err(|error| format!("cargo did not start: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        eprint!("{said}");
        if !output.status.success() || said.contains("warning:") {
            failed.push(format!("{package} with {label}"));
        }
    }
    if failed.is_empty() {
        println!("{} combinations are clean", pairs.len());
        return Ok(());
    }
    Err(format!("{} of {} are not clean: {}", failed.len(), pairs.len(), failed.join(", ")))
}

/// Each crate with no feature and with each of its own.
fn pairs(metadata: &Value) -> Vec<(String, Option<String>)> {
    let mut pairs = Vec::new();
    for name in CRATES {
        let package = workspace::packages(metadata).iter().find(|package| package["name"] == name);
        let Some(package) = package else { continue };
        pairs.push((name.to_owned(), None));
        for feature in package["features"].as_object().into_iter().flat_map(|map| map.keys()) {
            pairs.push((name.to_owned(), Some(feature.clone())));
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crate_is_checked_bare_and_with_each_feature() {
        let metadata = serde_json::json!({"packages": [
            {"name": "apflow-storage", "features": {"default": ["sqlite"], "sqlite": []}},
            {"name": "xtask", "features": {"never": []}},
        ]});
        let expected = [None, Some("default"), Some("sqlite")]
            .map(|feature| ("apflow-storage".to_owned(), feature.map(str::to_owned)));
        assert_eq!(pairs(&metadata), expected);
    }
}
