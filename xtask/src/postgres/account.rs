//! Who runs the server: PostgreSQL refuses to run as root.

use std::{fs, os::unix::process::CommandExt, path::Path, process::Command};

/// An account that is not root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    /// Its number.
    pub uid: u32,
    /// The number of its group.
    pub gid: u32,
}

impl Account {
    /// The account the server has to run as; none if we are not root and it runs as ourselves.
    pub(super) fn for_server() -> Result<Option<Self>, String> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd")
            .map_err(|error| format!("/etc/passwd cannot be read: {error}"))?;
        match Self::in_passwd(&accounts) {
            Some(account) => Ok(Some(account)),
            None => Err("PostgreSQL does not run as root, and there is neither an account \
                         `postgres` nor `nobody` to run it as; run the tests as another user"
                .to_owned()),
        }
    }

    fn in_passwd(accounts: &str) -> Option<Self> {
        ["postgres", "nobody"].iter().find_map(|wanted| {
            accounts.lines().find_map(|line| {
                let fields: Vec<&str> = line.split(':').collect();
                let [name, _, uid, gid, ..] = fields[..] else { return None };
                let found = Self { uid: uid.parse().ok()?, gid: gid.parse().ok()? };
                (name == *wanted && found.uid != 0).then_some(found)
            })
        })
    }

    /// Makes a command run as this account, without the groups of root.
    pub(super) fn run(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Gives a directory to this account.
    pub(super) fn own(self, path: &Path) -> Result<(), String> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .map_err(|error| format!("{} cannot be given away: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_postgresql_is_preferred_and_root_is_never_taken() {
        let nobody = "root:x:0:0::/:/bin/sh\nnobody:x:65534:65533::/:/bin/false\n";
        assert_eq!(Account::in_passwd(nobody), Some(Account { uid: 65534, gid: 65533 }));
        let both = format!("{nobody}postgres:x:101:104::/:/bin/sh\n");
        assert_eq!(Account::in_passwd(&both), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(Account::in_passwd("postgres:x:0:0::/:/bin/sh\nbroken\n"), None);
    }
}
