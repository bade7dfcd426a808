//! `apflow config`: values with their origin, files that keep their comments, and secrets that stay unseen.

use serde_json::json;

use crate::{Place, Said};

const FILE: &str = "apflow.toml";

#[test]
fn what_is_set_is_read_back_with_its_place_and_comments_stay() {
    let place = Place::new();
    place.write(FILE, "# ours\n[server]\nport = 1 # the first\n");
    place
        .apflow(&["config", "set", "server.port", "9000"])
        .exits(0)
        .tells(&["server.port is set in"]);
    assert_eq!(place.lines(FILE), ["# ours", "[server]", "port = 9000 # the first"]);
    let said = place.apflow(&["config", "get", "server.port"]).exits(0);
    assert_eq!(said.out, "9000\n");
    let said = place.apflow(&["config", "get", "server.port", "-o", "json"]).exits(0);
    assert_eq!(said.json()["value"], 9000);
    assert!(said.json()["origin"].as_str().is_some_and(|it| it.ends_with("apflow.toml:3")));
    place.apflow(&["config", "unset", "server.port", "-y"]).exits(0);
    assert_eq!(place.lines(FILE), ["# ours", "[server]"]);
    let said = place.apflow(&["config", "list", "-o", "json"]).exits(0).json();
    let rows = said.as_array().expect("rows");
    let port = rows.iter().find(|row| row["key"] == "server.port");
    assert_eq!(port, Some(&json!({"key": "server.port", "value": 8000, "origin": "default"})));
}

#[test]
fn names_of_the_python_version_lead_to_the_same_keys() {
    let place = Place::new();
    place.apflow(&["config", "set", "api-server", "http://localhost:1"]).exits(0);
    place.fed(&["config", "set", "api-token", "-"], "CANARY\n").exits(0);
    let file = ".config/apflow/config.toml";
    assert_eq!(
        place.lines(file),
        ["[api]", "server_url = \"http://localhost:1\"", "token = \"CANARY\""]
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(place.path(file)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    for name in ["api_server_url", "api-server", "api.server_url"] {
        assert_eq!(place.apflow(&["config", "get", name]).exits(0).out, "http://localhost:1\n");
    }
    assert_eq!(place.apflow(&["config", "get", "admin_auth_token"]).exits(0).out, "***\n");
    place.apflow(&["config", "init-server", "-u", "http://localhost:2", "-r", "admin"]).exits(0);
    assert_eq!(place.apflow(&["config", "get", "api_server_url"]).out, "http://localhost:2\n");
    let said = place.apflow(&["config", "show-path"]).exits(0);
    assert!(said.out.contains(".aipartnerup/apflow/config.cli.yaml"), "{}", said.out);
    place.apflow(&["config", "reset", "--user"]).exits(2).tells(&["--yes"]);
    place.apflow(&["config", "reset", "--user", "-y"]).exits(0);
    assert!(!place.path(file).exists() && place.path(".config/apflow/config.toml.old").exists());
    place.apflow(&["config", "get", "use-local-db"]).exits(4).tells(&["api.local_only"]);
    place
        .apflow(&["config", "get", "server.prot"])
        .exits(4)
        .tells(&["did you mean `server.port`?"]);
}

#[test]
fn explain_shows_every_layer_and_who_wins() {
    let place = Place::new();
    place.write(FILE, "log.level = \"info\"\n");
    place.write(".env", "LOG_LEVEL=warn\n");
    let mut command = place.command(&["config", "explain", "log.level"]);
    let output = command.env("APFLOW_LOG_LEVEL", "debug").output().expect("apflow starts");
    let said = Said::of(&output).exits(0);
    let text = said.out.replace(place.dir.path().to_str().expect("a plain path"), "HERE");
    insta::assert_snapshot!(text);
}

#[test]
fn a_wrong_file_is_told_and_can_be_mended() {
    let place = Place::new();
    place.write(FILE, "[server]\nport = 70000\nprot = 1\n");
    let said = place.apflow(&["config", "validate"]).exits(2);
    said.tells(&[
        "apflow.toml:2",
        "server.port",
        "from 0 to 65535",
        "70000",
        "did you mean `server.port`?",
    ]);
    place.apflow(&["tasks", "list"]).exits(2).tells(&["AF0031", "apflow.toml:2"]);
    place.apflow(&["graph", "x.yaml"]).exits(2).tells(&["x.yaml cannot be read"]);
    place.apflow(&["config", "set", "server.port", "70"]).exits(0);
    let said = place.apflow(&["config", "validate"]).exits(0);
    assert_eq!(said.out, "1 file read, 1 key set, 1 warning: nothing is wrong\n");
    place.apflow(&["config", "set", "server.port", "many"]).exits(2).tells(&["from 0 to 65535"]);
    place.apflow(&["config", "set", "auth.jwt_secret", "secret://env/APFLOW_TEST_NONE"]).exits(0);
    place.apflow(&["config", "validate"]).exits(2).tells(&["APFLOW_TEST_NONE is not set"]);
    place.write("other.toml", "log.filter = \"a=b=c\"\n");
    place.apflow(&["config", "validate", "--config", "other.toml"]).exits(2);
}

#[test]
fn a_first_file_says_nothing_and_is_not_written_over() {
    let place = Place::new();
    place.apflow(&["config", "init", "--project"]).exits(0);
    let said = place.apflow(&["config", "list", "--set", "-o", "json"]).exits(0);
    assert_eq!(said.json(), json!([]));
    assert_eq!(said.err, "");
    place.apflow(&["config", "init", "--project"]).exits(5).tells(&["--force"]);
    place.apflow(&["config", "init", "--project", "--force"]).exits(0);
}

#[test]
fn a_project_is_trusted_by_its_user_and_by_nobody_else() {
    let place = Place::new();
    place.write(FILE, "executors.allow_command = [\"true\"]\n");
    let allowed = || place.apflow(&["config", "get", "executors.allow_command"]).exits(0);
    assert_eq!(allowed().out, "[]\n");
    allowed().tells(&["not trusted", "apflow config trust"]);
    place.apflow(&["config", "set", "--project", "trust.projects", "."]).exits(2);
    place.apflow(&["config", "trust"]).exits(0).tells(&["is trusted"]);
    assert_eq!(allowed().out, "[\"true\"]\n");
    place.apflow(&["config", "untrust"]).exits(0);
    assert_eq!(allowed().out, "[]\n");
}

#[test]
fn profiles_are_taken_by_flag_and_written_to() {
    let place = Place::new();
    place.write(FILE, "log.level = \"info\"\n");
    place.apflow(&["config", "set", "log.level", "debug", "--profile", "test"]).exits(0);
    assert_eq!(
        place.lines(FILE),
        ["log.level = \"info\"", "", "[profiles.test.log]", "level = \"debug\""]
    );
    let level = |args: &[&str]| place.apflow(&[&["config", "get", "log.level"], args].concat()).out;
    assert_eq!(level(&[]), "info\n");
    assert_eq!(level(&["--profile", "test"]), "debug\n");
    place.apflow(&["config", "get", "log.level", "--profile", "tset"]).exits(2).tells(&["`test`"]);
}

#[test]
fn l3_no_command_and_no_log_shows_a_secret() {
    let place = Place::new();
    place.write(
        ".config/apflow/config.toml",
        "[api]\ntoken = \"CANARY1\"\n[webhook]\nold_secrets = [\"CANARY2\"]\n\
         [storage]\nurl = \"postgres://me:CANARY3@127.0.0.1:1/x\"\n",
    );
    place.write(".env", "APFLOW_JWT_SECRET=CANARY4\nSMTP_PASSWORD=CANARY5\n");
    for args in [
        &["config", "list", "-vvv"][..],
        &["config", "list", "-o", "json"],
        &["config", "list", "-o", "yaml", "--set"],
        &["config", "get", "api.token"],
        &["config", "get", "webhook.old_secrets", "-o", "json"],
        &["config", "explain", "auth.jwt_secret"],
        &["config", "explain", "storage.url", "-o", "json"],
        &["config", "validate"],
        &["config", "path", "-o", "json"],
        &["config", "set", "auth.jwt_secret", "CANARY6"],
        &["config", "set", "webhook.rate_limit", "CANARY7"],
        &["info", "-vvv"],
        &["tasks", "list", "-vvv"],
        &["db", "status", "-vvv"],
        &["serve", "-vvv", "--port", "0"],
    ] {
        let Said { out, err, .. } = place.apflow(args);
        // What was typed as no secret may be repeated.
        let told = format!("{out}{err}").replace("CANARY7", "");
        assert!(!told.contains("CANARY"), "{args:?}\n{told}");
    }
}

#[test]
fn help_reads_no_configuration() {
    let place = Place::new();
    place.write(FILE, "this is no TOML");
    for args in
        [&["--help"][..], &["serve", "--help"], &["explain", "AF0001"], &["schema", "config"]]
    {
        assert_eq!(place.apflow(args).exits(0).err, "", "{args:?}");
    }
}

#[test]
fn the_schema_of_the_file_knows_the_keys() {
    let schema = Place::new().apflow(&["schema", "config"]).exits(0).json();
    assert_eq!(schema["properties"]["server"]["properties"]["port"]["maximum"], 65535);
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn grants_of_a_users_file_count_for_a_run() {
    let place = Place::new();
    place.write(
        "flow.yaml",
        "tasks:\n  a:\n    executor: command_executor\n    inputs: {command: \"true\"}\n",
    );
    place.apflow(&["run", "flow.yaml"]).exits(1);
    place.write(
        ".config/apflow/config.toml",
        "[executors]\nallow_command = [\"true\"]\n[storage]\ndurability = \"relaxed\"\n",
    );
    place.apflow(&["run", "flow.yaml"]).exits(0);
}

#[test]
fn files_of_the_python_versions_are_read_and_not_written() {
    let place = Place::new();
    place.write("apflow.yaml", "api:\n  timeout: 5\n");
    place.write(".data/config.cli.yaml", "api_retry_attempts: '7'\nlog_level: WARNING\n");
    assert_eq!(place.apflow(&["config", "get", "api.timeout"]).exits(0).out, "5\n");
    assert_eq!(place.apflow(&["config", "get", "api_retry_attempts"]).exits(0).out, "7\n");
    assert_eq!(place.apflow(&["config", "get", "log-level"]).exits(0).out, "warning\n");
    let set = ["config", "set", "api.timeout", "6", "--config", "apflow.yaml"];
    place.apflow(&set).exits(2).tells(&["not written"]);
    assert_eq!(place.lines("apflow.yaml"), ["api:", "  timeout: 5"]);
    place.apflow(&["config", "set", "api.timeout", "6", "--project"]).exits(0);
    assert_eq!(place.apflow(&["config", "get", "api.timeout"]).exits(0).out, "6\n");
}
