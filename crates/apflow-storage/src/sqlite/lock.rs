//! One process a file: a lock beside the database that the system drops with the process.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    time::Duration,
};

use apflow_core::store::StoreError;

/// The lock, as long as this value lives.
pub(super) struct FileLock {
    _file: File,
}

/// How long a store of this process that was dropped may take to finish what it had accepted.
const CLOSING: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Why the lock was not taken.
enum Held {
    /// This process has it, perhaps only until a store that was dropped has closed.
    ByUs(StoreError),
    /// Nothing will change soon.
    For(StoreError),
}

impl FileLock {
    /// Takes the lock of the database at `path`, or says which process has it.
    pub(super) async fn take(path: &str) -> Result<Self, StoreError> {
        let mut waited = Duration::ZERO;
        loop {
            match Self::try_take(path) {
                Ok(lock) => return Ok(lock),
                Err(Held::ByUs(_)) if waited < CLOSING => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                    waited += LOOK_AGAIN;
                }
                Err(Held::ByUs(error) | Held::For(error)) => return Err(error),
            }
        }
    }

    /// Which process has the database at `path`, as far as is known; none if nobody has it.
    pub(super) fn holder(path: &str) -> Option<String> {
        let mut file = File::open(format!("{path}-lock")).ok()?;
        match file.try_lock_shared() {
            // A shared lock is given back at once, so whoever wants the database hardly notices.
            Ok(()) | Err(TryLockError::Error(_)) => None,
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).ok()?;
                Some(holder.trim().to_owned())
            }
        }
    }

    fn try_take(path: &str) -> Result<Self, Held> {
        let name = format!("{path}-lock");
        let cannot = |error: std::io::Error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                let folder =
                    std::path::Path::new(path).parent().unwrap_or(std::path::Path::new("."));
                return Held::For(StoreError::Address {
                    what: format!("there is no folder {} for {path}", folder.display()),
                    hint: format!("make it: mkdir -p {}", folder.display()),
                });
            }
            Held::For(StoreError::Unavailable {
                what: format!("opening {name}: {error}"),
                source: Some(Box::new(error)),
            })
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
                let error = StoreError::Locked {
                    what: format!("{who} has the database {path}"),
                    hint: "stop it, send the command to it over HTTP, or use PostgreSQL, which \
                           many processes can share; reading works meanwhile"
                        .to_owned(),
                };
                let ours = holder == std::process::id().to_string();
                return Err(if ours { Held::ByUs(error) } else { Held::For(error) });
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
