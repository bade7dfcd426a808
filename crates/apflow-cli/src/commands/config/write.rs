//! Changing the files of the configuration.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{args::Target, tell::key};
use crate::{
    config::{
        Overrides, document,
        gather::Gathered,
        key::{Key, Standing},
        layer::Layer,
        place::{Form, World},
        value::REFERENCE,
        write::{Draft, write},
    },
    error::{CliError, Exit},
    show,
};

/// The file a command writes, and whose it is.
struct Chosen {
    layer: Layer,
    path: PathBuf,
}

/// The one that was asked for; else the named file, the project's if there is one, or the user's.
fn choose(
    world: &World,
    overrides: &Overrides,
    target: &Target,
    secret: bool,
) -> Result<Chosen, CliError> {
    let named = overrides.config.as_deref();
    if let Some(place) = world.places(named).iter().find(|it| it.named && it.form == Form::Yaml)
        && !(target.user || target.project || target.system)
    {
        return Err(CliError::usage(format!("{} cannot be changed", place.path.display()))
            .because("files of the Python versions are read and not written")
            .help("name a TOML file with --config, or say --user"));
    }
    let of = |layer| world.written(layer, named).map(|path| Chosen { layer, path });
    let asked = match target {
        Target { user: true, .. } => Some(Layer::User),
        Target { project: true, .. } => Some(Layer::Project),
        Target { system: true, .. } => Some(Layer::System),
        _ => None,
    };
    let chosen = match asked {
        Some(layer) => of(layer),
        None => of(Layer::Named)
            // What lies in a project is soon in its history, and secrets do not belong there.
            .or_else(|| of(Layer::Project).filter(|it| !secret && it.path.is_file()))
            .or_else(|| of(Layer::User)),
    };
    chosen.ok_or_else(|| {
        CliError::usage("there is no place for that file")
            .because("neither HOME nor XDG_CONFIG_HOME is set")
            .help("name a file with --config FILE")
    })
}

fn said(what: &str, chosen: &Chosen) {
    show::say(&format!(
        "{what} {} ({})",
        show::plain(&chosen.path.display().to_string()),
        chosen.layer
    ));
}

pub(super) fn set(
    world: &World,
    overrides: &Overrides,
    typed: &str,
    value: &str,
    target: &Target,
) -> Result<Exit, CliError> {
    let key = key(typed)?;
    let text = if value == "-" { from_standard_input()? } else { value.to_owned() };
    if key.secret && value != "-" && !value.starts_with(REFERENCE) {
        show::warn(
            "a secret on the command line can be seen by others and stays in the history; \
             write `-` and give it on standard input",
        );
    }
    let new = key.kind.parse(&text).map_err(|expected| {
        let what = format!("{} takes {expected}", key.name);
        let told = CliError::usage(what);
        if key.secret { told } else { told.because(format!("`{text}` is something else")) }
    })?;
    let chosen = choose(world, overrides, target, key.secret)?;
    if chosen.layer == Layer::Project && key.name == "trust.projects" {
        return Err(
            CliError::usage("a project cannot vouch for itself").help("apflow config trust")
        );
    }
    put(&chosen, key, overrides.profile.as_deref(), &new)?;
    said(&format!("{} is set in", key.name), &chosen);
    if chosen.layer == Layer::Project && key.secret {
        show::warn("this file is part of the project; do not hand it on with a secret in it");
    }
    if let Standing::Unused(why) = key.standing {
        show::warn(&format!("{} has no effect: {why}", key.name));
    }
    warn_of_others(world, overrides, key, &chosen);
    Ok(Exit::Ok)
}

/// Says it if something else goes over what was just written.
fn warn_of_others(world: &World, overrides: &Overrides, key: &Key, chosen: &Chosen) {
    let gathered = Gathered::read(world, overrides);
    let origin = gathered.origin(key);
    if origin.file.as_ref().is_none_or(|(path, _)| *path != chosen.path) {
        show::warn(&format!(
            "that does not count here; {origin} does (`apflow config explain {}`)",
            key.name
        ));
    }
}

fn put(chosen: &Chosen, key: &Key, profile: Option<&str>, new: &Value) -> Result<(), CliError> {
    let mut draft = Draft::open(chosen.path.clone())?;
    draft.set(key, profile, new)?;
    draft.save()
}

fn from_standard_input() -> Result<String, CliError> {
    const MOST: u64 = 1 << 16;
    let mut text = String::new();
    std::io::stdin().take(MOST).read_to_string(&mut text).map_err(|error| {
        CliError::usage("standard input cannot be read").because(error.to_string())
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

pub(super) fn unset(
    world: &World,
    overrides: &Overrides,
    typed: &str,
    target: &Target,
) -> Result<Exit, CliError> {
    let key = key(typed)?;
    let asked = target.user || target.project || target.system;
    let mut chosen = choose(world, overrides, target, false)?;
    let mut draft = Draft::open(chosen.path.clone())?;
    let mut was = draft.unset(key, overrides.profile.as_deref())?;
    if !was && !asked && chosen.layer == Layer::Project {
        // Where nobody said which file, the user's is meant if the project's has no such key.
        chosen = choose(world, overrides, &Target { user: true, ..Target::default() }, false)?;
        draft = Draft::open(chosen.path.clone())?;
        was = draft.unset(key, overrides.profile.as_deref())?;
    }
    if was {
        draft.save()?;
        said(&format!("{} is taken out of", key.name), &chosen);
    } else {
        said(&format!("{} is not in", key.name), &chosen);
    }
    Ok(Exit::Ok)
}

pub(super) fn reset(
    world: &World,
    overrides: &Overrides,
    target: &Target,
    yes: bool,
) -> Result<Exit, CliError> {
    let chosen = choose(world, overrides, target, false)?;
    if !chosen.path.is_file() {
        said("there is no", &chosen);
        return Ok(Exit::Ok);
    }
    if !yes {
        return Err(CliError::usage(format!("{} would be put aside", chosen.path.display()))
            .help("say --yes to do it"));
    }
    let mut aside = chosen.path.clone().into_os_string();
    aside.push(".old");
    std::fs::rename(&chosen.path, &aside).map_err(|error| {
        CliError::usage(format!("{} cannot be put aside", chosen.path.display()))
            .because(error.to_string())
    })?;
    said(&format!("put aside as {}:", Path::new(&aside).display()), &chosen);
    Ok(Exit::Ok)
}

pub(super) fn init(
    world: &World,
    overrides: &Overrides,
    target: &Target,
    force: bool,
) -> Result<Exit, CliError> {
    let chosen = choose(world, overrides, target, false)?;
    if chosen.path.exists() && !force {
        return Err(CliError::usage(format!("{} is there already", chosen.path.display()))
            .exiting(Exit::Conflict)
            .help(
                "say --force to write over it, or --user, --project or --system for another one",
            ));
    }
    write(&chosen.path, &document::template(chosen.layer), chosen.layer == Layer::User)?;
    said("wrote", &chosen);
    Ok(Exit::Ok)
}

pub(super) fn init_server(
    world: &World,
    overrides: &Overrides,
    url: &str,
) -> Result<Exit, CliError> {
    let user = Target { user: true, ..Target::default() };
    set(world, overrides, "api.server_url", url, &user)?;
    show::say("a token is made on the server and then given to `apflow config set api.token -`");
    Ok(Exit::Ok)
}

/// Writes into the user's file that a project is trusted, or no longer.
pub(super) fn trust(
    world: &World,
    overrides: &Overrides,
    dir: Option<&Path>,
    trusted: bool,
) -> Result<Exit, CliError> {
    let project = match dir {
        Some(dir) => world.here.join(dir),
        None => world.project().unwrap_or_else(|| world.here.clone()),
    };
    let project = project.canonicalize().map_err(|error| {
        CliError::usage(format!("{} is not there", project.display())).because(error.to_string())
    })?;
    let key = key("trust.projects")?;
    let user = Target { user: true, ..Target::default() };
    let chosen = choose(world, &Overrides::default(), &user, false)?;
    // Only the user's own list is written; others keep theirs.
    let gathered = Gathered::read(world, overrides);
    let own = gathered
        .all(key)
        .iter()
        .rfind(|found| found.origin.file.as_ref().is_some_and(|(path, _)| *path == chosen.path));
    let mut list: Vec<PathBuf> = own
        .and_then(|found| found.value.as_array())
        .into_iter()
        .flatten()
        .filter_map(|dir| dir.as_str().map(PathBuf::from))
        .filter(|dir| *dir != project)
        .collect();
    if trusted {
        list.push(project.clone());
    }
    put(&chosen, key, None, &json!(list))?;
    let now = if trusted { "trusted" } else { "no longer trusted" };
    said(&format!("{} is {now}, says", show::plain(&project.display().to_string())), &chosen);
    Ok(Exit::Ok)
}
