//! Programs the tests need and Rust does not bring: found, or installed from the distribution.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use super::find::{Found, find};
use crate::workspace;

/// Installs what `$@` names, and `postgresql` without the server Debian would start by itself.
///
/// The package makes and starts a cluster called "main" unless this setting says no; the setting is
/// put back, so that the machine is as if somebody had installed the package by hand.
const SCRIPT: &str = r#"
set -eu
export DEBIAN_FRONTEND=noninteractive
# Servers that packages bring are not started in this run level.
export RUNLEVEL=1
apt-get update -qq
for package in "$@"; do
    if [ "$package" != postgresql ]; then
        apt-get install -qq --no-install-recommends "$package"
        continue
    fi
    apt-get install -qq --no-install-recommends postgresql-common
    setting=/etc/postgresql-common/createcluster.conf
    saved=$(mktemp)
    cp -p "$setting" "$saved"
    trap 'cp -p "$saved" "$setting"; rm -f "$saved"' EXIT
    echo 'create_main_cluster = false' >"$setting"
    apt-get install -qq --no-install-recommends postgresql
done
"#;

/// PostgreSQL and `strace`: as they are, or after installing them; an error names what is missing.
pub(crate) fn make_sure_of_programs() -> Result<Found, String> {
    let missing = missing();
    if !missing.is_empty() {
        install(&missing)?;
    }
    find().ok_or_else(|| cannot_have(&["postgresql"], "it is not where it is looked for"))
}

/// Installs packages of the distribution, or says what is missing and why it stays so.
pub(crate) fn install(missing: &[&str]) -> Result<(), String> {
    let command = installer(missing, on_path("apt-get"), is_root(), sudo_works())?;
    println!("xtask: installing {} from the distribution", missing.join(" and "));
    workspace::run(Command::new(&command[0]).args(&command[1..]).stdin(Stdio::null()))
        .map_err(|_| cannot_have(missing, "apt-get could not install it"))
}

fn missing() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if find().is_none() {
        missing.push("postgresql");
    }
    // The crash tests stop a process at its n-th write with it; only Linux has it.
    if cfg!(target_os = "linux") && !on_path("strace") {
        missing.push("strace");
    }
    missing
}

/// The command that installs packages here, or what the reader has to do himself.
fn installer(missing: &[&str], apt: bool, root: bool, sudo: bool) -> Result<Vec<String>, String> {
    if !apt {
        return Err(cannot_have(missing, "there is no apt-get here to install it"));
    }
    let before: &[&str] = match (root, sudo) {
        (true, _) => &[],
        (false, true) => &["sudo", "-n"],
        (false, false) => {
            return Err(cannot_have(missing, "installing needs root, and `sudo -n` does not work"));
        }
    };
    let words = before.iter().chain(&["sh", "-c", SCRIPT, "sh"]).chain(missing);
    Ok(words.map(|word| (*word).to_owned()).collect())
}

fn cannot_have(missing: &[&str], why: &str) -> String {
    format!(
        "the tests need {}, and {why}. Install {} (on Debian: `apt-get install {}`), then run the \
         command again; PostgreSQL is looked for on PATH and in /usr/lib/postgresql/*/bin",
        missing.join(" and "),
        if missing.len() == 1 { "it" } else { "them" },
        missing.join(" "),
    )
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn sudo_works() -> bool {
    let mut command = Command::new("sudo");
    command.args(["-n", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |directory: std::path::PathBuf| Path::new(&directory).join(program).is_file();
    std::env::split_paths(&path).any(there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_installs_directly_and_others_through_sudo() {
        let direct = installer(&["postgresql"], true, true, false).unwrap();
        assert_eq!(direct[..2], ["sh", "-c"]);
        assert_eq!(direct[3..], ["sh", "postgresql"]);
        let sudo = installer(&["strace"], true, false, true).unwrap();
        assert_eq!(sudo[..4], ["sudo", "-n", "sh", "-c"]);
    }

    #[test]
    fn who_cannot_install_is_told_what_is_missing() {
        for (apt, root) in [(false, true), (true, false)] {
            let told = installer(&["postgresql", "strace"], apt, root, false).unwrap_err();
            assert!(told.contains("apt-get install postgresql strace"), "{told}");
        }
    }

    #[test]
    fn the_script_is_a_shell_script() {
        let checked = Command::new("sh").args(["-n", "-c", SCRIPT]).status().unwrap();
        assert!(checked.success());
    }
}
