//! One process a file: a lock beside the database that the system drops with the process.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
};

use apflow_core::store::StoreError;

/// The lock, as long as this value lives.
pub(super) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock of the database at `path`, or says which process has it.
    pub(super) fn take(path: &str) -> Result<Self, StoreError> {
        let name = format!("{path}-lock");
        let cannot = |error: std::io::Error| StoreError::Unavailable {
            what: format!("opening {name}: {error}"),
            source: Some(Box::new(error)),
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&name)
            .map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim();
                let who = if holder.is_empty() {
                    "another process".to_owned()
                } else {
                    format!("process {holder}")
                };
                return Err(StoreError::Locked {
                    what: format!("{who} has the database {path}"),
                    hint: format!(
                        "stop it, send the command to it over HTTP, or use PostgreSQL, which many \
                         processes can share; reading works meanwhile (holder: {holder})"
                    ),
                });
            }
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        // The number only serves the message above; the lock does not depend on it.
        let _ = file.set_len(0);
        let _ = file.rewind();
        let _ = write!(file, "{}", std::process::id());
        let _ = file.flush();
        Ok(Self { _file: file })
    }
}
