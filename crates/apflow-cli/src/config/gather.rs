//! Gathering: every value of every layer, where it came from, and which one counts.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use apflow::core::{
    code::Code,
    problem::{Problem, nearest},
};
use serde_json::{Value, json};

use super::{
    file::{self, Entry},
    key::{Key, Kind, Retired, Standing},
    layer::{Layer, Origin},
    overrides::Overrides,
    place::{Form, Place, World},
    secret,
    table::{KEYS, PLACES, RETIRED},
    value::{REFERENCE, shown},
};

/// A value somebody gave a key.
#[derive(Clone)]
pub(crate) struct Found {
    /// The value.
    pub(crate) value: Value,
    /// Who said so.
    pub(crate) origin: Origin,
    /// Why it does not count, if it does not.
    pub(crate) refused: Option<String>,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It was read.
    Read,
    /// There is none.
    Absent,
    /// It belongs to somebody else and was left alone.
    Foreign,
    /// It cannot be read.
    Broken,
}

/// Everything that was found.
pub(crate) struct Gathered {
    found: BTreeMap<&'static str, Vec<Found>>,
    /// The switches that are on.
    on: BTreeSet<&'static str>,
    /// What was ignored or is not as safe as it could be, one sentence each.
    pub(crate) warnings: Vec<String>,
    /// What is wrong; nothing may be done with it then.
    pub(crate) problems: Vec<Problem>,
    /// The files, the weakest first.
    pub(crate) files: Vec<(Place, Reading)>,
    /// The `.env` file that was read.
    pub(crate) dotenv: Option<PathBuf>,
    /// The profile that was asked for.
    pub(crate) profile: Option<String>,
    /// The root of the project one is in; without one, where one is.
    pub(crate) project: PathBuf,
}

impl Gathered {
    /// Reads everything.
    pub(crate) fn read(world: &World, overrides: &Overrides) -> Self {
        let profile = overrides.profile.clone();
        let profile = profile.or_else(|| world.variable("APFLOW_PROFILE").map(str::to_owned));
        let mut all = Self {
            found: BTreeMap::new(),
            on: BTreeSet::new(),
            warnings: Vec::new(),
            problems: Vec::new(),
            files: Vec::new(),
            dotenv: None,
            profile,
            project: world.project().unwrap_or_else(|| world.here.clone()),
        };
        let mut profiles = BTreeSet::new();
        for place in world.places(overrides.config.as_deref()) {
            all.read_file(world, place, &mut profiles);
        }
        if let Some(profile) = &all.profile
            && !profiles.contains(profile)
        {
            let known: Vec<String> = profiles.iter().cloned().collect();
            let mut problem = problem("profile", format!("there is no profile `{profile}`"));
            problem.expected = Some(if known.is_empty() {
                "a table `[profiles.NAME]` in one of the files".to_owned()
            } else {
                known.join(", ")
            });
            problem.hint = nearest(profile, profiles.iter().map(String::as_str))
                .map(|near| format!("did you mean `{near}`?"));
            all.problems.push(problem);
        }
        all.read_dotenv(world);
        all.read_environment(world, overrides);
        all.read_flags(overrides);
        all.weigh();
        all
    }

    /// Everything that was said of a key, the weakest first.
    pub(crate) fn all(&self, key: &Key) -> &[Found] {
        self.found.get(key.name).map_or(&[], Vec::as_slice)
    }

    /// The value that counts, unless it is the default.
    pub(crate) fn winner(&self, key: &Key) -> Option<&Found> {
        self.all(key).iter().rfind(|found| found.refused.is_none())
    }

    /// The value that counts.
    pub(crate) fn value(&self, key: &Key) -> Value {
        self.winner(key).map_or_else(|| key.default_value(), |found| found.value.clone())
    }

    /// Who said so.
    pub(crate) fn origin(&self, key: &Key) -> Origin {
        let default = || Origin::of(Layer::Default, None);
        self.winner(key).map_or_else(default, |found| found.origin.clone())
    }

    fn read_file(&mut self, world: &World, place: Place, profiles: &mut BTreeSet<String>) {
        let shown = place.path.display().to_string();
        let text = match file::text(&place.path) {
            Ok(Some(text)) => text,
            Ok(None) => {
                if place.named {
                    let why = format!("there is no file {shown}");
                    self.problems.push(problem("--config", why));
                }
                self.files.push((place, Reading::Absent));
                return;
            }
            Err(error) => {
                self.problems.push(problem(&shown, error.why));
                self.files.push((place, Reading::Broken));
                return;
            }
        };
        if place.layer == Layer::Project && !world.believes(&place.path) {
            self.warnings.push(format!("{shown} belongs to somebody else and is left alone"));
            self.files.push((place, Reading::Foreign));
            return;
        }
        let entries = match file::entries(&text, place.form) {
            Ok(entries) => entries,
            Err(error) => {
                let at = if error.line == 0 { shown } else { format!("{shown}:{}", error.line) };
                self.problems.push(problem(&at, error.why));
                self.files.push((place, Reading::Broken));
                return;
            }
        };
        let mut secrets = false;
        let (base, chosen): (Vec<Entry>, Vec<Entry>) =
            entries.into_iter().partition(|entry| entry.profile.is_none());
        for entry in base.into_iter().chain(chosen) {
            let of_another = entry.profile.is_some() && entry.profile != self.profile;
            profiles.extend(entry.profile.clone());
            secrets |= self.take_entry(&place, entry, of_another);
        }
        if secrets && let Some(warning) = too_open(&place.path) {
            self.warnings.push(warning);
        }
        self.files.push((place, Reading::Read));
    }

    /// Takes a value of a file, or only checks it; says whether a secret stands in it.
    fn take_entry(&mut self, place: &Place, entry: Entry, only_check: bool) -> bool {
        let Entry { name, value, line, profile } = entry;
        let at = format!("{}:{line}", place.path.display());
        let known = match place.form {
            Form::Toml => Key::named(&name),
            Form::Yaml => Key::meant(&name),
        };
        let Some(key) = known else {
            self.warnings.push(unknown_key(&at, &name));
            return false;
        };
        let base = place.path.parent().unwrap_or(Path::new("."));
        let read = match (key.kind.take(value.clone()), place.form, &value) {
            (Ok(value), ..) => Ok(value),
            // The Python versions took numbers and words as texts, too.
            (Err(_), Form::Yaml, Value::String(text)) => key.kind.parse(text),
            (Err(_), Form::Yaml, Value::Number(_) | Value::Bool(_)) => {
                key.kind.parse(&value.to_string())
            }
            (Err(expected), ..) => Err(expected),
        };
        match read {
            Ok(value) => {
                let value = anchored(key, value, base);
                let secret = holds_secret(key, &value);
                let old = (name != key.name).then_some(name);
                let file = Some((place.path.clone(), line));
                let origin = Origin { layer: place.layer, file, profile, name: old };
                if !only_check {
                    self.add(key, value, origin);
                }
                secret
            }
            Err(expected) => {
                self.problems.push(wrong(key, &at, expected, &value));
                false
            }
        }
    }

    fn read_dotenv(&mut self, world: &World) {
        for path in world.dotenv() {
            let text = match file::text(&path) {
                Ok(Some(text)) => text,
                Ok(None) => continue,
                Err(error) => {
                    let shown = path.display();
                    self.warnings.push(format!("{shown} is left alone: {}", error.why));
                    return;
                }
            };
            if !world.believes(&path) {
                let shown = path.display();
                self.warnings.push(format!("{shown} belongs to somebody else and is left alone"));
                return;
            }
            let variables: BTreeMap<String, (String, usize)> = file::dotenv(&text)
                .into_iter()
                .filter(|(name, value, _)| {
                    // It never goes over the environment, whatever key the variable is of.
                    !value.trim().is_empty() && world.variable(name).is_none()
                })
                .map(|(name, value, line)| (name, (value, line)))
                .collect();
            let secret = variables.iter().any(|(name, (value, _))| {
                Key::of_variable(name).is_some_and(|key| holds_secret(key, &json!(value)))
            });
            if secret && let Some(warning) = too_open(&path) {
                self.warnings.push(warning);
            }
            let find = |name: &str| {
                let (value, line) = variables.get(name)?;
                Some((value.as_str(), Some((path.clone(), *line))))
            };
            self.read_variables(Layer::Dotenv, find);
            self.unknown_variables(variables.keys().map(String::as_str));
            self.dotenv = Some(path.clone());
            return;
        }
    }

    fn read_environment(&mut self, world: &World, overrides: &Overrides) {
        self.read_variables(Layer::Environment, |name| Some((world.variable(name)?, None)));
        self.unknown_variables(world.variables.keys().map(String::as_str));
        let (ours, shared) =
            (world.variable("APFLOW_DATABASE_URL"), world.variable("DATABASE_URL"));
        if ours.is_some() && shared.is_some() && ours != shared && !overrides.sets("storage.url") {
            self.warnings.push(
                "APFLOW_DATABASE_URL and DATABASE_URL differ; APFLOW_DATABASE_URL is used"
                    .to_owned(),
            );
        }
    }

    fn read_variables<'a>(
        &mut self,
        layer: Layer,
        find: impl Fn(&str) -> Option<(&'a str, Option<(PathBuf, usize)>)>,
    ) {
        for key in KEYS {
            let on = key.switch.is_none_or(|switch| {
                find(switch).is_some_and(|(text, _)| Kind::Flag.parse(text) == Ok(json!(true)))
            });
            self.on.extend(key.switch.filter(|_| on));
            // The first of the names is the strongest, so it is taken last.
            for name in key.variables.iter().rev() {
                let Some((text, file)) = find(name) else { continue };
                let origin = Origin { file, ..Origin::of(layer, Some(name)) };
                let value = match key.kind.parse(text) {
                    Ok(value) => value,
                    Err(expected) if name.starts_with("APFLOW_") => {
                        let value = Value::String(text.to_owned());
                        self.problems.push(wrong(key, &origin.place(), expected, &value));
                        continue;
                    }
                    // Other programs have variables of these names, too.
                    Err(expected) => {
                        self.warnings.push(format!(
                            "{} is left alone; {} takes {expected}",
                            origin.place(),
                            key.name
                        ));
                        continue;
                    }
                };
                self.add(key, value, origin);
                if let Some(switch) = key.switch
                    && !on
                    && key.variables.last() == Some(name)
                {
                    self.refuse_last(key, format!("{switch}=1 is not set"));
                    self.warnings.push(format!("{name} has no effect without {switch}=1"));
                }
            }
        }
        for name in RETIRED.iter().flat_map(|it| it.names) {
            if find(name).is_some()
                && let Some(retired) = Retired::named(name)
            {
                self.warnings.push(format!("{name} has no effect: {}", retired.says));
            }
        }
    }

    fn unknown_variables<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let known = || {
            let of_keys = KEYS.iter().flat_map(|key| key.variables.iter().chain(&key.switch));
            of_keys.copied().chain(PLACES.iter().map(|(name, _)| *name))
        };
        for name in names {
            // Tests of apflow itself have variables, too.
            let ours = name.starts_with("APFLOW_") && !name.starts_with("APFLOW_TEST_");
            if !ours || known().any(|it| it == name) || Retired::named(name).is_some() {
                continue;
            }
            let mut told = format!("{name} is no variable that apflow knows");
            if let Some(near) = nearest(name, known()) {
                told = format!("{told}; did you mean {near}?");
            }
            self.warnings.push(told);
        }
    }

    fn read_flags(&mut self, overrides: &Overrides) {
        for given in &overrides.given {
            let Some(key) = Key::named(given.key) else { continue };
            let value = match key.kind.take(given.value.clone()) {
                Ok(value) => value,
                Err(expected) => {
                    self.problems.push(wrong(key, given.name, expected, &given.value));
                    continue;
                }
            };
            let adds = key.kind.is_list() && given.layer == Layer::Flag;
            let value = match (adds, self.value_before_trust(key), value) {
                // What is typed is added to what is configured.
                (true, Value::Array(mut items), Value::Array(more)) => {
                    items.extend(more);
                    Value::Array(items)
                }
                (_, _, value) => value,
            };
            self.add(key, value, Origin::of(given.layer, Some(given.name)));
        }
    }

    /// The list a flag adds to: without what an untrusted project says.
    fn value_before_trust(&self, key: &Key) -> Value {
        let trusted = self.trusted();
        let counts = |found: &&Found| {
            found.refused.is_none() && (trusted || !key.grants || !of_project(found.origin.layer))
        };
        self.all(key)
            .iter()
            .rfind(counts)
            .map_or_else(|| key.default_value(), |found| found.value.clone())
    }

    fn add(&mut self, key: &'static Key, value: Value, origin: Origin) {
        let found = Found { value, origin, refused: None };
        self.found.entry(key.name).or_default().push(found);
    }

    fn refuse_last(&mut self, key: &Key, why: String) {
        if let Some(found) = self.found.get_mut(key.name).and_then(|list| list.last_mut()) {
            found.refused = Some(why);
        }
    }

    /// Whether the files of this project may widen what tasks may do.
    pub(crate) fn trusted(&self) -> bool {
        let project = self.project.canonicalize().unwrap_or_else(|_| self.project.clone());
        let Some(key) = Key::named("trust.projects") else { return false };
        // Nobody vouches for himself.
        let said = self.all(key).iter().rfind(|found| !of_project(found.origin.layer));
        let list = said.and_then(|found| found.value.as_array());
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .any(|dir| Path::new(dir).canonicalize().is_ok_and(|dir| project.starts_with(dir)))
    }

    /// Takes out what does not count: grants, references and addresses of projects nobody trusts.
    fn weigh(&mut self) {
        let trusted = self.trusted();
        let mut refused = Vec::new();
        for key in KEYS {
            let Some(list) = self.found.get_mut(key.name) else { continue };
            for found in list.iter_mut().filter(|found| of_project(found.origin.layer)) {
                let vouches = key.name == "trust.projects";
                let reference = key.secret && refers(&found.value);
                if vouches || (!trusted && (key.grants || reference)) {
                    found.refused = Some("this project is not trusted".to_owned());
                    refused.push((key.name, found.origin.place()));
                }
            }
        }
        for (name, place) in refused {
            self.warnings.push(format!(
                "{place}: `{name}` does not count, because this project is not trusted; \
                 `apflow config trust` changes that"
            ));
        }
        if !trusted {
            self.keep_token_from_strangers();
        }
        for key in KEYS {
            if let Some(switch) = key.switch.filter(|switch| self.on.contains(switch))
                && self.value(key) == key.default_value()
                && let Some(list) = key.variables.last()
            {
                let flag = key.flag.unwrap_or(key.name);
                self.warnings.push(format!(
                    "{switch} alone allows nothing; name what it is for in {list} or with {flag}"
                ));
            }
        }
        let unused: Vec<String> = KEYS.iter().filter_map(|key| self.unused(key)).collect();
        self.warnings.extend(unused);
    }

    /// A token is not sent to a server that only the files of an untrusted project name.
    fn keep_token_from_strangers(&mut self) {
        let (Some(server), Some(token)) = (Key::named("api.server_url"), Key::named("api.token"))
        else {
            return;
        };
        if !self.winner(server).is_some_and(|found| of_project(found.origin.layer)) {
            return;
        }
        let mut any = false;
        for found in self.found.get_mut(token.name).into_iter().flatten() {
            let layer = found.origin.layer;
            if found.refused.is_none() && !of_project(layer) && layer != Layer::Flag {
                found.refused = Some("it would go to a server that the project names".to_owned());
                any = true;
            }
        }
        if any {
            self.warnings.push(
                "your token is not sent to the server that the files of this project name; \
                 `apflow config trust` changes that"
                    .to_owned(),
            );
        }
    }

    fn unused(&self, key: &Key) -> Option<String> {
        let Standing::Unused(why) = key.standing else { return None };
        let found = self.winner(key)?;
        // A variable like OPENAI_API_KEY is there for others.
        let of_others = found.origin.file.is_none()
            && found.origin.name.as_ref().is_some_and(|name| !name.starts_with("APFLOW_"));
        (!of_others).then(|| format!("{}: `{}` has no effect: {why}", found.origin, key.name))
    }
}

fn of_project(layer: Layer) -> bool {
    matches!(layer, Layer::Project | Layer::Dotenv)
}

/// The same value with paths that do not depend on where one is.
fn anchored(key: &Key, value: Value, base: &Path) -> Value {
    let whole = |text: &str| Value::String(base.join(text).display().to_string());
    match (key.kind, value) {
        (Kind::Path, Value::String(text)) => whole(&text),
        (Kind::Paths, Value::Array(items)) => {
            items.iter().filter_map(Value::as_str).map(whole).collect()
        }
        (_, Value::String(text)) if key.secret => secret::anchored(&text, base).into(),
        (_, Value::String(text)) if key.name == "storage.url" => match text.strip_prefix("sqlite:")
        {
            Some(path) if !path.starts_with([':', '/']) => {
                format!("sqlite:{}", base.join(path).display()).into()
            }
            _ => text.into(),
        },
        (_, value) => value,
    }
}

fn refers(value: &Value) -> bool {
    match value {
        Value::String(text) => text.starts_with(REFERENCE),
        Value::Array(items) => items.iter().any(refers),
        _ => false,
    }
}

/// Whether somebody who reads this value learns a secret.
fn holds_secret(key: &Key, value: &Value) -> bool {
    shown(key, value) != *value
}

/// A sentence if others than the owner can read a file.
fn too_open(path: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(path).ok()?.permissions().mode();
        (mode & 0o077 != 0).then(|| {
            format!("{} holds a secret, and others can read it; chmod 600 it", path.display())
        })
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

fn unknown_key(at: &str, name: &str) -> String {
    if let Some(retired) = Retired::named(name) {
        return format!("{at}: `{name}` has no effect: {}", retired.says);
    }
    let told = format!("{at}: `{name}` is no key of the configuration");
    let near = Key::meant(name).map(|key| key.name);
    match near.or_else(|| nearest(name, KEYS.iter().map(|key| key.name))) {
        Some(near) => format!("{told}; did you mean `{near}`?"),
        None => told,
    }
}

fn wrong(key: &Key, at: &str, expected: String, value: &Value) -> Problem {
    let mut problem = problem(key.name, format!("{at}: this value cannot be used"));
    // What was meant as a secret or an address may be one even if it is wrong.
    let actual = match value {
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(_) => "a table".to_owned(),
        other if key.secret => super::value::shown(key, &json!(other.to_string())).to_string(),
        Value::String(text) => format!("\"{}\"", super::value::without_password(text)),
        other => other.to_string(),
    };
    problem.actual = Some(actual);
    problem.expected = Some(expected);
    problem.hint = Some(format!("apflow config explain {}", key.name));
    problem
}

fn problem(field: &str, reason: String) -> Problem {
    Problem {
        code: Code::Config,
        task: None,
        field: Some(field.to_owned()),
        detail: reason.clone(),
        reason,
        expected: None,
        actual: None,
        path: Vec::new(),
        hint: None,
    }
}
