//! Where configuration is looked for: files of the system, the user and the project, those of the
//! Python versions among them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::layer::Layer;

/// Everything outside of the process that configuration depends on.
#[derive(Clone)]
pub(crate) struct World {
    /// The environment, without variables that are blank.
    pub(crate) variables: BTreeMap<String, String>,
    /// Where the command was called.
    pub(crate) here: PathBuf,
    /// The directory of the system's file.
    pub(crate) system: PathBuf,
    /// Who calls; files of other people in a project are not believed.
    pub(crate) user: Option<u32>,
}

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Ours.
    Toml,
    /// Of a Python version.
    Yaml,
}

/// A file that may be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which layer it belongs to.
    pub(crate) layer: Layer,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// How it is written.
    pub(crate) form: Form,
    /// It was named, so it has to be there.
    pub(crate) named: bool,
}

/// The name of our files.
const FILE: &str = "config.toml";
/// The name of a project's file.
const PROJECT: &str = "apflow.toml";
/// What the two Python versions called theirs.
const V1: &str = "config.cli.yaml";
const V2: &str = "apflow.yaml";

/// What the root of a project holds.
const MARKERS: [&str; 6] =
    [".git", "pyproject.toml", "setup.py", "Cargo.toml", "package.json", "requirements.txt"];

impl World {
    /// The world of this process.
    pub(crate) fn here() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(_, value)| !value.trim().is_empty())
            .collect();
        Self {
            variables,
            here: std::env::current_dir().unwrap_or_default(),
            system: PathBuf::from("/etc/apflow"),
            #[cfg(unix)]
            user: Some(rustix::process::geteuid().as_raw()),
            #[cfg(not(unix))]
            user: None,
        }
    }

    /// A variable that is set and not blank.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    fn home(&self) -> Option<PathBuf> {
        self.variable("HOME").map(PathBuf::from).filter(|home| home.is_absolute())
    }

    /// The directory of the user's file.
    fn user_directory(&self) -> Option<PathBuf> {
        if let Some(named) = self.variable("APFLOW_CONFIG_DIR") {
            return Some(self.here.join(named));
        }
        let xdg = self.variable("XDG_CONFIG_HOME").map(PathBuf::from);
        let base = xdg.filter(|path| path.is_absolute());
        base.or_else(|| Some(self.home()?.join(".config"))).map(|base| base.join("apflow"))
    }

    /// The root of the project one is in: the nearest directory upwards with a file of ours, else with
    /// something that marks a project.
    pub(crate) fn project(&self) -> Option<PathBuf> {
        let home = self.home();
        let last = |dir: &Path| home.as_deref() == Some(dir);
        let mut marked = None;
        for dir in self.here.ancestors() {
            let ours = |name: &&str| {
                let path = dir.join(name);
                // A stranger's file somewhere above does not make his directory the project.
                path.is_file() && self.believes(&path)
            };
            if [PROJECT, ".apflow/config.toml"].iter().any(ours) {
                return Some(dir.to_owned());
            }
            if marked.is_none() && MARKERS.iter().any(|name| dir.join(name).exists()) {
                marked = Some(dir.to_owned());
            }
            // Above the home directory are other people's.
            if last(dir) {
                break;
            }
        }
        marked
    }

    /// Every file that may be there, the weakest first; `named` is what `--config` says.
    pub(crate) fn places(&self, named: Option<&Path>) -> Vec<Place> {
        let mut places = Vec::new();
        let mut add = |layer, path: PathBuf, form, named| {
            let place = Place { layer, path, form, named };
            if !places.iter().any(|it: &Place| it.path == place.path) {
                places.push(place);
            }
        };
        add(Layer::System, self.system.join(FILE), Form::Toml, false);
        if let Some(dir) = self.user_directory() {
            if self.variable("APFLOW_CONFIG_DIR").is_some() {
                add(Layer::User, dir.join(V1), Form::Yaml, false);
            } else if let Some(home) = self.home() {
                add(Layer::User, home.join(".aipartnerup/apflow").join(V1), Form::Yaml, false);
                add(Layer::User, home.join(".aiperceivable/apflow").join(V2), Form::Yaml, false);
            }
            add(Layer::User, dir.join(FILE), Form::Toml, false);
        }
        let project = self.project();
        let root = project.as_deref().unwrap_or(&self.here);
        add(Layer::Project, root.join(".data").join(V1), Form::Yaml, false);
        add(Layer::Project, root.join(V2), Form::Yaml, false);
        add(Layer::Project, self.here.join(V2), Form::Yaml, false);
        add(Layer::Project, root.join(".apflow").join(FILE), Form::Toml, false);
        add(Layer::Project, root.join(PROJECT), Form::Toml, false);
        let chosen = named.or_else(|| self.variable("APFLOW_CONFIG").map(Path::new));
        if let Some(path) = chosen {
            let path = self.here.join(path);
            // What is named counts as named, wherever else it would have been found.
            places.retain(|it| it.path != path);
            let yaml = path.extension().is_some_and(|it| it == "yaml" || it == "yml");
            let form = if yaml { Form::Yaml } else { Form::Toml };
            places.push(Place { layer: Layer::Named, path, form, named: true });
        }
        places
    }

    /// The `.env` files that may be there; the first one that is there counts.
    pub(crate) fn dotenv(&self) -> Vec<PathBuf> {
        let mut paths = vec![self.here.join(".env")];
        paths.extend(self.project().map(|root| root.join(".env")).filter(|it| *it != paths[0]));
        paths
    }

    /// Where a value of this layer is written.
    pub(crate) fn written(&self, layer: Layer, named: Option<&Path>) -> Option<PathBuf> {
        let places = self.places(named);
        let of_layer = |it: &&Place| it.layer == layer && it.form == Form::Toml;
        if layer == Layer::Project
            && let Some(place) = places.iter().rfind(|it| of_layer(it) && it.path.is_file())
        {
            return Some(place.path.clone());
        }
        places.iter().rfind(of_layer).map(|place| place.path.clone())
    }

    /// Whether a file belongs to somebody whose word counts here: the caller or the administrator.
    pub(crate) fn believes(&self, path: &Path) -> bool {
        let (Some(user), Some(owner)) = (self.user, owner(path)) else { return true };
        owner == user || owner == 0
    }
}

#[cfg(unix)]
fn owner(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    Some(std::fs::metadata(path).ok()?.uid())
}

#[cfg(not(unix))]
fn owner(_: &Path) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::bed::Bed;

    fn found(bed: &Bed, named: Option<&str>) -> Vec<(Layer, String)> {
        let places = bed.world.places(named.map(Path::new));
        let root = bed.root().to_owned();
        let shown = |path: &Path| path.strip_prefix(&root).unwrap_or(path).display().to_string();
        places.into_iter().map(|it| (it.layer, shown(&it.path))).collect()
    }

    #[test]
    fn places_are_in_the_order_of_their_strength_and_ours_over_the_old_ones() {
        let mut bed = Bed::new();
        bed.file("here/apflow.toml", "");
        bed.world.here = bed.path("here/deep/below");
        let want = [
            (Layer::System, "etc/config.toml"),
            (Layer::User, "home/.aipartnerup/apflow/config.cli.yaml"),
            (Layer::User, "home/.aiperceivable/apflow/apflow.yaml"),
            (Layer::User, "home/.config/apflow/config.toml"),
            (Layer::Project, "here/.data/config.cli.yaml"),
            (Layer::Project, "here/apflow.yaml"),
            (Layer::Project, "here/deep/below/apflow.yaml"),
            (Layer::Project, "here/.apflow/config.toml"),
            (Layer::Project, "here/apflow.toml"),
            (Layer::Named, "here/deep/below/mine.toml"),
        ];
        let want: Vec<_> = want.iter().map(|(layer, path)| (*layer, (*path).to_owned())).collect();
        assert_eq!(found(&bed, Some("mine.toml")), want);
    }

    #[test]
    fn a_directory_that_is_named_replaces_the_users_places() {
        let mut bed = Bed::new();
        bed.set("APFLOW_CONFIG_DIR", bed.path("conf").to_str().expect("a plain path"));
        let users: Vec<String> = found(&bed, None)
            .into_iter()
            .filter(|(layer, _)| *layer == Layer::User)
            .map(|(_, path)| path)
            .collect();
        assert_eq!(users, ["conf/config.cli.yaml", "conf/config.toml"]);
        let mut bed = Bed::new();
        bed.set("XDG_CONFIG_HOME", bed.path("xdg").to_str().expect("a plain path"));
        assert!(found(&bed, None).iter().any(|(_, path)| path == "xdg/apflow/config.toml"));
    }

    #[test]
    fn the_search_for_a_project_ends_at_the_home_directory() {
        let mut bed = Bed::new();
        bed.file("apflow.toml", "");
        bed.world.here = bed.path("home/work");
        assert_eq!(bed.world.project(), None);
        bed.file("home/work/.git/HEAD", "");
        bed.world.here = bed.path("home/work/sub");
        assert_eq!(bed.world.project(), Some(bed.path("home/work")));
    }
}
