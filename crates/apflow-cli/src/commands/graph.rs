//! `apflow graph`: a picture of a workflow file.

use apflow::core::graph::{Drawing, draw};
use serde_json::{Map, Value};

use super::file::Source;
use crate::{
    args::{Graph, Picture},
    error::{CliError, Exit},
    show,
};

pub(crate) fn graph(args: &Graph) -> Result<Exit, CliError> {
    let source = Source::read(&args.file)?;
    // What the inputs are is no matter for a picture; those without a value get an empty one.
    let mut inputs = Map::new();
    let order = loop {
        match source.workflow.order(inputs.clone(), "run") {
            Ok(order) => break order,
            Err(problems) => {
                let missing = missing(&problems.0);
                if missing.is_empty() || missing.iter().all(|name| inputs.contains_key(name)) {
                    return Err(CliError::problems(source.name, problems));
                }
                inputs.extend(missing.into_iter().map(|name| (name, Value::from(""))));
            }
        }
    };
    let drawing = match args.output {
        Picture::Ascii => Drawing::Ascii,
        Picture::Mermaid => Drawing::Mermaid,
        Picture::Dot => Drawing::Dot,
        Picture::Json => Drawing::Json,
    };
    show::data(&draw(&source.compile(order)?, drawing))?;
    Ok(Exit::Ok)
}

/// Inputs that have no value, as the problems name them.
fn missing(problems: &[apflow::core::problem::Problem]) -> Vec<String> {
    let is_missing =
        |problem: &&apflow::core::problem::Problem| problem.reason.starts_with("there is no input");
    problems.iter().filter(is_missing).filter_map(|problem| problem.actual.clone()).collect()
}
