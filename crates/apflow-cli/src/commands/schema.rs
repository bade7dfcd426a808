//! `apflow schema`: the JSON Schema of something, for editors.

use apflow::core::workflow;

use crate::{
    args::{Schema, Subject},
    config::document,
    error::{CliError, Exit},
    show::{self, data},
};

pub(crate) fn schema(args: &Schema) -> Result<Exit, CliError> {
    match args.subject {
        Subject::Workflow => show::data(&data::json(&workflow::json_schema()))?,
        Subject::Config => show::data(&data::json(&document::json_schema()))?,
    }
    Ok(Exit::Ok)
}
