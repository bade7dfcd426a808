//! `apflow validate`: everything that is wrong with a workflow file, or its size.

use super::file::{self, Source};
use crate::{
    args::Validate,
    config::{self, Settings},
    error::{CliError, Exit},
    show,
};

pub(crate) fn validate(args: &Validate, settings: &Settings) -> Result<Exit, CliError> {
    let source = Source::read(&args.file)?;
    for warning in &source.workflow.warnings {
        show::warn(warning);
    }
    let inputs = file::inputs(None, &args.input)?;
    let registry = config::registry(settings)?;
    let order = source.order(inputs, "run", &super::run::known(&registry))?;
    let submission = source.compile(order)?;
    let needs: usize = submission.tasks.iter().map(|task| task.needs.len()).sum();
    show::data(&format!(
        "{}: valid, {}, {needs} dependencies\n",
        show::plain(&source.name),
        show::count(submission.tasks.len(), "task")
    ))?;
    Ok(Exit::Ok)
}
