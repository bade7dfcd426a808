//! `apflow snapshot` and `apflow checkpoint`: how submissions stood, and what attempts put aside.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use apflow::core::{code::Code, portable::bad_name};
use serde_json::{Map, Value, json};

use crate::{
    args::{Checkpoint, CheckpointCommand, One, Snapshot, SnapshotCommand},
    config::Settings,
    door::Door,
    error::{CliError, Exit},
    show::{
        self,
        sheet::{self, Column, Kind, Sheet},
    },
};

/// Snapshots, one a line.
const SNAPSHOTS: Sheet = Sheet::Rows(
    &[
        Column("name", "name", Kind::Text),
        Column("taken", "created_at", Kind::Moment),
        Column("tasks", "tasks", Kind::Text),
        Column("bytes", "bytes", Kind::Text),
        Column("tree", "tree_id", Kind::Text),
    ],
    &[Column("note", "note", Kind::Text)],
);

/// The three documents and the ends of their file names.
const FILES: [(&str, &str); 3] =
    [("context", ".context.json"), ("state", ".state.json"), ("meta", ".meta.json")];

pub(crate) async fn snapshot(args: Snapshot, settings: &Arc<Settings>) -> Result<Exit, CliError> {
    let Snapshot { command, format, connection } = args;
    let door = Door::open(&connection, settings)?;
    match command {
        SnapshotCommand::Create { one, note } => {
            let mut params = named(&door, &one).await?;
            let note = super::tasks::assignments(&note, "--note")?;
            if !note.is_empty() {
                params["note"] = Value::Object(note);
            }
            sheet::write(&door.call("snapshots.create", params).await?, Sheet::Fields, &format)?;
        }
        SnapshotCommand::List { task } => {
            let task = door.ids(&[task]).await?.remove(0);
            let found = door.call("snapshots.list", json!({ "task_id": task })).await?;
            sheet::write(&found, SNAPSHOTS, &format)?;
        }
        SnapshotCommand::Restore { one } => {
            let params = named(&door, &one).await?;
            let begun = door.call("snapshots.restore", params).await?;
            sheet::write(&begun, Sheet::Fields, &format)?;
        }
        SnapshotCommand::Delete { one } => {
            let params = named(&door, &one).await?;
            let answer = door.call("snapshots.delete", params).await?;
            sheet::write(&answer, Sheet::Fields, &format)?;
            if answer["deleted"] == false {
                door.close().await;
                return Ok(Exit::NotFound);
            }
        }
        SnapshotCommand::Export { one, to } => {
            let params = named(&door, &one).await?;
            let files = door.call("snapshots.export", params).await?;
            for path in write(&to, &one.name, &files)? {
                show::say(&format!("wrote {}", show::plain(&path.display().to_string())));
            }
        }
        SnapshotCommand::Import { from, name } => {
            let mut params = read(&from)?;
            if let Some(name) = name {
                params.insert("name".to_owned(), json!(name));
            }
            let kept = door.call("snapshots.import", Value::Object(params)).await?;
            sheet::write(&kept, Sheet::Fields, &format)?;
        }
    }
    door.close().await;
    Ok(Exit::Ok)
}

pub(crate) async fn checkpoint(
    args: Checkpoint,
    settings: &Arc<Settings>,
) -> Result<Exit, CliError> {
    let Checkpoint { command: CheckpointCommand::Show { task }, format, connection } = args;
    let door = Door::open(&connection, settings)?;
    let task = door.ids(&[task]).await?.remove(0);
    let found = door.call("checkpoints.get", json!({ "task_id": task })).await?;
    let exit = if found.is_null() {
        show::say(&format!("task {} has put nothing aside", show::plain(&task)));
        Exit::NotFound
    } else {
        sheet::write(&found, Sheet::Fields, &format)?;
        Exit::Ok
    };
    door.close().await;
    Ok(exit)
}

async fn named(door: &Door, one: &One) -> Result<Value, CliError> {
    let task = door.ids(std::slice::from_ref(&one.task)).await?.remove(0);
    Ok(json!({ "task_id": task, "name": one.name }))
}

/// Writes the three documents; each is whole under its name or not there.
fn write(directory: &Path, name: &str, files: &Value) -> Result<Vec<PathBuf>, CliError> {
    if let Some(why) = bad_name(name) {
        return Err(CliError::usage(format!("the name of a snapshot {why}")));
    }
    let mut written = Vec::with_capacity(FILES.len());
    for (part, end) in FILES {
        let path = directory.join(format!("{name}{end}"));
        let mut file = tempfile(directory, name)?;
        let text = serde_json::to_vec_pretty(&files[part]).unwrap_or_default();
        let trouble = |error: std::io::Error| cannot("written", &path, &error.to_string());
        file.1.write_all(&text).and_then(|()| file.1.sync_all()).map_err(trouble)?;
        std::fs::rename(&file.0, &path).map_err(trouble)?;
        written.push(path);
    }
    Ok(written)
}

/// A new file beside those that are to be written.
fn tempfile(directory: &Path, name: &str) -> Result<(PathBuf, std::fs::File), CliError> {
    let path = directory.join(format!(".{name}.{}.part", std::process::id()));
    let file = std::fs::File::options().write(true).create(true).truncate(true).open(&path);
    match file {
        Ok(file) => Ok((path, file)),
        Err(error) => Err(cannot("written", &path, &error.to_string())),
    }
}

/// Reads the three documents whose names begin alike.
fn read(from: &Path) -> Result<Map<String, Value>, CliError> {
    let text = from.to_string_lossy().into_owned();
    let base = FILES.iter().find_map(|(_, end)| text.strip_suffix(end)).unwrap_or(&text).to_owned();
    let mut documents = Map::new();
    for (part, end) in FILES {
        let path = PathBuf::from(format!("{base}{end}"));
        let text = std::fs::read_to_string(&path)
            .map_err(|error| cannot("read", &path, &error.to_string()))?;
        let document = serde_json::from_str(&text)
            .map_err(|error| cannot("read", &path, &error.to_string()))?;
        documents.insert(part.to_owned(), document);
    }
    Ok(documents)
}

fn cannot(done: &str, path: &Path, why: &str) -> CliError {
    let path = show::plain(&path.display().to_string());
    CliError::new(Code::UnreadableExport, format!("{path} cannot be {done}")).because(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_from_any_of_the_three() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = json!({"context": {"a": 1}, "state": {"b": 2}, "meta": {"name": "x"}});
        let written = write(directory.path(), "cp1", &files).expect("written");
        assert_eq!(written.len(), 3);
        for path in written.iter().chain([&directory.path().join("cp1")]) {
            assert_eq!(Value::Object(read(path).expect("read")), files, "{path:?}");
        }
        let left = std::fs::read_dir(directory.path()).expect("a directory").count();
        assert_eq!(left, 3, "nothing else is left behind");
    }

    #[test]
    fn p1_a_name_leads_to_no_other_place_and_half_a_file_is_an_error() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = json!({"context": {}, "state": {}, "meta": {}});
        for name in ["../cp", "a/b", "/etc/cp", ".."] {
            assert!(write(directory.path(), name, &files).is_err(), "{name}");
        }
        write(directory.path(), "cp", &files).expect("written");
        std::fs::write(directory.path().join("cp.state.json"), "{\"a\": [1, ").expect("cut off");
        let error = read(&directory.path().join("cp")).expect_err("it is cut off");
        assert_eq!(error.code(), Some(Code::UnreadableExport));
    }
}
