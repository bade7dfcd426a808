//! The command line of the first Python version, unchanged, against this server.
//!
//! What that client cannot do itself is asserted like everything else, by a test or a line that says so:
//! when it learns it, the suite is told.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{Place, Said, token::Server};

const SECRET: &str = "python-0123456789abcdef0123456789";

/// The interpreter of the environment that has the client.
fn python() -> PathBuf {
    let python = std::env::var_os("APFLOW_TEST_PYTHON_APFLOW_V1").expect(
        "APFLOW_TEST_PYTHON_APFLOW_V1 names no Python: run the tests with `cargo xtask test`",
    );
    python.into()
}

/// The Python client with a home of its own.
struct Client {
    home: PathBuf,
    env: Vec<(&'static str, String)>,
}

impl Client {
    fn new(place: &Place) -> Self {
        let home = place.path("python");
        fs::create_dir_all(&home).expect("a directory");
        Self { home, env: Vec::new() }
    }

    /// It knows this server, from the file it reads at home.
    fn of(place: &Place, server: &Server) -> Self {
        let client = Self::new(place);
        let folder = client.home.join(".aipartnerup/apflow");
        fs::create_dir_all(&folder).expect("a directory");
        let text = format!(
            "api_server_url: http://{}\nadmin_auth_token: {}\n",
            server.address,
            admin(place)
        );
        fs::write(folder.join("config.cli.yaml"), text).expect("a file");
        client
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", &self.home).env("PATH", "/usr/bin:/bin");
        command.env("COLUMNS", "200").envs(self.env.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.home).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Said {
        let program = python().with_file_name("apflow");
        Said::of(&self.command(&program).args(args).output().expect("the client starts"))
    }

    fn fed(&self, args: &[&str], text: &str) -> Said {
        let mut command = self.command(&python().with_file_name("apflow"));
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the client starts");
        child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
        Said::of(&child.wait_with_output().expect("the client ends"))
    }

    /// What it printed as JSON, when it ended well.
    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        first(&self.run(args).exits(0))
    }

    /// How many tasks are in the database that it works on when it believes there is no server.
    fn alone(&self) -> u64 {
        let known = self.home.join(".aipartnerup/apflow/config.cli.yaml");
        let hidden = known.with_extension("hidden");
        let hid = fs::rename(&known, &hidden).is_ok();
        // Nothing listens there; without any address it would look at port 8000.
        let nowhere = ("APFLOW_BASE_URL", "http://127.0.0.1:1".to_owned());
        let without = Self { home: self.home.clone(), env: vec![nowhere] };
        let count = without.json(&["tasks", "count", "-f", "json"]);
        if hid {
            fs::rename(&hidden, &known).expect("it comes back");
        }
        count["total"].as_u64().expect("a number")
    }
}

/// The JSON at the beginning of what it printed; sentences for people may follow.
#[track_caller]
fn first(said: &Said) -> Value {
    let mut values = serde_json::Deserializer::from_str(&said.out).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => value,
        other => panic!("{other:?} in:\n{}\n{}", said.out, said.err),
    }
}

fn serve(place: &Place) -> Server {
    Server::start(place, &[], &[("APFLOW_JWT_SECRET", SECRET)])
}

fn admin(place: &Place) -> String {
    let mut command = place.command(&["token", "jwt", "--user", "boss", "--role", "admin"]);
    let said = Said::of(&command.env("APFLOW_JWT_SECRET", SECRET).output().expect("apflow starts"));
    said.exits(0).out.trim().to_owned()
}

/// What the server itself says, past the client.
#[track_caller]
fn truth(place: &Place, server: &Server, method: &str, params: &Value) -> Value {
    let (status, text) = server.call(Some(&admin(place)), method, params);
    let (_, body) = text.split_once("\r\n\r\n").expect("a body");
    let answer: Value =
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    assert_eq!(status, 200, "{method}: {answer}");
    answer["result"].clone()
}

fn leaf(id: &str) -> Value {
    json!({"id": id, "name": id, "schemas": {"method": "system_info_executor"},
        "inputs": {"resource": "cpu"}})
}

fn tree(top: &str, low: &str) -> Value {
    let mut below = leaf(low);
    below["parent_id"] = json!(top);
    json!([{"id": top, "name": top, "schemas": {"method": "aggregate_results_executor"}}, below])
}

fn ids(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    list.iter().map(|task| task["id"].as_str().expect("an id")).collect()
}

#[test]
fn its_commands_create_list_show_change_cancel_and_delete() {
    let place = Place::new();
    let server = serve(&place);
    let client = Client::of(&place, &server);

    let one = client.fed(&["tasks", "create", "--stdin"], &leaf("one").to_string()).exits(0);
    assert_eq!((&first(&one)["id"], &first(&one)["user_id"]), (&json!("one"), &json!("boss")));
    let file = client.home.join("tree.json");
    fs::write(&file, tree("top", "low").to_string()).expect("a file");
    // Its own defect: it stores a tree, prints the list of its tasks, and then stumbles over the list.
    let made = client.run(&["tasks", "create", "-f", "tree.json"]).exits(1);
    assert_eq!(ids(&first(&made)), ["top", "low"]);
    assert!(made.err.contains("'list' object has no attribute 'get'"), "{}", made.err);

    assert_eq!(ids(&client.json(&["tasks", "list"])), ["top", "one"]);
    let all = client.json(&["tasks", "list", "--all-tasks", "-s", "pending", "-l", "2"]);
    assert_eq!(all.as_array().map(Vec::len), Some(2));
    let count = client.json(&["tasks", "count", "-f", "json"]);
    assert_eq!(count["pending"], 3);
    assert_eq!(count, truth(&place, &server, "tasks.count", &json!({})));
    let shown = client.json(&["tasks", "tree", "top"]);
    assert_eq!(shown["children"][0]["task"]["id"], "low");
    assert_eq!(ids(&client.json(&["tasks", "children", "-p", "top"])), ["low"]);
    let low = client.json(&["tasks", "get", "low"]);
    assert_eq!(low, truth(&place, &server, "tasks.get", &json!({"task_id": "low"})));

    let update = ["tasks", "update", "one", "--name", "uno", "--priority", "1"];
    let said = client.run(&[&update[..], &["--inputs", "{\"resource\": \"disk\"}"]].concat());
    let said = said.exits(0);
    assert_eq!(first(&said)["name"], "uno");
    assert!(said.out.contains("Successfully updated task one"), "{}", said.out);
    let one = truth(&place, &server, "tasks.get", &json!({"task_id": "one"}));
    assert_eq!((&one["priority"], &one["inputs"]["resource"]), (&json!(1), &json!("disk")));

    truth(&place, &server, "tasks.execute", &json!({"task_id": "top"}));
    let status = client.json(&["tasks", "status", "top", "nobody"]);
    assert_eq!((&status[0]["status"], &status[0]["progress"]), (&json!("completed"), &json!(1.0)));
    assert_eq!(status[1]["status"], "not_found");
    let traced = client.run(&["monitor", "trace", "top"]).exits(0);
    assert!(traced.out.contains("Completed"), "{}", traced.out);

    let deleted = client.run(&["tasks", "delete", "one"]).exits(0);
    assert_eq!(first(&deleted)["deleted_count"], 1);
    assert!(truth(&place, &server, "tasks.get", &json!({"task_id": "one"})).is_null());
    truth(&place, &server, "tasks.create", &leaf("two"));
    let cancelled = client.json(&["tasks", "cancel", "two", "-m", "not today"]);
    assert_eq!(cancelled[0]["status"], "cancelled");
    let two = truth(&place, &server, "tasks.get", &json!({"task_id": "two"}));
    assert_eq!(two["status"], "cancelled");
    assert_eq!(two["error"], "not today");
    assert_eq!(client.alone(), 0, "something went to a database of its own");
    server.stop().exits(0);
}

#[test]
fn its_clone_makes_copies_links_archives_and_mixtures() {
    let place = Place::new();
    let server = serve(&place);
    let client = Client::of(&place, &server);
    truth(&place, &server, "tasks.create", &tree("top", "low"));
    truth(&place, &server, "tasks.execute", &json!({"task_id": "top"}));
    let clone = |more: &[&str]| {
        let said = client.run(&[&["tasks", "clone", "top"][..], more].concat()).exits(0);
        let tasks = first(&said);
        assert_eq!(ids(&tasks).len(), 2, "{tasks}");
        assert_eq!(tasks[0]["original_task_id"], "top");
        assert_ne!(tasks[0]["task_tree_id"], "top", "a tree of its own");
        (tasks, said.out)
    };
    let kept = |tasks: &Value| {
        let stored = truth(&place, &server, "tasks.tree", &json!({"task_id": tasks[0]["id"]}));
        let below = &stored["children"][0]["task"];
        assert_eq!(below["id"], tasks[1]["id"]);
        let origins = [&stored["task"]["origin_type"], &below["origin_type"]];
        (origins.map(|it| it.as_str().expect("a word").to_owned()), stored["task"].clone())
    };

    // It sends every field as a text; the number in it counts.
    let (tasks, said) = clone(&["--reset-fields", "priority=3,name=copied"]);
    assert!(said.contains("Successfully copied task top"), "{said}");
    let (origins, top) = kept(&tasks);
    assert_eq!(origins, ["copy", "copy"]);
    assert_eq!((&top["status"], &top["priority"]), (&json!("pending"), &json!(3)));
    assert_eq!(top["name"], "copied");

    let (origins, top) = kept(&clone(&["--origin-type", "link"]).0);
    assert_eq!(
        (origins, &top["status"]),
        (["link", "link"].map(str::to_owned), &json!("completed"))
    );
    let (origins, _) = kept(&clone(&["--origin-type", "mixed", "--link-task-ids", "low"]).0);
    assert_eq!(origins, ["copy", "link"]);

    let before = truth(&place, &server, "tasks.count", &json!({}));
    let (tasks, said) = clone(&["--dry-run"]);
    assert!(said.contains("Preview generated: 2 tasks"), "{said}");
    assert_eq!(truth(&place, &server, "tasks.count", &json!({})), before);
    assert!(truth(&place, &server, "tasks.get", &json!({"task_id": tasks[0]["id"]})).is_null());

    // An archive is no new tree: the tasks themselves are closed.
    let archive = client.json(&["tasks", "clone", "top", "--origin-type", "archive"]);
    assert_eq!(ids(&archive), ["top", "low"]);
    assert_eq!(truth(&place, &server, "tasks.count", &json!({})), before);
    let (origins, top) = kept(&archive);
    assert_eq!((origins, &top["status"]), (["archive"; 2].map(str::to_owned), &json!("completed")));

    // Its own defect: a clone of one task is made, and then it stumbles over the one task.
    truth(&place, &server, "tasks.create", &leaf("one"));
    let said = client.run(&["tasks", "clone", "one"]).exits(1);
    assert!(said.err.contains("'list' object has no attribute 'get'"), "{}", said.err);
    let made = truth(&place, &server, "tasks.list", &json!({"limit": 1}));
    assert_eq!(made[0]["original_task_id"], "one");
    server.stop().exits(0);
}

#[test]
fn its_schedules_are_set_listed_begun_and_completed() {
    let place = Place::new();
    let server = serve(&place);
    let client = Client::of(&place, &server);
    truth(&place, &server, "tasks.create", &leaf("daily"));
    assert_eq!(client.json(&["tasks", "scheduled", "list", "-f", "json"]), json!([]));
    let update = ["tasks", "update", "daily", "--schedule-type", "daily", "--max-runs", "4"];
    let more = ["--schedule-expression", "03:00", "--schedule-enabled"];
    let task = client.json(&[&update[..], &more].concat());
    let next = task["next_run_at"].as_str().expect("a time").to_owned();
    assert!(next.contains("T03:00:00"), "{next}");

    assert_eq!(ids(&client.json(&["tasks", "scheduled", "list", "-f", "json"])), ["daily"]);
    let table = client.run(&["scheduler", "list"]).exits(0);
    assert!(table.out.contains("daily") && table.out.contains("0/4"), "{}", table.out);
    assert!(table.out.contains("Total: 1 scheduled task(s)"), "{}", table.out);
    assert_eq!(client.json(&["tasks", "scheduled", "due"]), json!([]));
    let later = ["tasks", "scheduled", "due", "-b", "2100-01-01T00:00:00Z"];
    assert_eq!(ids(&client.json(&later)), ["daily"]);

    let begun = client.run(&["tasks", "scheduled", "init", "daily"]).exits(0);
    assert_eq!(first(&begun)["next_run_at"], next.as_str());
    assert!(begun.out.contains(&format!("next_run_at = {next}")), "{}", begun.out);
    let done = client.run(&["tasks", "scheduled", "complete", "daily", "--success"]).exits(0);
    assert!(done.out.contains("Run #1 completed. Next run: "), "{}", done.out);
    let stored = truth(&place, &server, "tasks.get", &json!({"task_id": "daily"}));
    assert_eq!(stored, first(&done));
    assert_eq!((&stored["run_count"], &stored["status"]), (&json!(1), &json!("pending")));
    assert!(stored["next_run_at"].as_str() > Some(next.as_str()), "{stored}");

    // Its own defect: the moment it has read it cannot write, so nothing is sent.
    let start = ["tasks", "update", "daily", "--schedule-start-at", "2100-01-01T00:00:00Z"];
    let said = client.run(&start).exits(1);
    assert!(said.err.contains("datetime is not JSON serializable"), "{}", said.err);
    let stored = truth(&place, &server, "tasks.get", &json!({"task_id": "daily"}));
    assert!(stored["schedule_start_at"].is_null(), "{stored}");
    server.stop().exits(0);
}

#[test]
fn it_is_told_what_was_wrong_and_nothing_has_changed() {
    let place = Place::new();
    let server = serve(&place);
    let client = Client::of(&place, &server);
    truth(&place, &server, "tasks.create", &tree("top", "low"));
    let before = truth(&place, &server, "tasks.tree", &json!({"task_id": "top"}));
    for (args, told) in [
        (&["tasks", "tree", "nobody"][..], &["404", "-32001", "Task nobody not found"][..]),
        (&["tasks", "children", "-p", "nobody"], &["404", "Parent task nobody not found"]),
        (&["tasks", "update", "top", "--status", "bogus"], &["409", "-32006", "status"]),
        (&["tasks", "update", "top", "--priority", "9"], &["400", "-32602", "priority"]),
        (&["tasks", "delete", "nobody"], &["404", "Task nobody not found"]),
        (&["tasks", "clone", "top", "--origin-type", "link"], &["409", "fully completed"]),
        (&["tasks", "scheduled", "init", "top"], &["400", "Failed to initialize schedule"]),
    ] {
        let said = client.run(args).exits(1);
        assert_eq!(said.out, "", "{args:?}");
        for part in told {
            assert!(said.err.contains(part), "{args:?}: `{part}` is not in:\n{}", said.err);
        }
    }
    let twice = client.fed(&["tasks", "create", "--stdin"], &leaf("top").to_string()).exits(1);
    assert!(twice.err.contains("already exists"), "{}", twice.err);
    // A task that is not there is no error on this wire, and the client prints what it is told.
    assert!(client.json(&["tasks", "get", "nobody"]).is_null());
    let said = client.run(&["tasks", "cancel", "nobody"]).exits(1);
    assert_eq!(first(&said)[0]["error"], "Task not found");
    assert_eq!(truth(&place, &server, "tasks.tree", &json!({"task_id": "top"})), before);
    server.stop().exits(0);
}

#[test]
fn its_library_runs_tasks_and_reads_the_stream() {
    let place = Place::new();
    let server = serve(&place);
    let mut client = Client::new(&place);
    // The other way that it knows a server by: its environment.
    client.env = vec![
        ("APFLOW_BASE_URL", format!("http://{}", server.address)),
        ("APFLOW_ADMIN_AUTH_TOKEN", admin(&place)),
    ];
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python_client/library.py");
    let output = client.command(&python()).arg(script).output().expect("python starts");
    let said = Said::of(&output).exits(0);
    let steps: Vec<Value> =
        said.out.lines().map(|line| serde_json::from_str(line).expect("a step")).collect();
    let step = |name: &str| {
        steps
            .iter()
            .find(|step| step["step"] == name)
            .unwrap_or_else(|| panic!("{name}: {}", said.out))
    };
    let answer = |name: &str| {
        let step = step(name);
        assert!(step.get("error").is_none(), "{step}");
        &step["answer"]
    };
    let error =
        |name: &str| step(name)["error"].as_str().unwrap_or_else(|| panic!("{name} went well"));

    assert_eq!(answer("create_task")["status"], "pending");
    assert_eq!(ids(answer("create_tasks")), ["top", "low"]);
    let ran = answer("execute_task");
    assert_eq!((&ran["success"], &ran["status"]), (&json!(true), &json!("started")));
    assert_eq!((&ran["root_task_id"], &ran["outcome"]), (&json!("top"), &json!("completed")));
    assert!(error("execute_task missing").contains("Task nobody not found"));
    assert_eq!(answer("get_task_status")["status"], "completed");
    assert_eq!(answer("get_task_tree")["children"][0]["task"]["status"], "completed");

    let events = answer("stream").as_array().expect("events");
    assert_eq!(events[0]["result"]["streaming"], true, "the envelope comes first");
    let kind = |at: usize| events[at]["type"].as_str().unwrap_or_default();
    assert_eq!(kind(events.len() - 1), "stream_end");
    assert_eq!(events.iter().filter(|event| event["final"] == true).count(), 1, "{events:?}");
    assert!(events.iter().any(|event| event["type"] == "task_completed"), "{events:?}");

    assert_eq!(answer("execute tasks")["root_task_id"], "again");
    assert_eq!(answer("trigger")["status"], "completed");
    assert!(error("callback").contains("webhook_config.url is required"));
    assert!(error("generate").starts_with("API error 400"), "{}", error("generate"));
    assert_eq!(answer("list_tasks").as_array().map(Vec::len), Some(1));
    assert_eq!(answer("count_tasks")["completed"], 4);
    assert_eq!(answer("copy_task")[0]["origin_type"], "link");
    assert_eq!(answer("cancel_task")["error"], "Task not found");
    assert_eq!(answer("running")["count"], 0);
    assert!(error("unknown").contains("-32601"));
    server.stop().exits(0);
}

#[test]
fn what_it_never_sends_to_any_server_leaves_the_server_alone() {
    let place = Place::new();
    let server = serve(&place);
    let client = Client::of(&place, &server);
    truth(&place, &server, "tasks.create", &leaf("one"));
    let before = truth(&place, &server, "tasks.list", &json!({"root_only": false}));
    let inputs = ["run", "flow", "system_info_executor", "-i", "{\"resource\": \"cpu\"}"];
    let said = client.run(&inputs).exits(0);
    assert!(said.out.contains("\"status\": \"completed\""), "{}", said.out);
    assert_eq!(client.alone(), 1, "`run flow` runs here and not there");
    let said = client.run(&["scheduler", "trigger", "one", "--wait"]).exits(1);
    assert!(said.out.contains("not found"), "{}", said.out);
    let said = client.run(&["tasks", "watch", "-t", "one", "-i", "0.1"]).exits(0);
    assert!(said.out.contains("No such task(s)"), "{}", said.out);
    let said = client.run(&["executors", "list", "-f", "ids"]).exits(0);
    assert!(said.out.contains("crewai_executor"), "it lists its own: {}", said.out);
    let said = client.run(&["monitor", "status"]).exits(1);
    let told = format!("{}{}", said.out, said.err);
    assert!(told.contains("'list' object has no attribute 'get'"), "{told}");
    assert_eq!(truth(&place, &server, "tasks.list", &json!({"root_only": false})), before);
    server.stop().exits(0);
}

/// The guide's commands of one section, as they stand there.
fn of_the_guide(heading: &str) -> String {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/from-python.md");
    let guide = fs::read_to_string(guide).expect("the guide");
    let (_, section) = guide.split_once(&format!("\n## {heading}\n")).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let commands: String = blocks.collect();
    assert_ne!(commands, "", "{heading}");
    commands
}

/// Runs commands as a reader would: `apflow` is this one, `.venv/bin/apflow` the Python one.
fn follow(place: &Place, client: &Client, commands: &str) -> Said {
    let mut command = client.command(Path::new("/bin/sh"));
    let ours = Path::new(env!("CARGO_BIN_EXE_apflow")).parent().expect("a directory");
    command.env("PATH", format!("{}:/usr/bin:/bin", ours.display()));
    command.env("APFLOW_JWT_SECRET", SECRET).current_dir(place.path(""));
    command.args(["-e", "-c", commands]);
    Said::of(&command.output().expect("a shell"))
}

#[test]
fn the_commands_of_the_guide_move_the_tasks_and_point_the_client_here() {
    let place = Place::new();
    let mut client = Client::new(&place);
    // Nothing listens there: the client looks for a server at its own port 8000 otherwise.
    client.env = vec![("APFLOW_BASE_URL", "http://127.0.0.1:1".to_owned())];
    let venv = python().parent().and_then(Path::parent).expect("an environment").to_owned();
    std::os::unix::fs::symlink(venv, place.path(".venv")).expect("a link");
    let old = tree("top", "low").to_string();
    client.fed(&["tasks", "create", "--stdin"], &old).exits(0);
    client.run(&["tasks", "update", "low", "--result", "{\"cores\": 4}"]).exits(0);
    follow(&place, &client, &of_the_guide("Take the tasks along")).exits(0);
    let server = serve(&place);
    client.env.clear();
    let point = of_the_guide("Point the Python client here");
    let point = point.replace("127.0.0.1:8000", &server.address);
    let said = follow(&place, &client, &point).exits(0);
    assert!(said.out.contains("\"pending\": 2"), "{}", said.out);
    let list = client.json(&["tasks", "list", "--all-tasks"]);
    let mut found = ids(&list);
    found.sort_unstable();
    assert_eq!(found, ["low", "top"]);
    assert!(truth(&place, &server, "tasks.get", &json!({"task_id": "low"}))["result"].is_null());
    let ran = truth(&place, &server, "tasks.execute", &json!({"task_id": "top"}));
    assert_eq!(ran["outcome"], "completed");
    server.stop().exits(0);
}

#[test]
fn it_signs_a_token_of_its_own_and_with_a_wrong_one_it_works_alone_without_a_word() {
    let place = Place::new();
    let server = serve(&place);
    let client = Client::new(&place);
    truth(&place, &server, "tasks.create", &leaf("one"));
    let address = format!("http://{}", server.address);
    client.run(&["config", "set", "api_server_url", &address]).exits(0);
    client.run(&["config", "set", "jwt_secret", SECRET]).exits(0);
    let sign = ["config", "gen-token", "-r", "admin", "--save", "admin_auth_token"];
    client.run(&sign).exits(0);
    assert_eq!(ids(&client.json(&["tasks", "list"])), ["one"]);

    client.run(&["config", "set", "admin_auth_token", "wrong"]).exits(0);
    assert_eq!(client.json(&["tasks", "list"]), json!([]), "its own defect");
    server.stop().exits(0);
}
