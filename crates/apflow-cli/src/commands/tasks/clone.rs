//! `tasks clone`: a new tree from a stored one.

use serde_json::{Value, json};

use super::assignments;
use crate::{
    args::{CloneArgs, Format},
    door::Door,
    error::{CliError, Exit},
    show::{
        self,
        sheet::{self, TASKS, rows_of},
    },
};

pub(super) async fn clone(
    door: &Door,
    args: &CloneArgs,
    format: &Format,
) -> Result<Exit, CliError> {
    let id = door.ids(std::slice::from_ref(&args.id)).await?.remove(0);
    let mut links = Vec::with_capacity(args.link_task_ids.len());
    for link in &args.link_task_ids {
        links.push(door.id(link).await?);
    }
    let made = door.call("tasks.clone", params(&id, &links, args)?).await?;
    let word = if args.dry_run { "would make" } else { "made" };
    let count = show::count(rows_of(&made).len(), "task");
    show::say(&format!("{word} {count} from {}", show::plain(&id)));
    sheet::write(&made, TASKS, format)?;
    Ok(Exit::Ok)
}

fn params(id: &str, links: &[String], args: &CloneArgs) -> Result<Value, CliError> {
    let mut params = json!({
        "task_id": id, "origin_type": args.origin_type, "recursive": !args.no_recursive,
    });
    if !links.is_empty() {
        params["link_task_ids"] = json!(links);
    }
    if !args.reset_fields.is_empty() {
        params["reset_fields"] = Value::Object(assignments(&args.reset_fields, "--reset-fields")?);
    }
    if let Some(user_id) = &args.user_id {
        params["user_id"] = json!(user_id);
    }
    if args.dry_run {
        params["save"] = json!(false);
    }
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> CloneArgs {
        CloneArgs {
            id: "a".to_owned(),
            origin_type: "copy".to_owned(),
            recursive: false,
            no_recursive: false,
            link_task_ids: Vec::new(),
            reset_fields: Vec::new(),
            user_id: None,
            dry_run: false,
        }
    }

    #[test]
    fn what_was_not_said_is_left_to_the_api() {
        let wanted = json!({"task_id": "a", "origin_type": "copy", "recursive": true});
        assert_eq!(params("a", &[], &args()).ok(), Some(wanted));
    }

    #[test]
    fn every_flag_becomes_its_parameter() {
        let args = CloneArgs {
            origin_type: "mixed".to_owned(),
            no_recursive: true,
            reset_fields: vec!["name=n".to_owned(), "priority=0".to_owned()],
            user_id: Some("ada".to_owned()),
            dry_run: true,
            ..args()
        };
        let wanted = json!({
            "task_id": "a", "origin_type": "mixed", "recursive": false, "link_task_ids": ["b"],
            "reset_fields": {"name": "n", "priority": 0}, "user_id": "ada", "save": false,
        });
        assert_eq!(params("a", &["b".to_owned()], &args).ok(), Some(wanted));
    }
}
