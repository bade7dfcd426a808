//! `apflow serve` over a plain socket: calls, signals and crashes.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{Place, Running};

pub(crate) struct Server {
    pub(crate) running: Running,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start(place: &Place, args: &[&str]) -> Self {
        let mut running = place.start(&[&["serve", "--port", "0"][..], args].concat());
        let err = running.child.as_mut().and_then(|child| child.stderr.take()).expect("a pipe");
        let mut lines = BufReader::new(err);
        let mut line = String::new();
        while !line.contains("serves http://") {
            line.clear();
            assert_ne!(lines.read_line(&mut line).expect("it talks"), 0, "it ended at once");
        }
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        let address = address.expect("an address").to_owned();
        // What it says later must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Self { running, address }
    }

    fn http(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(15))).ok()?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let status = text.split(' ').nth(1)?.parse().ok()?;
        let (_, body) = text.split_once("\r\n\r\n")?;
        Some((status, body.to_owned()))
    }

    #[track_caller]
    fn rpc(&self, method: &str, params: &Value) -> Value {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let (_, body) = self.http("POST", "/tasks", &call.to_string()).expect("an answer");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }

    #[track_caller]
    fn result(&self, method: &str, params: &Value) -> Value {
        let answer = self.rpc(method, params);
        assert!(answer.get("error").is_none_or(Value::is_null), "{method}: {answer}");
        answer["result"].clone()
    }
}

#[test]
fn every_operation_answers_over_http_and_sigterm_ends_it_politely() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    assert_eq!(server.http("GET", "/health", "").map(|it| it.0), Some(200));
    assert_eq!(server.http("GET", "/ready", "").map(|it| it.0), Some(200));

    let tasks = json!([
        {"id": "top", "name": "top", "schemas": {"method": "aggregate_results_executor"}},
        {"id": "low", "name": "low", "parent_id": "top", "dependencies": [],
         "schemas": {"method": "system_info_executor"}, "inputs": {"resource": "cpu"}},
    ]);
    server.result("tasks.create", &tasks);
    server.result("tasks.update", &json!({"task_id": "low", "name": "below"}));
    let ran = server.result("tasks.execute", &json!({"task_id": "top"}));
    assert_eq!((&ran["status"], &ran["outcome"]), (&json!("started"), &json!("completed")));
    let low = server.result("tasks.get", &json!({"task_id": "low"}));
    assert_eq!((&low["status"], &low["name"]), (&json!("completed"), &json!("below")));
    let tree = server.result("tasks.tree", &json!({"task_id": "top"}));
    assert_eq!(tree["children"][0]["task"]["id"], "low", "{tree}");
    let children = server.result("tasks.children", &json!({"parent_id": "top"}));
    assert_eq!(children.as_array().map(Vec::len), Some(1));
    assert_eq!(server.result("tasks.list", &json!({}))[0]["id"], "top");
    assert_eq!(server.result("tasks.count", &json!({}))["completed"], 2);
    server.result("tasks.create", &json!({"id": "x", "name": "x"}));
    assert_eq!(
        server.result("tasks.cancel", &json!({"task_ids": ["x"]}))[0]["status"],
        "cancelled"
    );
    server.result("tasks.create", &json!({"id": "y", "name": "y"}));
    assert_eq!(server.result("tasks.delete", &json!({"task_id": "y"}))["success"], true);
    assert_eq!(server.rpc("tasks.nope", &json!({}))["error"]["code"], -32601);

    let pid = server.running.id();
    place.apflow(&["run", "-"]).exits(2);
    place
        .fed(&["run", "-"], "tasks: {a: {executor: system_info_executor}}")
        .exits(7)
        .tells(&[&format!("process {pid} has the database")]);
    let read = place.apflow(&["tasks", "count", "-o", "json"]).exits(0).json();
    assert_eq!(read["completed"], 2, "reading works beside a server");

    server.running.signal("TERM");
    server.running.end().exits(0);
}

#[test]
fn a_server_that_was_killed_goes_on_when_it_is_started_again() {
    let place = Place::new();
    let script = place.script("note", "echo \"$1\" >> notes; test -e gate || exec sleep 30");
    let allow = ["--allow-command", script.as_str()];
    let server = Server::start(&place, &allow);
    let task = |id: &str, on: &[&str]| {
        json!({"id": id, "name": id, "dependencies": on, "inputs": {"argv": [script, id]},
            "schemas": {"method": "command_executor"}})
    };
    let tasks = json!([task("a", &[]), task("b", &["a"])]);
    let begun = server.result("tasks.execute", &json!({"tasks": tasks, "wait": false}));
    assert_eq!(begun["status"], "started", "{begun}");
    place.wait_for_lines("notes", 1);
    server.running.signal("KILL");
    server.running.end();

    place.write("gate", "");
    let server = Server::start(&place, &allow);
    place.wait_for_lines("notes", 3);
    crate::until("b has completed", || {
        server.result("tasks.get", &json!({"task_id": "b"}))["status"] == "completed"
    });
    assert_eq!(place.lines("notes"), ["a", "a", "b"]);
    server.running.signal("INT");
    server.running.end().exits(0);
}

#[test]
fn what_runs_at_sigterm_is_given_back_and_a_second_signal_does_not_wait() {
    let place = Place::new();
    let script = place.script("note", "echo \"$1\" >> notes; test -e gate || exec sleep 30");
    let allow = ["--allow-command", script.as_str(), "--grace"];
    let task = json!({"id": "a", "name": "a", "inputs": {"argv": [script, "a"]},
        "schemas": {"method": "command_executor"}});
    let server = Server::start(&place, &[&allow[..], &["0.2"]].concat());
    server.result("tasks.execute", &json!({"tasks": [task], "wait": false}));
    place.wait_for_lines("notes", 1);
    server.running.signal("TERM");
    server.running.end().exits(0);
    let a = place.apflow(&["tasks", "get", "a", "-o", "json"]).exits(0).json();
    assert_eq!((&a["status"], &a["state"]["name"]), (&json!("pending"), &json!("ready")));

    let server = Server::start(&place, &[&allow[..], &["15"]].concat());
    place.wait_for_lines("notes", 2);
    server.running.signal("TERM");
    std::thread::sleep(Duration::from_millis(200));
    server.running.signal("TERM");
    server.running.end().exits(130);
}

#[test]
fn a_server_for_everybody_has_to_be_wished_for() {
    let place = Place::new();
    let args = ["serve", "--host", "0.0.0.0", "--port", "0"];
    place.apflow(&args).exits(2).tells(&["beyond this machine", "--insecure"]);
    // The form of the Python command line is understood, too.
    let old = ["serve", "start", "--host", "0.0.0.0", "-p", "0"];
    place.apflow(&old).exits(2).tells(&["beyond this machine"]);
    let server = Server::start(&place, &["--host", "0.0.0.0", "--insecure"]);
    server.running.signal("TERM");
    server.running.end().exits(0);
}
