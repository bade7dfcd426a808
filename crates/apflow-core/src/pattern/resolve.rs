//! Puts workflows in the place of their names: `workflow: checks.yaml` becomes what that file says.

use serde_json::{Map, Value};

use super::{is_one, refused};
use crate::problem::Problems;

/// So many files may name one another.
pub const MAX_FILES_DEEP: usize = 16;
/// So many names are followed for one task.
pub const MAX_FILES: usize = 200;
/// What stands here is data, and no workflow is named in it.
const DATA: [&str; 6] = ["inputs", "with", "outputs", "over", "schemas", "extra"];

/// Finds what a workflow is that is named beside `base`: the name to look beside in turn, and what it
/// says.
pub type Find<'a> = dyn Fn(&str, &str) -> Result<(String, Value), Problems> + 'a;

/// Puts workflows in the place of their names, in the parameters of one task.
pub(crate) fn resolve(
    params: &mut Map<String, Value>,
    base: &str,
    find: &Find<'_>,
) -> Result<(), Problems> {
    let mut left = MAX_FILES;
    entries(params, base, find, 0, &mut left)
}

fn entries(
    map: &mut Map<String, Value>,
    base: &str,
    find: &Find<'_>,
    deep: usize,
    left: &mut usize,
) -> Result<(), Problems> {
    let pattern = is_one(map.get("executor").and_then(Value::as_str));
    for (key, value) in map {
        if let ("workflow", Value::String(name)) = (key.as_str(), &*value) {
            if deep >= MAX_FILES_DEEP {
                let why = format!("`{name}` is named by {MAX_FILES_DEEP} files that name another");
                return Err(refused("workflow", why, "files that do not name one another"));
            }
            let Some(rest) = left.checked_sub(1) else {
                let why = format!("more than {MAX_FILES} workflows are named, one inside another");
                return Err(refused("workflow", why, "fewer of them"));
            };
            *left = rest;
            let (beside, mut found) = find(base, name)?;
            walk(&mut found, &beside, find, deep + 1, left)?;
            *value = found;
        } else if !(DATA.contains(&key.as_str()) || key == "params" && !pattern) {
            walk(value, base, find, deep, left)?;
        }
    }
    Ok(())
}

fn walk(
    value: &mut Value,
    base: &str,
    find: &Find<'_>,
    deep: usize,
    left: &mut usize,
) -> Result<(), Problems> {
    match value {
        Value::Object(map) => entries(map, base, find, deep, left),
        Value::Array(items) => {
            items.iter_mut().try_for_each(|item| walk(item, base, find, deep, left))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_becomes_what_it_names_wherever_a_workflow_stands() {
        let find = |base: &str, name: &str| {
            Ok((name.to_owned(), json!({"tasks": {"of": {"executor": format!("{base}>{name}")}}})))
        };
        let mut params = json!({
            "each": {"workflow": "a", "inputs": {"workflow": "data"}},
            "steps": [{"executor": "workflow", "params": {"workflow": "b"}}],
            "with": {"workflow": "data"},
        });
        let Some(map) = params.as_object_mut() else { panic!("a map") };
        resolve(map, "top", &find).expect("all are found");
        assert_eq!(params["each"]["workflow"]["tasks"]["of"]["executor"], "top>a");
        assert_eq!(params["steps"][0]["params"]["workflow"]["tasks"]["of"]["executor"], "top>b");
        assert_eq!(params["each"]["inputs"]["workflow"], "data");
        assert_eq!(params["with"]["workflow"], "data");
    }

    #[test]
    fn files_that_name_one_another_are_refused() {
        let find =
            |_: &str, name: &str| Ok((String::new(), json!({"tasks": {"a": {"workflow": name}}})));
        let mut params = Map::from_iter([("workflow".to_owned(), json!("itself"))]);
        let problems = resolve(&mut params, "", &find).expect_err("it would never end");
        assert!(problems.0[0].reason.contains("16"), "{problems:?}");
        let twice = |_: &str, name: &str| {
            let task = json!({"workflow": name});
            Ok((String::new(), json!({"tasks": {"a": task, "b": task}})))
        };
        let followed = std::cell::Cell::new(0);
        let counted = |base: &str, name: &str| {
            followed.set(followed.get() + 1);
            twice(base, name)
        };
        let mut params = Map::from_iter([("workflow".to_owned(), json!("itself"))]);
        resolve(&mut params, "", &counted).expect_err("it would never end");
        assert!(followed.get() <= MAX_FILES, "{}", followed.get());
    }
}
