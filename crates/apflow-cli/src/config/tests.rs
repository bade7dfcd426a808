//! What counts where several say something, what is told, and what is never told.

use serde_json::json;

use super::{bed::Bed, key::Key, table::KEYS, value::shown};
use crate::error::CliError;

const USER: &str = "home/.config/apflow/config.toml";
const V1: &str = "home/.aipartnerup/apflow/config.cli.yaml";
const V2: &str = "home/.aiperceivable/apflow/apflow.yaml";

#[track_caller]
fn problems(bed: &Bed) -> Vec<apflow::core::problem::Problem> {
    match bed.settings() {
        Err(CliError::Problems { problems, .. }) => problems,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_layer_goes_over_the_one_below_it() {
    let mut bed = Bed::new();
    let port = |bed: &Bed| bed.value("server.port");
    let want = |bed: &Bed, value: u64, origin: &str| {
        assert_eq!(port(bed), (json!(value), origin.to_owned()));
    };
    want(&bed, 8000, "default");
    bed.file("etc/config.toml", "[server]\nport = 1\n");
    want(&bed, 1, "system: etc/config.toml:2");
    bed.file(USER, "server.port = 2\n");
    want(&bed, 2, "user: home/.config/apflow/config.toml:1");
    bed.file("here/.apflow/config.toml", "server.port = 3\n");
    want(&bed, 3, "project: here/.apflow/config.toml:1");
    bed.file("here/apflow.toml", "\n\n[server]\nport = 4\n");
    want(&bed, 4, "project: here/apflow.toml:4");
    bed.file("here/named.toml", "server.port = 5\n");
    bed.set("APFLOW_CONFIG", "named.toml");
    want(&bed, 5, "named file: here/named.toml:1");
    bed.file("here/.env", "API_PORT=6\n");
    want(&bed, 6, ".env: here/.env:1, API_PORT");
    bed.set("API_PORT", "7");
    want(&bed, 7, "environment: API_PORT");
    bed.set("APFLOW_API_PORT", "8");
    want(&bed, 8, "environment: APFLOW_API_PORT");
    bed.set("APFLOW_SERVER_PORT", "9");
    want(&bed, 9, "environment: APFLOW_SERVER_PORT");
    bed.over.flag("server.port", "--port", 10);
    want(&bed, 10, "flag: --port");
}

#[test]
fn every_key_is_in_the_types_and_the_types_have_no_other() {
    // The types refuse fields they do not know, so the defaults are all they ask for.
    let settings = Bed::new().settings().expect("the defaults are good");
    let json = serde_json::to_value(&*settings).expect("JSON");
    for (section, value) in json.as_object().expect("sections") {
        for word in value.as_object().into_iter().flatten().map(|(word, _)| word) {
            let name = format!("{section}.{word}");
            assert!(Key::named(&name).is_some(), "{name} is in the types alone");
        }
    }
}

#[test]
fn files_of_both_python_versions_count_below_ours() {
    let mut bed = Bed::new();
    bed.file(
        V1,
        "api_server_url: http://one\napi_timeout: '5'\nadmin_auth_token: CANARY\n\
         use_local_db: true\nlog_level: WARNING\n",
    );
    bed.file(V2, "api:\n  server_url: http://two\n  retry_attempts: 7\n");
    let url = (json!("http://two"), format!("user: {V2}:2"));
    assert_eq!(bed.value("api.server_url"), url);
    assert_eq!(bed.value("api.timeout"), (json!(5), format!("user: {V1}:2, api_timeout")));
    assert_eq!(bed.value("log.level").0, json!("warning"));
    assert_eq!(bed.value("api.retry_attempts").0, json!(7));
    let warnings = bed.settings().expect("good files").warnings().join("\n");
    assert!(warnings.contains("`use_local_db` has no effect"), "{warnings}");
    bed.file(USER, "api.server_url = \"http://ours\"\n");
    assert_eq!(bed.value("api.server_url").0, json!("http://ours"));
    bed.file("here/.data/config.cli.yaml", "api_timeout: 6\n");
    assert_eq!(bed.value("api.timeout").0, json!(6));
    bed.file("here/apflow.yaml", "api: {timeout: 7}\n");
    assert_eq!(bed.value("api.timeout").0, json!(7));
    bed.file("conf/config.cli.yaml", "jwt_algorithm: HS512\n");
    let conf = bed.path("conf").display().to_string();
    bed.set("APFLOW_CONFIG_DIR", &conf);
    assert_eq!(bed.value("auth.jwt_algorithm").0, json!("HS512"));
    assert_eq!(bed.value("api.retry_attempts").0, json!(3), "the home is not asked then");
    bed.file("here/v2.yaml", "api: {timeout: 8}\n");
    bed.set("APFLOW_CONFIG", "v2.yaml");
    assert_eq!(bed.value("api.timeout").0, json!(8));
}

#[test]
fn every_variable_sets_its_key() {
    for key in KEYS {
        for name in key.variables {
            let typed = match key.kind {
                super::key::Kind::Tables(_) => continue,
                super::key::Kind::Word(words) => words[words.len() - 1],
                super::key::Kind::Flag if key.default == Some("true") => "no",
                super::key::Kind::Flag => "yes",
                super::key::Kind::Whole(_, most) => &most.min(2048).to_string(),
                super::key::Kind::Seconds | super::key::Kind::Factor => "2.5",
                _ => "sqlite:/a",
            };
            let mut bed = Bed::new();
            bed.set(name, typed);
            if let Some(switch) = key.switch {
                bed.set(switch, "1");
            }
            let (value, origin) = bed.value(key.name);
            assert_eq!(origin, format!("environment: {name}"), "{}", key.name);
            assert_ne!(value, key.default_value(), "{name}");
            assert!(bed.settings().is_ok(), "{name}");
        }
    }
}

#[test]
fn what_is_unknown_is_told_with_what_was_meant() {
    let mut bed = Bed::new();
    bed.file("here/apflow.toml", "[sever]\nport = 1\n[log]\nlevel = \"info\"\ncolour = 1\n");
    bed.file(V1, "api_serverurl: x\napi_server: http://x\n");
    bed.set("APFLOW_API_PROT", "1");
    bed.set("APFLOW_TASK_TABLE_NAME", "t");
    bed.set("APFLOW_TEST_PG", "not ours to tell");
    let told = bed.settings().expect("warnings only").warnings().join("\n");
    for part in [
        "apflow.toml:2: `sever.port` is no key of the configuration; did you mean `server.port`?",
        "apflow.toml:5: `log.colour` is no key",
        "APFLOW_API_PROT is no variable that apflow knows; did you mean APFLOW_API_PORT?",
        "APFLOW_TASK_TABLE_NAME has no effect: the tables have fixed names",
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    assert!(!told.contains("APFLOW_TEST_PG"), "{told}");
    bed.file("here/apflow.toml", "api_server_url = \"http://x\"\n");
    let told = bed.settings().expect("warnings only").warnings().join("\n");
    assert!(told.contains("did you mean `api.server_url`?"), "{told}");
}

#[test]
fn a_wrong_value_is_told_with_file_line_key_and_what_was_expected() {
    let mut bed = Bed::new();
    bed.file("here/apflow.toml", "[server]\nport = \"8000\"\n\n[log]\nlevel = \"loud\"\n");
    bed.set("APFLOW_MAX_PARALLEL_TASKS", "0");
    let problems = problems(&bed);
    let told: Vec<(String, String, String)> = problems
        .into_iter()
        .map(|it| {
            let place = it.reason.rsplit('/').next().unwrap_or_default().to_owned();
            (it.field.expect("a key"), place, it.expected.expect("what was expected"))
        })
        .collect();
    let want = [
        (
            "server.port",
            "apflow.toml:2: this value cannot be used",
            "a whole number from 0 to 65535",
        ),
        (
            "log.level",
            "apflow.toml:5: this value cannot be used",
            "off, error, warn, info, debug, trace, warning, critical",
        ),
        (
            "engine.max_parallel",
            "APFLOW_MAX_PARALLEL_TASKS: this value cannot be used",
            "a whole number from 1 to 65536",
        ),
    ];
    let want: Vec<_> = want
        .iter()
        .map(|(key, place, what)| ((*key).to_owned(), (*place).to_owned(), (*what).to_owned()))
        .collect();
    assert_eq!(told, want);
}

#[test]
fn a_variable_that_others_have_too_is_left_alone_if_it_does_not_fit() {
    let mut bed = Bed::new();
    bed.set("LOG_LEVEL", "20");
    let settings = bed.settings().expect("it is another program's");
    assert_eq!(settings.log.level, "off");
    assert!(settings.warnings()[0].contains("LOG_LEVEL is left alone"));
}

#[test]
fn a_profile_goes_over_the_rest_of_its_file_and_no_further() {
    let mut bed = Bed::new();
    bed.file(
        USER,
        "log.level = \"info\"\nserver.port = 1\n[profiles.test]\nlog.level = \"debug\"\n\
         server.port = 2\n[profiles.prod.server]\nport = \"wrong even if it is not taken\"\n",
    );
    assert_eq!(problems(&bed).len(), 1);
    bed.file(
        USER,
        "log.level = \"info\"\n[profiles.test]\nlog.level = \"debug\"\nserver.port = 2\n",
    );
    bed.file("here/apflow.toml", "server.port = 3\n");
    assert_eq!(bed.value("log.level").0, json!("info"));
    bed.set("APFLOW_PROFILE", "test");
    let level = format!("user: {USER}:3, profile test");
    assert_eq!(bed.value("log.level"), (json!("debug"), level));
    assert_eq!(bed.value("server.port").0, json!(3));
    bed.over.profile = Some("tset".to_owned());
    let problem = &problems(&bed)[0];
    assert_eq!(problem.hint.as_deref(), Some("did you mean `test`?"));
}

#[test]
fn a_project_grants_nothing_until_it_is_trusted() {
    let mut bed = Bed::new();
    let text = "[executors]\nallow_command = [\"sh\"]\nextension_ids = [\"x\"]\n[trust]\n\
                projects = [\"/\"]\n[server]\nport = 1\n";
    bed.file("here/apflow.toml", text);
    bed.file("here/.env", "APFLOW_STDIO_ALLOW_COMMAND=1\nAPFLOW_STDIO_COMMAND_WHITELIST=sh\n");
    let settings = bed.settings().expect("warnings only");
    assert!(settings.executors.allow_command.is_empty() && settings.trust.projects.is_empty());
    assert!(settings.executors.extension_ids.is_empty());
    assert_eq!(settings.server.port, 1, "what grants nothing counts");
    let told = settings.warnings().join("\n");
    assert!(told.contains("`executors.allow_command` does not count"), "{told}");
    let here = bed.path("here").display().to_string();
    bed.file(USER, &format!("trust.projects = [\"{here}\"]\n"));
    let settings = bed.settings().expect("good settings");
    assert_eq!(settings.executors.allow_command, ["sh"]);
    assert_eq!(settings.trust.projects, [bed.path("here")], "nobody vouches for himself");
    bed.file(USER, "executors.allow_command = [\"git\"]\n");
    assert_eq!(bed.settings().expect("good settings").executors.allow_command, ["git"]);
    bed.over.flag("executors.allow_command", "--allow-command", json!(["wc"]));
    let settings = bed.settings().expect("good settings");
    assert_eq!(settings.executors.allow_command, ["git", "wc"], "flags add to what counts");
}

#[test]
fn a_whitelist_without_its_switch_and_a_switch_without_list_grant_nothing() {
    let mut bed = Bed::new();
    bed.set("APFLOW_STDIO_COMMAND_WHITELIST", "git, wc");
    let settings = bed.settings().expect("warnings only");
    assert!(settings.executors.allow_command.is_empty());
    assert!(settings.warnings().join("\n").contains("without APFLOW_STDIO_ALLOW_COMMAND=1"));
    bed.set("APFLOW_STDIO_ALLOW_COMMAND", "yes");
    let settings = bed.settings().expect("good settings");
    assert_eq!(settings.executors.allow_command, ["git", "wc"]);
    bed.world.variables.remove("APFLOW_STDIO_COMMAND_WHITELIST");
    let told = bed.settings().expect("warnings only").warnings().join("\n");
    assert!(told.contains("APFLOW_STDIO_ALLOW_COMMAND alone allows nothing"), "{told}");
}

#[test]
fn a_token_is_not_sent_to_a_server_that_a_strange_project_names() {
    let mut bed = Bed::new();
    bed.file(USER, "api.token = \"CANARY\"\napi.server_url = \"https://mine\"\n");
    assert!(bed.settings().expect("good settings").api.token.is_some());
    bed.file("here/apflow.toml", "api.server_url = \"https://evil\"\n");
    let settings = bed.settings().expect("warnings only");
    assert!(settings.api.token.is_none());
    assert!(settings.warnings().join("\n").contains("your token is not sent"));
    let refer = "api.server_url = \"https://evil\"\napi.token = \"secret://file/etc/passwd\"\n";
    bed.file("here/apflow.toml", refer);
    assert!(bed.settings().expect("warnings only").api.token.is_none());
}

#[test]
fn a_file_of_somebody_else_in_a_project_is_left_alone() {
    let mut bed = Bed::new();
    bed.file("here/apflow.toml", "server.port = 1\n");
    bed.file("here/.env", "API_PORT=2\n");
    let me = bed.world.user.expect("a user");
    // Not the owner of these files, and not root's either unless root runs the test.
    bed.world.user = Some(me + 1);
    if me == 0 {
        assert_eq!(bed.value("server.port").0, json!(2), "what is root's is believed");
        return;
    }
    assert_eq!(bed.value("server.port").0, json!(8000));
}

#[test]
fn an_env_file_never_goes_over_the_environment() {
    let mut bed = Bed::new();
    bed.file("here/.env", "APFLOW_SERVER_PORT=1\nDATABASE_URL=sqlite:a\nAPFLOW_OOPS=1\n");
    bed.set("API_PORT", "2");
    bed.set("DATABASE_URL", "sqlite:b");
    assert_eq!(bed.value("server.port").0, json!(2), "a weaker name of the environment");
    assert_eq!(bed.value("storage.url").0, json!("sqlite:b"));
    let told = bed.settings().expect("warnings only").warnings().join("\n");
    assert!(told.contains("APFLOW_OOPS is no variable"), "{told}");
}

#[cfg(unix)]
#[test]
fn a_file_with_a_secret_that_others_can_read_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut bed = Bed::new();
    let path = bed.file(USER, "auth.jwt_secret = \"CANARY\"\n");
    let told = |bed: &Bed| bed.settings().expect("warnings only").warnings().join("\n");
    assert!(!told(&bed).contains("others can read"), "{}", told(&bed));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("its mode");
    assert!(told(&bed).contains("others can read"), "{}", told(&bed));
    bed.file(USER, "auth.jwt_secret = \"secret://env/X\"\n");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("its mode");
    assert!(!told(&bed).contains("others can read"), "where it is kept is no secret");
}

#[test]
fn l3_neither_debug_nor_errors_nor_warnings_show_a_secret() {
    let mut bed = Bed::new();
    for (count, key) in KEYS.iter().filter(|key| key.secret).enumerate() {
        bed.set(key.variables[0], &format!("CANARY{count}"));
    }
    bed.set("DATABASE_URL", "postgres://me:CANARY-DB@db/x");
    bed.set("APFLOW_API_SERVER_URL", "https://me:CANARY-URL@api/x?token=CANARY-QUERY");
    let settings = bed.settings().expect("warnings only");
    let told = format!("{settings:?} {settings:#?} {:?}", settings.warnings());
    assert!(!told.contains("CANARY"), "{told}");
    for key in KEYS {
        let value = shown(key, &settings.gathered.value(key)).to_string();
        assert!(!value.contains("CANARY"), "{}: {value}", key.name);
    }
    bed.file(USER, "webhook.secret = [\"CANARY\"]\nauth.jwt_secret = { a = \"CANARY\" }\n[llm]\nopenai_api_key = 1234567\n");
    let told = format!("{:?}", problems(&bed));
    assert!(!told.contains("CANARY") && !told.contains("1234567"), "{told}");
}

#[test]
fn a_broken_file_is_told_with_its_line_and_stops_everything() {
    let mut bed = Bed::new();
    bed.file("here/apflow.toml", "[server]\nport = \n");
    let problem = &problems(&bed)[0];
    assert!(
        problem.field.as_deref().is_some_and(|at| at.ends_with("apflow.toml:2")),
        "{problem:?}"
    );
    bed.file("here/apflow.toml", "");
    bed.over.config = Some("nope.toml".into());
    assert!(problems(&bed)[0].reason.contains("there is no file"));
}

#[test]
fn reading_everything_takes_less_than_five_milliseconds() {
    let mut bed = Bed::new();
    for place in ["etc/config.toml", USER, "here/apflow.toml"] {
        bed.file(place, "[server]\nport = 1\n[profiles.a.log]\nlevel = \"info\"\n");
    }
    bed.file(V1, "api_timeout: 5\n");
    let mut times: Vec<_> = (0..20)
        .map(|_| {
            let since = std::time::Instant::now();
            assert!(bed.settings().is_ok());
            since.elapsed()
        })
        .collect();
    times.sort_unstable();
    // A build without optimisation is some ten times slower than the one people have.
    assert!(times[0] < std::time::Duration::from_millis(20), "{times:?}");
}
