//! `apflow config`: reading the configuration with the origin of each value, and writing its files.

pub(crate) mod args;
mod tell;
mod write;

use self::args::{ConfigArgs, ConfigCommand};
use crate::{
    config::{Overrides, document, gather::Gathered, place::World},
    error::{CliError, Exit},
    show,
};

/// Carries out one of the commands. What is wrong with a file does not keep anybody from mending it,
/// so each reads only what it needs.
pub(crate) fn config(args: ConfigArgs, overrides: &Overrides) -> Result<Exit, CliError> {
    let world = World::here();
    let gathered = || {
        let gathered = Gathered::read(&world, overrides);
        for warning in &gathered.warnings {
            show::warn(warning);
        }
        gathered
    };
    let output = args.output;
    match args.command {
        ConfigCommand::Get { key } => tell::get(&gathered(), &key, output),
        ConfigCommand::List { set } => tell::list(&gathered(), set, output),
        ConfigCommand::Explain { key } => tell::explain(&gathered(), &key, output),
        ConfigCommand::Path => tell::path(&world, overrides, &gathered(), output),
        ConfigCommand::Validate => tell::validate(gathered(), output),
        ConfigCommand::Set { key, value, target } => {
            write::set(&world, overrides, &key, &value, &target)
        }
        ConfigCommand::Unset { key, target, yes: _ } => {
            write::unset(&world, overrides, &key, &target)
        }
        ConfigCommand::Reset { target, yes } => write::reset(&world, overrides, &target, yes),
        ConfigCommand::Init { target, force } => write::init(&world, overrides, &target, force),
        ConfigCommand::InitServer { url, role: _ } => write::init_server(&world, overrides, &url),
        ConfigCommand::Trust { dir } => write::trust(&world, overrides, dir.as_deref(), true),
        ConfigCommand::Untrust { dir } => write::trust(&world, overrides, dir.as_deref(), false),
        // They are done without a look at the files alone; see `apflow token`.
        ConfigCommand::GenToken(_) | ConfigCommand::VerifyToken(_) => Ok(Exit::Ok),
        ConfigCommand::Reference => {
            show::data(&document::reference())?;
            Ok(Exit::Ok)
        }
    }
}
