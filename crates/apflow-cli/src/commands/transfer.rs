//! `apflow db export` and `import`: every submission as JSON lines, from one database to another.
//!
//! The first line says what the file is, then each submission comes with its trees and each of its
//! tasks on a line of its own; the last line counts, so that a file that was cut off is known as one.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use apflow::{
    App,
    core::{
        code::Code,
        id::Seq,
        portable::{Portable, PortableTask, PortableTree, SCHEMA_VERSION},
        store::Store,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    config::{Database, Settings},
    error::{CliError, Exit},
    show,
};

/// What the first line calls the file.
const FORMAT: &str = "apflow-export";
/// Submissions that are read in one transaction.
const AT_ONCE: u32 = 20;
/// About so many tasks are stored in one transaction.
const TASKS_AT_ONCE: usize = 2_000;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Header {
        format: String,
        schema_version: String,
    },
    Submission {
        trees: Vec<PortableTree>,
        tasks: usize,
        #[serde(default)]
        parts: Map<String, Value>,
    },
    Task(Box<PortableTask>),
    End {
        submissions: u64,
        tasks: u64,
    },
}

pub(crate) async fn export(settings: &Settings, to: &Path) -> Result<Exit, CliError> {
    let database = Database::find(settings);
    database.prepare()?;
    let app = App::builder().database(&database.address).open().await?;
    let part = PathBuf::from(format!("{}.{}.part", to.display(), std::process::id()));
    let written = write(app.engine().store(), &part).await;
    let _ = app.shutdown(Duration::ZERO).await;
    let (submissions, tasks) = match written {
        Ok(counts) => counts,
        Err(error) => {
            // What was begun helps nobody.
            let _ = std::fs::remove_file(&part);
            return Err(error);
        }
    };
    std::fs::rename(&part, to).map_err(|error| cannot("written", to, &error.to_string()))?;
    show::say(&format!(
        "wrote {} of {} into {}",
        show::count(usize::try_from(tasks).unwrap_or(usize::MAX), "task"),
        show::count(usize::try_from(submissions).unwrap_or(usize::MAX), "submission"),
        show::plain(&to.display().to_string())
    ));
    Ok(Exit::Ok)
}

async fn write(store: &dyn Store, path: &Path) -> Result<(u64, u64), CliError> {
    let trouble = |error: std::io::Error| cannot("written", path, &error.to_string());
    let mut file = BufWriter::new(File::create(path).map_err(trouble)?);
    let mut put = |line: &Line| -> Result<(), CliError> {
        let text = serde_json::to_string(line)
            .map_err(|error| cannot("written", path, &error.to_string()))?;
        writeln!(file, "{text}").map_err(trouble)
    };
    let (format, schema_version) = (FORMAT.to_owned(), SCHEMA_VERSION.to_owned());
    put(&Line::Header { format, schema_version })?;
    let (mut submissions, mut tasks) = (0, 0);
    let mut after = Seq(0);
    loop {
        let page = store.export(after, AT_ONCE).await?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        for (_, portable) in page {
            submissions += 1;
            tasks += portable.tasks.len() as u64;
            let Portable { trees, tasks: all, parts } = portable;
            put(&Line::Submission { trees, tasks: all.len(), parts })?;
            for task in all {
                put(&Line::Task(Box::new(task)))?;
            }
        }
    }
    put(&Line::End { submissions, tasks })?;
    let file = file.into_inner().map_err(|error| trouble(error.into_error()))?;
    file.sync_all().map_err(trouble)?;
    Ok((submissions, tasks))
}

pub(crate) async fn import(
    settings: &Settings,
    from: &Path,
    skip_existing: bool,
) -> Result<Exit, CliError> {
    // All of it is read before anything is stored, so that half a file changes nothing.
    let mut seen = 0_u64;
    read(from, &mut |_| {
        seen += 1;
        Ok(())
    })?;
    let database = Database::find(settings);
    database.prepare()?;
    let app = App::builder().database(&database.address).open().await?;
    let done = store_all(app.engine().store(), from, skip_existing).await;
    let _ = app.shutdown(Duration::ZERO).await;
    let (stored, skipped) = done?;
    let mut said = format!(
        "stored {} in {}",
        show::count(stored, "submission"),
        show::plain(&database.shown())
    );
    if skipped > 0 {
        said += "; ";
        said += &skipped.to_string();
        said += " were there already";
    }
    show::say(&said);
    Ok(Exit::Ok)
}

async fn store_all(
    store: &dyn Store,
    from: &Path,
    skip_existing: bool,
) -> Result<(usize, usize), CliError> {
    let mut reader = Reader::open(from)?;
    let (mut stored, mut skipped) = (0, 0);
    let mut batch: Vec<Portable> = Vec::new();
    let mut waiting = 0;
    loop {
        let next = reader.next()?;
        let full = waiting >= TASKS_AT_ONCE || next.is_none();
        if full && !batch.is_empty() {
            stored += batch.len();
            store.adopt(std::mem::take(&mut batch)).await?;
            waiting = 0;
        }
        let Some(portable) = next else { return Ok((stored, skipped)) };
        if skip_existing
            && let Some(tree) = portable.trees.first()
            && store.record(&tree.root).await?.is_some()
        {
            skipped += 1;
            continue;
        }
        waiting += portable.tasks.len();
        batch.push(portable);
    }
}

/// Reads every submission of a file, or says what is wrong with it.
fn read(
    path: &Path,
    each: &mut dyn FnMut(Portable) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut reader = Reader::open(path)?;
    while let Some(portable) = reader.next()? {
        each(portable)?;
    }
    Ok(())
}

/// A file of lines, read one submission after another.
struct Reader {
    path: PathBuf,
    lines: std::io::Lines<BufReader<File>>,
    number: usize,
    submissions: u64,
    tasks: u64,
}

impl Reader {
    fn open(path: &Path) -> Result<Self, CliError> {
        let file = File::open(path).map_err(|error| cannot("read", path, &error.to_string()))?;
        let mut reader = Self {
            path: path.to_owned(),
            lines: BufReader::new(file).lines(),
            number: 0,
            submissions: 0,
            tasks: 0,
        };
        match reader.line()? {
            Some(Line::Header { format, schema_version })
                if format == FORMAT && schema_version == SCHEMA_VERSION =>
            {
                Ok(reader)
            }
            Some(Line::Header { format, schema_version }) => Err(reader.wrong(&format!(
                "it is {format:?} of version {schema_version:?}, and this apflow reads {FORMAT:?} of \
                 version {SCHEMA_VERSION:?}"
            ))),
            _ => Err(reader.wrong("its first line does not say that it is an export of apflow")),
        }
    }

    fn line(&mut self) -> Result<Option<Line>, CliError> {
        let Some(text) = self.lines.next() else { return Ok(None) };
        self.number += 1;
        let text = text.map_err(|error| self.wrong(&error.to_string()))?;
        serde_json::from_str(&text).map(Some).map_err(|error| self.wrong(&error.to_string()))
    }

    fn next(&mut self) -> Result<Option<Portable>, CliError> {
        match self.line()? {
            Some(Line::Submission { trees, tasks, parts }) => {
                let mut portable = Portable { trees, tasks: Vec::new(), parts };
                for _ in 0..tasks {
                    match self.line()? {
                        Some(Line::Task(task)) => portable.tasks.push(*task),
                        _ => return Err(self.wrong("a task of the submission is missing")),
                    }
                }
                if let Some(why) = portable.problem() {
                    return Err(self.wrong(&why));
                }
                self.submissions += 1;
                self.tasks += portable.tasks.len() as u64;
                Ok(Some(portable))
            }
            Some(Line::End { submissions, tasks })
                if (submissions, tasks) == (self.submissions, self.tasks) =>
            {
                match self.line()? {
                    None => Ok(None),
                    Some(_) => Err(self.wrong("something comes after the end")),
                }
            }
            Some(Line::End { .. }) => Err(self.wrong("the end counts other tasks than came")),
            Some(_) => Err(self.wrong("a line that belongs somewhere else")),
            None => Err(self.wrong("the end is missing: the file was cut off")),
        }
    }

    fn wrong(&self, why: &str) -> CliError {
        cannot("imported", &self.path, &format!("line {}: {why}", self.number))
            .help("nothing was changed")
    }
}

fn cannot(done: &str, path: &Path, why: &str) -> CliError {
    let path = show::plain(&path.display().to_string());
    CliError::new(Code::UnreadableExport, format!("{path} cannot be {done}")).because(why)
}
