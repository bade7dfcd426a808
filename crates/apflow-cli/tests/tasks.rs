//! `apflow tasks` and `apflow db` on a local database.

use crate::Place;

const PAIR: &str = r#"[
  {"id": "top", "name": "top\u001b[31m", "schemas": {"method": "aggregate_results_executor"}},
  {"id": "low", "name": "low", "parent_id": "top", "schemas": {"method": "system_info_executor"},
   "inputs": {"resource": "cpu"}}
]"#;

#[test]
fn tasks_are_created_read_changed_run_and_deleted() {
    let place = Place::new();
    let said = place.fed(&["tasks", "create", "-o", "id"], PAIR).exits(0);
    assert_eq!(said.out, "top\nlow\n");
    let list = place.apflow(&["tasks", "list"]).exits(0).out;
    assert!(list.contains("top\\u{1b}[31m") && !list.contains('\u{1b}'), "{list:?}");
    assert!(!list.contains("low"), "only roots: {list}");
    let tree = place.apflow(&["tasks", "tree", "top"]).exits(0).out;
    assert_eq!(tree, "○ top\\u{1b}[31m  top\n  ○ low  low\n");
    let children = place.apflow(&["tasks", "children", "top", "-o", "json"]).exits(0).json();
    assert_eq!(children[0]["id"], "low");

    place
        .apflow(&["tasks", "update", "low", "--set", "name=below", "--set", "priority=0"])
        .exits(0);
    let low = place.apflow(&["tasks", "get", "low", "-o", "json"]).exits(0).json();
    assert_eq!((&low["name"], &low["priority"]), (&"below".into(), &0.into()));
    place.apflow(&["tasks", "update", "low", "--set", "priority=7"]).exits(2).tells(&["priority"]);

    place
        .apflow(&["tasks", "execute", "top"])
        .exits(0)
        .tells(&["✓ below", "2 of 2 tasks completed"]);
    let count = place.apflow(&["tasks", "count", "-o", "json"]).exits(0).json();
    assert_eq!((&count["completed"], &count["total"]), (&2.into(), &2.into()));
    let status = place.apflow(&["tasks", "status", "top", "nope", "-o", "json"]).exits(0).json();
    assert_eq!(
        (&status[0]["status"], &status[1]["status"]),
        (&"completed".into(), &"not_found".into())
    );

    place.apflow(&["tasks", "delete", "top"]).exits(5).tells(&["AF0009"]);
    place.apflow(&["tasks", "cancel", "top"]).exits(5);
    place.apflow(&["tasks", "cancel", "nope"]).exits(4);
    place.apflow(&["tasks", "get", "nope"]).exits(4).tells(&["Task nope not found"]);
    place.apflow(&["tasks", "execute", "nope"]).exits(4);
    place.fed(&["tasks", "create"], r#"{"id": "new", "name": "new"}"#).exits(0);
    place.fed(&["tasks", "create"], r#"{"id": "new", "name": "new"}"#).exits(5);
    place.apflow(&["tasks", "delete", "new"]).exits(0);
    place.fed(&["tasks", "create"], "{").exits(2).tells(&["AF0014"]);
}

#[test]
fn a_tree_that_is_executed_without_waiting_is_left_to_resume() {
    let place = Place::new();
    place.fed(&["tasks", "create"], PAIR).exits(0);
    place.apflow(&["resume"]).exits(0).tells(&["nothing to resume"]);
    place.apflow(&["tasks", "execute", "top", "--detach"]).exits(0);
    place.apflow(&["tasks", "execute", "top", "--detach"]).exits(5);
    place.apflow(&["resume", "top"]).exits(0).tells(&["going on with 2 tasks", "✓ low"]);
    let again = place.apflow(&["tasks", "execute", "top", "-o", "json"]).exits(0).json();
    assert!(again["message"].as_str().expect("a text").contains("Nothing to run"), "{again}");
    place.apflow(&["tasks", "execute", "top", "--reexecute"]).exits(0).tells(&["✓ low"]);
}

#[test]
fn the_database_is_made_and_looked_at() {
    let place = Place::new();
    place.apflow(&["db", "status"]).exits(2).tells(&["there is no database"]);
    place.apflow(&["db", "migrate", "--db", "sqlite:x.db"]).exits(0).tells(&["up to date"]);
    let status = place.apflow(&["db", "status", "--db", "x.db", "-o", "json"]).exits(0).json();
    assert_eq!(status["tasks"]["total"], 0);
    let yaml = place.apflow(&["db", "status", "--db", "x.db", "-o", "yaml"]).exits(0).out;
    assert!(yaml.contains("total: 0"), "{yaml}");
}
