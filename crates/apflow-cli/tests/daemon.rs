//! `apflow daemon`: a server in the background that is found again and stopped politely.

use crate::Place;

#[test]
fn a_server_is_started_found_asked_restarted_and_stopped() {
    let place = Place::new();
    place.apflow(&["daemon", "status"]).exits(4);
    place.apflow(&["daemon", "logs"]).exits(4).tells(&["there is no log"]);
    let started = place.apflow(&["daemon", "start", "--port", "0"]).exits(0).err;
    let url = started.split("serves ").nth(1).expect("an address").trim();
    let url = url.trim_end_matches("/tasks").to_owned();
    let status = place.apflow(&["daemon", "status"]).exits(0).out;
    assert!(status.starts_with("running\n") && status.contains(&url), "{status}");
    let pid = place.lines(".apflow/apflow.pid").remove(0);
    assert!(status.contains(&pid), "{status}");
    let task = r#"{"id": "a", "name": "a"}"#;
    place.fed(&["tasks", "create", "--server", &url], task).exits(0);
    place.apflow(&["daemon", "start", "--port", "0"]).exits(5).tells(&["serves already"]);
    place
        .apflow(&["daemon", "restart", "--port", "0"])
        .exits(0)
        .tells(&["has stopped", "serves http"]);
    let second = place.lines(".apflow/apflow.pid").remove(0);
    assert_ne!(pid, second);
    let logs = place.apflow(&["daemon", "logs", "-n", "1"]).exits(0).out;
    assert_eq!(logs.lines().count(), 1, "{logs}");
    assert!(logs.contains("serves http://"), "{logs}");
    place.apflow(&["daemon", "stop"]).exits(0).tells(&["has stopped"]);
    assert!(!place.path(".apflow/apflow.pid").exists());
    place.apflow(&["daemon", "stop"]).exits(4);
    let read = place.apflow(&["tasks", "get", "a", "-o", "id"]).exits(0).out;
    assert_eq!(read, "a\n", "what was stored stays");
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let place = Place::new();
    let said = place.apflow(&["daemon", "start", "--host", "0.0.0.0", "--port", "0"]).exits(2);
    said.tells(&["did not start", "beyond this machine"]);
    assert!(!place.path(".apflow/apflow.pid").exists());
}
