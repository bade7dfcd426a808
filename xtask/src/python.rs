//! Python for the suites that are written in it: one virtual environment for each file in `xtask/python`.
//!
//! `NAME.txt` pins what is installed into `target/python/NAME`; its interpreter is exported to the tests as
//! `APFLOW_TEST_PYTHON_NAME`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{postgres, workspace};

/// Makes every environment and tells the tests where it is.
///
/// Where one cannot be made the reason is printed and the variable is left out: the tests that need it
/// fail and the others run.
pub(crate) fn export(root: &Path, command: &mut Command) -> Result<(), String> {
    for file in files(&root.join("xtask/python"))? {
        let name = name_of(&file);
        match environment(root, &name, &file) {
            Ok(python) => {
                command.env(variable(&name), python);
            }
            Err(why) => println!("xtask: no Python for `{name}`, its tests will fail: {why}"),
        }
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let broken = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(broken)? {
        let path = entry.map_err(broken)?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn name_of(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// `apflow-client` is `APFLOW_TEST_PYTHON_APFLOW_CLIENT`.
fn variable(name: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let name: String = name.chars().map(plain).collect();
    format!("APFLOW_TEST_PYTHON_{}", name.to_ascii_uppercase())
}

/// The interpreter of an environment that holds what the file pins; an old one is made anew.
fn environment(root: &Path, name: &str, file: &Path) -> Result<PathBuf, String> {
    let pinned = std::fs::read_to_string(file).map_err(|error| format!("{name}.txt: {error}"))?;
    let place = root.join("target/python").join(name);
    let (python, stamp) = (place.join("bin/python"), place.join("pinned.txt"));
    if python.exists() && std::fs::read_to_string(&stamp).is_ok_and(|old| old == pinned) {
        return Ok(python);
    }
    make_sure_of_python()?;
    println!("xtask: making a Python environment for `{name}`");
    if let Some(parent) = place.parent() {
        std::fs::create_dir_all(parent).map_err(|error| format!("target/python: {error}"))?;
    }
    quiet(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&place))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    quiet(Command::new(&python).args(pip).arg(file))?;
    // Written last: an environment that was begun and not finished is made anew.
    std::fs::write(&stamp, pinned).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(python)
}

/// Python with its module for environments: as it is, or after installing it.
fn make_sure_of_python() -> Result<(), String> {
    let works = || {
        let mut command = Command::new("python3");
        command.args(["-c", "import venv, ensurepip"]).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if works() {
        return Ok(());
    }
    postgres::install(&["python3", "python3-venv"])?;
    if works() { Ok(()) } else { Err("python3 has no working module `venv`".to_owned()) }
}

/// Runs a command that has nothing to say unless it fails.
fn quiet(command: &mut Command) -> Result<(), String> {
    workspace::output(command.stdin(Stdio::null())).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_a_name_that_every_shell_takes() {
        assert_eq!(variable("schemathesis"), "APFLOW_TEST_PYTHON_SCHEMATHESIS");
        assert_eq!(variable("apflow-client.v1"), "APFLOW_TEST_PYTHON_APFLOW_CLIENT_V1");
    }

    #[test]
    fn every_package_of_every_environment_is_pinned() {
        let files = files(&workspace::root().unwrap().join("xtask/python")).unwrap();
        assert!(!files.is_empty());
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let packages = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
            for package in packages {
                assert!(package.contains("=="), "{}: {package}", file.display());
            }
        }
    }

    #[test]
    fn an_environment_is_made_once_and_anew_when_its_pins_change() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("none.txt");
        std::fs::write(&file, "# nothing\n").unwrap();
        let python = environment(root.path(), "none", &file).unwrap();
        let mark = python.parent().unwrap().join("mark");
        std::fs::write(&mark, "").unwrap();
        assert_eq!(environment(root.path(), "none", &file).unwrap(), python);
        assert!(mark.exists(), "it was kept");
        std::fs::write(&file, "# nothing else\n").unwrap();
        environment(root.path(), "none", &file).unwrap();
        assert!(!mark.exists(), "it was made anew");
    }
}
