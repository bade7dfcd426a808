//! Where a value comes from.

use std::{fmt, path::PathBuf};

/// Whose word a value is; the later one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    /// Nobody's: the table has it.
    Default,
    /// The administrator's.
    System,
    /// The user's own.
    User,
    /// The project's.
    Project,
    /// A file that was named by `--config` or `APFLOW_CONFIG`.
    Named,
    /// A `.env` file.
    Dotenv,
    /// The environment.
    Environment,
    /// The command line.
    Flag,
    /// `config.set` on a running server, until it ends.
    Running,
}

impl Layer {
    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::System => "system",
            Self::User => "user",
            Self::Project => "project",
            Self::Named => "named file",
            Self::Dotenv => ".env",
            Self::Environment => "environment",
            Self::Flag => "flag",
            Self::Running => "running server",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The place a value stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Whose word it is.
    pub(crate) layer: Layer,
    /// The file and the line, if it is in one.
    pub(crate) file: Option<(PathBuf, usize)>,
    /// The profile of that file.
    pub(crate) profile: Option<String>,
    /// What it is called there: a variable, a flag, an old key.
    pub(crate) name: Option<String>,
}

impl Origin {
    /// An origin without a file.
    pub(crate) fn of(layer: Layer, name: Option<&str>) -> Self {
        Self { layer, file: None, profile: None, name: name.map(str::to_owned) }
    }

    /// Where exactly, without the layer: `apflow.toml:3`, `APFLOW_API_PORT`, `--port`.
    pub(crate) fn place(&self) -> String {
        let mut parts = Vec::new();
        if let Some((path, line)) = &self.file {
            parts.push(match line {
                0 => path.display().to_string(),
                line => format!("{}:{line}", path.display()),
            });
        }
        if let Some(profile) = &self.profile {
            parts.push(format!("profile {profile}"));
        }
        parts.extend(self.name.clone());
        parts.join(", ")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place();
        if place.is_empty() { self.layer.fmt(f) } else { write!(f, "{}: {place}", self.layer) }
    }
}
