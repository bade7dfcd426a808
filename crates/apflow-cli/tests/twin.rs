//! The same script on a database and on a server prints the same.

use crate::{Place, Said, calm, serve::Server};

const TREE: &str = r#"[
  {"id": "top", "name": "top", "schemas": {"method": "aggregate_results_executor"}},
  {"id": "low", "name": "low", "parent_id": "top", "schemas": {"method": "system_info_executor"},
   "inputs": {"resource": "cpu"}}
]"#;

const FLOW: &str = "
tasks:
  first: {executor: system_info_executor, inputs: {resource: cpu}}
  second: {executor: aggregate_results_executor, needs: first}
";

/// Each line is a command; `<` feeds it the tree.
const SCRIPT: &[&str] = &[
    "tasks create -o id <",
    "tasks create -o id <",
    "tasks list",
    "tasks list -a -o wide",
    "tasks list -a -o jsonl --fields id,status,state.name",
    "tasks list -s weird",
    "tasks list -l x",
    "tasks get to --fields id,name",
    "tasks get t l -o yaml --fields id,state",
    "tasks get nope",
    "tasks tree top",
    "tasks tree nope",
    "tasks children top",
    "tasks count -o json",
    "tasks status top nope",
    "why top low",
    "tasks update low --name below --priority 0",
    "tasks update low --priority 9",
    "tasks update low --status completed --result {\"a\":1}",
    "tasks update top --set parent_id=low",
    "tasks execute low -q",
    "tasks execute top -q --fields x",
    "tasks execute top -q",
    "tasks execute top --reexecute -q",
    "tasks get low -o json --fields id,status,progress,error,attempt_count",
    "tasks delete top",
    "tasks cancel top",
    "tasks cancel nope",
    "tasks tree top -o id",
    "run flow.yaml --run r -q",
    "run flow.yaml --run r -q",
    "run flow.yaml --run s -q --dry-run",
    "tasks tree r/second",
    "why r/second",
    "monitor trace r/second --fields id,status",
    "monitor status -a --fields id,status",
    "executors list -o id",
    "executors show nope",
    "run flow system_info_executor -q -i {\"resource\":\"cpu\"}",
    "tasks list -u cli_user --fields name,user_id,status",
];

fn play(place: &Place, server: Option<&str>) -> Vec<String> {
    place.write("flow.yaml", FLOW);
    place.write("tree.json", TREE);
    let mut said = Vec::new();
    for line in SCRIPT {
        let fed = line.ends_with('<');
        let args: Vec<&str> = line.trim_end_matches(" <").split(' ').collect();
        let mut command = place.command(&args);
        if let Some(url) = server {
            command.env("APFLOW_API_SERVER_URL", url);
        }
        if fed {
            command.stdin(std::fs::File::open(place.path("tree.json")).expect("a file"));
        }
        let answer = Said::of(&command.output().expect("apflow starts"));
        said.push(format!("{line}\n{}\n= {:?}", calm(&answer.out), answer.code));
    }
    said
}

#[test]
fn a_script_prints_the_same_on_a_database_and_on_a_server() {
    let here = Place::new();
    let local = play(&here, None);
    let there = Place::new();
    let server = Server::start(&there, &[]);
    let elsewhere = Place::new();
    let remote = play(&elsewhere, Some(&format!("http://{}", server.address)));
    for (local, remote) in local.iter().zip(&remote) {
        assert_eq!(local, remote);
    }
    assert!(!elsewhere.path(".apflow").exists(), "the server has the tasks, nobody else");
    server.running.signal("TERM");
    server.running.end().exits(0);
}

#[test]
fn a_database_that_a_server_holds_is_written_through_the_server() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    place.fed(&["tasks", "create"], TREE).exits(7).tells(&["AF0020", "--server http://"]);
    let url = format!("http://{}", server.address);
    let mut command = place.command(&["tasks", "list", "-o", "id"]);
    let output = command.env("APFLOW_API_SERVER_URL", &url).output().expect("it starts");
    assert_eq!(output.status.code(), Some(0));
    place.fed(&["tasks", "create", "--server", &url], TREE).exits(0);
    let read = place.apflow(&["tasks", "list", "-o", "id"]).exits(0).out;
    assert_eq!(read, "top\n", "reading works beside the server");
    let mut command = place.command(&["tasks", "cancel", "top", "--local-only"]);
    let output = command.env("APFLOW_API_SERVER_URL", &url).output().expect("it starts");
    assert_eq!(output.status.code(), Some(7), "the database was meant, whatever the variable says");
    server.running.signal("TERM");
    server.running.end().exits(0);
}

#[test]
fn a_run_on_a_server_is_followed_cancelled_and_left() {
    let place = Place::new();
    let script = place.script("stay", "echo x >> pids; test -e gate || exec sleep 30");
    let server = Server::start(&place, &["--allow-command", &script]);
    let url = format!("http://{}", server.address);
    let flow =
        format!("tasks:\n  a: {{executor: command_executor, inputs: {{argv: [{script}]}}}}\n");
    place.write("stay.yaml", &flow);

    let left =
        place.apflow(&["run", "stay.yaml", "--run", "l", "--server", &url, "--timeout", "0.5"]);
    left.exits(6).tells(&["goes on", "apflow tasks watch l/a"]);
    place.apflow(&["why", "l/a", "--server", &url]).exits(0);
    let why = place.apflow(&["why", "l/a", "--server", &url]).exits(0).out;
    assert!(why.contains("runs since") && why.contains("held by worker"), "{why}");

    let watch = place.start(&["tasks", "watch", "l/a", "--server", &url]);
    let run = place.start(&["run", "stay.yaml", "--run", "c", "--server", &url]);
    place.wait_for_lines("pids", 2);
    run.signal("INT");
    run.end().exits(130).tells(&["cancelling", "⊘ a", "cancelled, 0 of 1"]);
    place.apflow(&["tasks", "cancel", "l/a", "--server", &url]).exits(0);
    watch.end().exits(0).tells(&["⊘ a"]);
    let detached =
        place.apflow(&["run", "stay.yaml", "--run", "d", "--server", &url, "--detach"]).exits(0);
    assert_eq!(detached.out, "d\n");
    server.running.signal("TERM");
    server.running.end().exits(0);
}
