//! What the workers write outside the engine: effects, acknowledged submissions, and trouble.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::Mutex,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Result, doing};

/// The directory of one run: the logs, and the word that enough was submitted.
#[derive(Debug, Clone)]
pub struct RunDir(PathBuf);

impl RunDir {
    /// The directory at `path`, made if it is not there.
    pub fn at(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(doing(path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Tells the worker that submits to stop doing so.
    pub fn say_enough(&self) -> Result<()> {
        fs::write(self.0.join("enough"), "").map_err(doing("saying that it is enough"))
    }

    /// Whether the worker should submit no more.
    pub fn is_enough(&self) -> bool {
        self.0.join("enough").exists()
    }

    /// Notes that this process has nothing more to submit.
    pub fn say_submitted(&self) -> Result<()> {
        let id = std::process::id().to_string();
        fs::write(self.0.join("submitted"), id).map_err(doing("saying that all is submitted"))
    }

    /// Whether this process has said so.
    pub fn has_submitted(&self, process: u32) -> bool {
        let said = fs::read_to_string(self.0.join("submitted")).unwrap_or_default();
        said == process.to_string()
    }

    /// The effects so far, in the order in which they happened.
    pub fn effects(&self) -> Result<Vec<Effect>> {
        let path = self.0.join("effects");
        let Ok(text) = fs::read_to_string(&path) else { return Ok(Vec::new()) };
        // A line without an end was being written when its writer was killed.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let read =
            |line| serde_json::from_str(line).map_err(doing(format_args!("effect `{line}`")));
        whole.lines().map(read).collect()
    }

    /// Whether a process is in the middle of a task, as far as the end of the log tells.
    pub fn is_busy(&self, process: u32) -> bool {
        let mut tail = Vec::new();
        let read = File::open(self.0.join("effects")).and_then(|mut file| {
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(16 << 10)))?;
            file.read_to_end(&mut tail)
        });
        if read.is_err() {
            return false;
        }
        let text = String::from_utf8_lossy(&tail);
        let mut open = HashSet::new();
        for effect in text.lines().filter_map(|line| serde_json::from_str::<Effect>(line).ok()) {
            match effect.what {
                What::Start { task, token, .. } if effect.pid == process => {
                    open.insert((task, token));
                }
                What::End { task, token, .. } if effect.pid == process => {
                    open.remove(&(task, token));
                }
                _ => {}
            }
        }
        !open.is_empty()
    }

    /// How many trees were acknowledged; they were submitted in order.
    pub fn acknowledged(&self) -> u64 {
        let text = fs::read_to_string(self.0.join("acknowledged")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().count() as u64
    }

    /// Opens the logs for writing.
    pub fn open(&self) -> Result<Logs> {
        let open = |name: &str| {
            let path = self.0.join(name);
            let file = OpenOptions::new().create(true).append(true).open(&path);
            file.map_err(doing(path.display()))
        };
        Ok(Logs { effects: open("effects")?, acknowledged: Mutex::new(open("acknowledged")?) })
    }
}

/// The logs of one run, open for writing.
#[derive(Debug)]
pub struct Logs {
    effects: File,
    acknowledged: Mutex<File>,
}

impl Logs {
    /// Adds a line in one write, so that lines of several processes never mix.
    pub fn happened(&self, what: What) {
        let at_us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let effect = Effect {
            pid: std::process::id(),
            at_us: u64::try_from(at_us).unwrap_or(u64::MAX),
            what,
        };
        let mut line = serde_json::to_string(&effect).unwrap_or_default();
        line.push('\n');
        if let Err(error) = (&self.effects).write_all(line.as_bytes()) {
            // Without its log the worker proves nothing.
            let _ = writeln!(std::io::stderr(), "the log of effects cannot be written: {error}");
            std::process::exit(70);
        }
    }

    /// Notes that one more tree is stored; on disk when it returns.
    pub fn acknowledge(&self, tree: u64) -> Result<()> {
        let mut file = self.acknowledged.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.write_all(format!("{tree}\n").as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(doing("noting an acknowledged tree"))
    }
}

/// One line of the log of effects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// The process that wrote it.
    pub pid: u32,
    /// When, for the reader; the order of the lines is what counts.
    pub at_us: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A worker is at work.
    Ready,
    /// An attempt began.
    Start {
        /// The task.
        task: String,
        /// Its fencing token.
        token: i64,
        /// Counted from 1.
        attempt: u32,
        /// Fingerprints of the results it was given.
        saw: Map<String, Value>,
    },
    /// An attempt came to its end and is about to be reported.
    End {
        /// The task.
        task: String,
        /// Its fencing token.
        token: i64,
        /// Fingerprint of the result.
        result: String,
    },
    /// The engine refused an outcome.
    Refused {
        /// Why.
        why: String,
    },
    /// Time took so many tasks away from workers or back to them.
    Lapsed {
        /// How many.
        changed: u32,
    },
    /// The store could not do what it was asked.
    Trouble {
        /// What was asked.
        doing: String,
        /// The kind of error.
        kind: String,
        /// What it said.
        error: String,
    },
}

/// A short text that differs where two values do.
pub fn fingerprint(value: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_half_a_line_is_not() {
        let place = tempfile::tempdir().unwrap();
        let dir = RunDir::at(place.path()).unwrap();
        let logs = dir.open().unwrap();
        let end = What::End { task: "a".into(), token: 3, result: "x".into() };
        assert!(!dir.is_busy(std::process::id()));
        let saw = Map::new();
        let start = What::Start { task: "a".into(), token: 3, attempt: 1, saw };
        logs.happened(start.clone());
        assert!(dir.is_busy(std::process::id()));
        logs.happened(end.clone());
        assert!(!dir.is_busy(std::process::id()));
        logs.acknowledge(0).unwrap();
        (&logs.effects).write_all(b"{\"pid\":").unwrap();
        let effects = dir.effects().unwrap();
        assert_eq!(effects.iter().map(|effect| &effect.what).collect::<Vec<_>>(), [&start, &end]);
        assert_eq!(dir.acknowledged(), 1);
    }

    #[test]
    fn a_fingerprint_tells_values_apart() {
        assert_eq!(fingerprint(&"a".into()), fingerprint(&"a".into()));
        assert_ne!(fingerprint(&"a".into()), fingerprint(&"b".into()));
    }
}
