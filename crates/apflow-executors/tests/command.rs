//! `command_executor` from outside: what runs, what is refused, and that nothing stays behind.

#![expect(clippy::expect_used, reason = "a helper of tests may panic")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use apflow_core::{
    executor::{Context, ExecuteError, Executor},
    task::FailureKind,
};
use apflow_executors::command::{CommandConfig, CommandExecutor, ID, Limits};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{failed_as, inputs, run};

/// A shell that stays for some ten seconds, and ends by itself if nobody ends it.
const LOOP: &str = "i=0; while [ $i -lt 500 ]; do i=$((i+1)); sleep 0.02; done";

/// Long enough for a busy machine, short against the commands it waits for.
const SOON: Duration = Duration::from_secs(5);

fn allowing(programs: &[&str]) -> CommandConfig {
    CommandConfig {
        allow: programs.iter().map(|program| (*program).to_owned()).collect(),
        grace: Duration::from_millis(300),
        ..CommandConfig::default()
    }
}

fn executor(programs: &[&str]) -> CommandExecutor {
    CommandExecutor::new(&allowing(programs))
}

/// A shell that is allowed: the worst case, and the handiest way to make processes.
fn shell() -> CommandExecutor {
    executor(&["/bin/sh"])
}

fn script(text: &str) -> Value {
    json!({"argv": ["sh", "-c", text]})
}

/// Waits until the file holds `count` process ids.
async fn pids(file: &Path, count: usize) -> Vec<u32> {
    let until = Instant::now() + SOON;
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        let found: Vec<u32> = text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        if found.len() == count && text.ends_with('\n') {
            return found;
        }
        assert!(Instant::now() < until, "{count} processes never started: {text:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether the process runs; a zombie counts, for somebody has to reap it.
fn alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

async fn all_gone_within(pids: &[u32], time: Duration) {
    let until = Instant::now() + time;
    while pids.iter().any(|pid| alive(*pid)) {
        assert!(Instant::now() < until, "still there: {pids:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Whether it runs at all; a zombie of another parent (a container without an init) does not.
fn running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

async fn none_running_within(pids: &[u32], time: Duration) {
    let until = Instant::now() + time;
    while pids.iter().any(|pid| running(*pid)) {
        assert!(Instant::now() < until, "still running: {pids:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_program_runs_and_its_output_is_trimmed() {
    for inputs in [
        json!({"argv": ["echo", "a  b", "$(id)"]}),
        json!({"argv": ["/bin/echo", "a  b", "$(id)"]}),
        json!({"command": "echo 'a  b' '$(id)'", "some_task": {"stdout": "x"}}),
    ] {
        let result = run(&executor(&["/bin/echo"]), inputs).await;
        assert_eq!(
            result,
            Ok(json!({"success": true, "return_code": 0, "stdout": "a  b $(id)", "stderr": ""}))
        );
    }
}

#[tokio::test]
async fn a_bare_name_is_found_on_the_path_of_the_configuration_alone() {
    let result = run(&executor(&["echo"]), json!({"command": "echo hi"})).await;
    assert_eq!(result.expect("echo is on the path")["stdout"], "hi");
    let nowhere = CommandConfig { path: vec!["/nowhere".into()], ..allowing(&["echo"]) };
    assert_eq!(nowhere.missing(), ["echo"]);
    failed_as(
        run(&CommandExecutor::new(&nowhere), json!({"command": "echo hi"})).await,
        FailureKind::NotAllowed,
    );
}

#[test]
fn what_is_no_program_is_missing() {
    let dir = TempDir::new().expect("a directory");
    let plain = dir.path().join("plain");
    fs::write(&plain, "#!/bin/sh\n").expect("written");
    let plain = plain.to_str().expect("text");
    let config = allowing(&["/bin/sh", "/bin", plain, "./sh", "bin/sh", "", "/gone"]);
    assert_eq!(config.missing(), ["/bin", plain, "./sh", "bin/sh", "", "/gone"]);
}

#[tokio::test]
async fn c9_nothing_runs_until_it_is_allowed() {
    let off = CommandExecutor::new(&CommandConfig::default());
    let why = off.manifest().unavailable.clone().expect("says that it is off");
    for inputs in [json!({"command": "echo hi"}), json!({"argv": ["/bin/echo"]}), json!({})] {
        let text = failed_as(run(&off, inputs).await, FailureKind::NotAllowed);
        assert_eq!(text, why);
    }
    assert!(
        why.starts_with(&format!(
            "[{ID}] Command execution is disabled by default for security. To enable, "
        )) && why.contains("--allow-command"),
        "{why}"
    );
    assert_eq!(shell().manifest().unavailable, None);
}

#[tokio::test]
async fn a_program_that_is_not_allowed_is_named_beside_those_that_are() {
    let executor = executor(&["/bin/echo", "cat"]);
    for (program, shown) in [
        ("id", "id"),
        ("/usr/bin/id", "/usr/bin/id"),
        ("./echo", "./echo"),
        ("/bin/../bin/echo", "/bin/../bin/echo"),
        ("echo ", "echo "),
        ("i\u{1b}[2Jd\n", "i[2Jd"),
    ] {
        let text =
            failed_as(run(&executor, json!({"argv": [program]})).await, FailureKind::NotAllowed);
        let begin = format!(
            "[{ID}] Command '{shown}' is not in the whitelist. Allowed commands: /bin/echo, cat"
        );
        assert!(text.starts_with(&begin), "{text}");
    }
}

#[tokio::test]
async fn c1_what_a_shell_would_do_is_literal_or_refused() {
    let dir = TempDir::new().expect("a directory");
    let config = CommandConfig { cwd: dir.path().to_owned(), ..allowing(&["/bin/echo"]) };
    let executor = CommandExecutor::new(&config);
    let tricks =
        ["; id", "$(id)", "`id`", "&& id", "| id", "\nid", "> file", ">> file", "& id", "$HOME"];
    for trick in tricks {
        let line = json!({"command": format!("echo hi {trick}")});
        let text = failed_as(run(&executor, line).await, FailureKind::InvalidInput);
        assert!(text.starts_with(&format!("[{ID}] command: ")), "{text}");
        let words = json!({"argv": ["echo", "hi", trick]});
        let literal = run(&executor, words).await.expect("a word like any other");
        assert_eq!(literal["stdout"], format!("hi {trick}").trim(), "{trick}");
    }
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0, "no file was written");
}

#[tokio::test]
async fn bad_inputs_are_told_before_anything_starts() {
    let executor = executor(&["/bin/echo"]);
    let cases = [
        (json!({}), "command is required in inputs"),
        (json!({"command": "  "}), "command is required in inputs"),
        (json!({"argv": []}), "command is required in inputs"),
        (json!({"argv": [""]}), "command is required in inputs"),
        (json!({"command": ["echo"]}), "command must be a text"),
        (json!({"argv": "echo"}), "argv must be a list of texts"),
        (json!({"argv": ["echo", 1]}), "argv[1] must be a text"),
        (json!({"argv": ["echo", "a\u{0}b"]}), "word 1 of the command holds U+0000"),
        (json!({"argv": ["echo"], "command": "echo"}), "keep one"),
        (json!({"argv": ["echo"], "timeout": 0}), "timeout must be"),
        (json!({"argv": ["echo"], "timeout": -1}), "timeout must be"),
        (json!({"argv": ["echo"], "timeout": 1e18}), "timeout must be"),
        (json!({"argv": ["echo"], "timeout": "5"}), "timeout must be"),
        (json!({"argv": ["echo"], "cwd": "/nowhere/at/all"}), "cwd is no directory here"),
        (json!({"argv": ["echo"], "env": ["A"]}), "env must be an object"),
        (json!({"argv": ["echo"], "env": {"TZ": 1}}), "env: the value of TZ must be a text"),
        (json!({"argv": ["echo"], "stdin": 1}), "stdin must be a text"),
    ];
    for (inputs, what) in cases {
        let text = failed_as(run(&executor, inputs.clone()).await, FailureKind::InvalidInput);
        assert!(text.starts_with(&format!("[{ID}] ")) && text.contains(what), "{inputs}: {text}");
    }
}

#[tokio::test]
async fn a_command_that_fails_is_final_and_keeps_its_result() {
    let outcome = run(&shell(), script("echo out; echo 'it broke' >&2; exit 3")).await;
    let Err(ExecuteError::Permanent { failure, result }) = outcome else {
        panic!("{outcome:?} is no final failure")
    };
    assert_eq!(failure.message, "Command failed with return code 3: it broke");
    assert_eq!(
        result,
        json!({"success": false, "return_code": 3, "stdout": "out", "stderr": "it broke"})
    );
    let text = failed_as(run(&shell(), script("kill -9 $$")).await, FailureKind::Executor);
    assert_eq!(text, "Command failed with return code -9");
}

#[tokio::test]
async fn a_program_that_cannot_be_started_says_why() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("odd");
    fs::copy("/bin/sh", &file).expect("copied");
    let file = file.to_str().expect("text").to_owned();
    let executor = executor(&[&file]);
    fs::remove_file(&file).expect("removed");
    let text = failed_as(run(&executor, json!({"argv": ["odd"]})).await, FailureKind::Executor);
    assert!(text.contains("could not be run") && text.contains(&file), "{text}");
}

#[tokio::test]
async fn the_environment_is_empty_but_for_a_safe_minimum() {
    let mut config = allowing(&["/usr/bin/env"]);
    config.env.insert("MINE".to_owned(), "1".to_owned());
    let result = run(
        &CommandExecutor::new(&config),
        json!({"argv": ["env"], "env": {"TZ": "UTC", "LANG": "C"}}),
    )
    .await
    .expect("runs");
    let mut lines: Vec<&str> = result["stdout"].as_str().expect("text").lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        ["HOME=/nonexistent", "LANG=C", "MINE=1", "PATH=/usr/local/bin:/usr/bin:/bin", "TZ=UTC"]
    );
}

#[tokio::test]
async fn c3_harmful_variables_are_refused_and_their_values_not_repeated() {
    let mut config = allowing(&["/usr/bin/env"]);
    let harmful = ["LD_PRELOAD", "BASH_ENV", "PYTHONSTARTUP", "GIT_SSH_COMMAND"];
    config.allow_env.extend(harmful.map(str::to_owned));
    let executor = CommandExecutor::new(&config);
    for name in harmful.into_iter().chain(["UNHEARD_OF"]) {
        let inputs = json!({"argv": ["env"], "env": {name: "CANARY"}});
        let text = failed_as(run(&executor, inputs).await, FailureKind::NotAllowed);
        assert!(text.contains(name) && !text.contains("CANARY"), "{text}");
    }
}

#[tokio::test]
async fn standard_input_is_empty_or_what_the_task_says() {
    let cat = executor(&["cat"]);
    let empty = run(&cat, json!({"argv": ["cat"], "timeout": 5})).await.expect("ends by itself");
    assert_eq!(empty["stdout"], "");
    let long = "x".repeat(300_000);
    let fed = run(&cat, json!({"argv": ["cat"], "stdin": long})).await.expect("runs");
    assert_eq!(fed["stdout"], long);
    let deaf = run(&executor(&["true"]), json!({"argv": ["true"], "stdin": long})).await;
    assert_eq!(deaf.expect("a program may ignore its input")["success"], true);
}

#[tokio::test]
async fn a_task_chooses_its_directory_within_what_is_allowed() {
    let dir = TempDir::new().expect("a directory");
    let root = dir.path().canonicalize().expect("real");
    fs::create_dir_all(root.join("in/deep")).expect("made");
    fs::create_dir(root.join("out")).expect("made");
    std::os::unix::fs::symlink(root.join("out"), root.join("in/link")).expect("linked");
    let config = CommandConfig { cwd: root.join("in"), ..allowing(&["pwd"]) };
    let executor = CommandExecutor::new(&config);
    for (asked, ends) in [(Value::Null, "in"), (json!("deep"), "in/deep"), (json!("."), "in")] {
        let result = run(&executor, json!({"argv": ["pwd"], "cwd": asked})).await.expect("runs");
        assert_eq!(result["stdout"], root.join(ends).to_str().expect("text"));
    }
    for asked in ["..", "../out", "/", "link", "deep/../../out"] {
        let inputs = json!({"argv": ["pwd"], "cwd": asked});
        let text = failed_as(run(&executor, inputs).await, FailureKind::NotAllowed);
        assert!(text.contains("outside"), "{text}");
    }
    let wider = CommandConfig { dirs: vec![root.clone()], ..config };
    let result =
        run(&CommandExecutor::new(&wider), json!({"argv": ["pwd"], "cwd": "../out"})).await;
    assert_eq!(result.expect("allowed")["stdout"], root.join("out").to_str().expect("text"));
}

#[tokio::test]
async fn c5_output_is_capped_and_the_command_may_finish() {
    let result = run(&shell(), script("yes | head -c 3000000; echo warned >&2")).await;
    let result = result.expect("it ends well");
    let kept = result["stdout"].as_str().expect("text").len();
    assert_eq!(result["truncated"], true);
    assert!((900_000..=1 << 20).contains(&kept), "{kept}");
    assert_eq!(result["stderr"], "warned", "errors have room of their own");
}

#[tokio::test]
async fn c5_endless_output_ends_with_the_timeout() {
    let began = Instant::now();
    let outcome =
        run(&executor(&["yes"]), json!({"argv": ["yes", "no secret"], "timeout": 0.3})).await;
    let text = failed_as(outcome, FailureKind::Timeout);
    assert_eq!(text, format!("[{ID}] Command timed out after 0.3 seconds and was killed"));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[tokio::test]
async fn c5_output_that_is_no_text_is_replaced() {
    let result = run(&shell(), script(r"printf 'a\377b\000c'")).await.expect("runs");
    assert_eq!(result["stdout"], "a\u{fffd}b\u{fffd}c");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn c7_limits_reach_the_program() {
    let limits = Limits { open_files: Some(17), cpu_seconds: Some(7), ..Limits::default() };
    let config = CommandConfig { limits, ..allowing(&["/bin/sh"]) };
    // The limits are set just after the start, so the program waits a moment before it looks.
    let result =
        run(&CommandExecutor::new(&config), script("sleep 0.3; ulimit -n; ulimit -t; ulimit -c"))
            .await
            .expect("runs");
    assert_eq!(result["stdout"], "17\n7\n0");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn c7_memory_has_an_end() {
    let limits = Limits { memory: Some(32 << 20), ..Limits::default() };
    let config = CommandConfig { limits, ..allowing(&["/bin/sh"]) };
    // A line without an end is kept in memory by whoever looks for its last line.
    let hungry = script("sleep 0.2; head -c 300000000 /dev/zero | tail -n 1 > /dev/null");
    let outcome = run(&CommandExecutor::new(&config), hungry).await;
    let text = failed_as(outcome, FailureKind::Executor);
    assert!(text.starts_with("Command failed with return code 1"), "{text}");
}

#[tokio::test]
async fn a_timeout_kills_the_command_and_its_grandchildren() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("pids");
    let text = format!(
        "sh -c 'sleep 20 & echo $! $$ >> {0}.tmp; wait' & echo $$ >> {0}.tmp; sleep 0.1; \
         mv {0}.tmp {0}; echo why >&2; wait",
        file.display()
    );
    let executor = shell();
    let mut inputs = script(&text);
    inputs["timeout"] = json!(1);
    let outcome = run(&executor, inputs).await;
    let Err(ExecuteError::Transient { failure, .. }) = outcome else {
        panic!("{outcome:?} is no failure that may be cured")
    };
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert!(
        failure.message.ends_with("after 1 seconds and was killed; it had said: why"),
        "{failure:?}"
    );
    let family: Vec<u32> = fs::read_to_string(&file)
        .expect("written before the timeout")
        .split_whitespace()
        .map(|pid| pid.parse().expect("a process id"))
        .collect();
    assert_eq!(family.len(), 3);
    none_running_within(&family, Duration::from_millis(200)).await;
}

#[tokio::test]
async fn a_cancel_asks_first_and_returns_when_the_command_obeys() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("pids");
    let config = CommandConfig { grace: SOON, ..allowing(&["/bin/sh"]) };
    let said = dir.path().join("said");
    let text = format!(
        "trap 'echo bye > {}; exit 0' TERM; echo $$ > {}; {LOOP}",
        said.display(),
        file.display()
    );
    let (outcome, leader, took) =
        cancelled(CommandExecutor::new(&config), script(&text), &file).await;
    assert_eq!(outcome, Err(ExecuteError::Cancelled));
    assert_eq!(fs::read_to_string(&said).expect("it had its chance"), "bye\n");
    assert!(took < SOON, "{took:?}");
    assert!(!alive(leader[0]), "the leader is reaped when the result is there");
}

#[tokio::test]
async fn a_cancel_kills_what_does_not_obey_after_the_grace_period() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("pids");
    let text = format!(
        "trap '' TERM; sh -c 'echo $$ >> {0}; {LOOP}' & \
         echo $$ >> {0}; {LOOP}",
        file.display()
    );
    let executor = shell();
    let until = Instant::now() + SOON;
    let context = Context::detached("t");
    let token = context.cancelled.clone();
    let running = tokio::spawn({
        let inputs = inputs(script(&text));
        async move { executor.execute(inputs, &context).await }
    });
    let family = pids(&file, 2).await;
    token.cancel();
    let began = Instant::now();
    assert_eq!(
        tokio::time::timeout(SOON, running).await.expect("it ends").expect("no panic"),
        Err(ExecuteError::Cancelled)
    );
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(300), "it was given its grace: {took:?}");
    assert!(took < Duration::from_millis(500), "and no more: {took:?}");
    assert!(Instant::now() < until);
    none_running_within(&family, Duration::from_millis(200)).await;
}

/// Cancels once the file holds a process id; the outcome, the ids, and how long the end took.
async fn cancelled(
    executor: CommandExecutor,
    value: Value,
    file: &Path,
) -> (Result<Value, ExecuteError>, Vec<u32>, Duration) {
    let context = Context::detached("t");
    let token = context.cancelled.clone();
    let running = tokio::spawn(async move { executor.execute(inputs(value), &context).await });
    let family = pids(file, 1).await;
    token.cancel();
    let began = Instant::now();
    let outcome = tokio::time::timeout(SOON, running).await.expect("it ends").expect("no panic");
    (outcome, family, began.elapsed())
}

#[tokio::test]
async fn a_task_cancelled_before_it_begins_starts_nothing() {
    let dir = TempDir::new().expect("a directory");
    let context = Context::detached("t");
    context.cancelled.cancel();
    let touch = format!("touch {}/touched", dir.path().display());
    let outcome = shell().execute(inputs(script(&touch)), &context).await;
    assert_eq!(outcome, Err(ExecuteError::Cancelled));
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0);
}

#[tokio::test]
async fn a_dropped_attempt_leaves_neither_process_nor_zombie() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("pids");
    let text = format!("trap '' TERM; sleep 20 & echo $$ $! > {}; wait", file.display());
    let executor = shell();
    let running = tokio::spawn(async move { run(&executor, script(&text)).await });
    let family = pids(&file, 2).await;
    running.abort();
    assert!(running.await.expect_err("was aborted").is_cancelled());
    none_running_within(&family, Duration::from_millis(200)).await;
    all_gone_within(&family[..1], SOON).await;
}

#[tokio::test]
async fn what_a_command_leaves_in_the_background_ends_with_it() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("pids");
    let text = format!("sleep 20 & echo $! > {}; echo done", file.display());
    let began = Instant::now();
    let result = run(&shell(), script(&text)).await.expect("ends well");
    assert_eq!(result["stdout"], "done");
    assert!(began.elapsed() < SOON, "the open pipe holds up nobody");
    none_running_within(&pids(&file, 1).await, Duration::from_millis(200)).await;
}

#[tokio::test]
async fn two_hundred_short_commands_leave_no_zombie() {
    let executor = executor(&["true"]);
    for _ in 0..20 {
        let all = (0..10).map(|_| run(&executor, json!({"argv": ["true"]})));
        for outcome in futures_util::future::join_all(all).await {
            assert_eq!(outcome.expect("runs")["return_code"], 0);
        }
    }
    let me = std::process::id().to_string();
    let zombies = fs::read_dir("/proc")
        .expect("readable")
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok())
        .filter(|stat| {
            let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
            stat.contains("(true)") && rest.starts_with(&format!("Z {me} "))
        })
        .count();
    assert_eq!(zombies, 0);
}

#[tokio::test]
async fn an_exit_code_the_task_expects_is_a_success_and_no_other_is() {
    let exits = |code: i64, good: Value| json!({"argv": ["sh", "-c", format!("exit {code}")], "ok_codes": good});
    let result = run(&shell(), exits(1, json!([0, 1]))).await.expect("expected");
    assert_eq!((&result["success"], &result["return_code"]), (&json!(true), &json!(1)));
    failed_as(run(&shell(), exits(2, json!([0, 1]))).await, FailureKind::Executor);
    failed_as(run(&shell(), exits(0, json!([1]))).await, FailureKind::Executor);
    for wrong in [json!([]), json!([256]), json!([-9]), json!("0")] {
        failed_as(run(&shell(), exits(0, wrong)).await, FailureKind::InvalidInput);
    }
}

#[test]
fn a_demonstration_of_a_command_has_the_shape_clients_know() {
    let executor = CommandExecutor::new(&CommandConfig::default());
    let shown = executor.demo(&inputs(json!({"command": "rm -rf /"})));
    let expected = json!({
        "success": true, "return_code": 0, "stdout": "Hello, World!\nDemo execution result",
        "stderr": "",
    });
    assert_eq!(shown, Some(expected));
}
