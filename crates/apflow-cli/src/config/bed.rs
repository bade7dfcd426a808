//! A world of its own for tests: a home, a project and an environment that nobody else has.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{gather::Gathered, key::Key, overrides::Overrides, place::World, settings::Settings};
use crate::error::CliError;

pub(crate) struct Bed {
    dir: TempDir,
    root: PathBuf,
    pub(crate) world: World,
    pub(crate) over: Overrides,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().canonicalize().expect("it is there");
        fs::create_dir_all(root.join("here")).expect("a directory");
        let world = World {
            variables: [("HOME".to_owned(), root.join("home").display().to_string())].into(),
            here: root.join("here"),
            system: root.join("etc"),
            user: World::here().user,
        };
        let mut bed = Self { dir, root, world, over: Overrides::default() };
        // So that nothing above it is taken for the project.
        bed.file("here/.git/HEAD", "");
        bed
    }

    pub(crate) fn root(&self) -> &Path {
        assert!(self.dir.path().exists());
        &self.root
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn file(&mut self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(&path, text).expect("a file");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        }
        path
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.world.variables.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn gathered(&self) -> Gathered {
        Gathered::read(&self.world, &self.over)
    }

    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        Settings::of(&self.world, &self.over)
    }

    /// The value of a key and its origin, with the paths of this bed cut short.
    #[track_caller]
    pub(crate) fn value(&self, name: &str) -> (serde_json::Value, String) {
        let gathered = self.gathered();
        let key = Key::named(name).expect("a key");
        let origin = gathered.origin(key).to_string();
        let root = format!("{}/", self.root.display());
        (gathered.value(key), origin.replace(&root, ""))
    }
}
