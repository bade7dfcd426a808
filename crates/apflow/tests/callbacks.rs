//! Callbacks from one end to the other: told in order, tried again, taken up after a restart.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use apflow::{
    App,
    callbacks::{CallbackConfig, SigningKey},
    core::{
        api::{ApiError, Call, Caller},
        code::Code,
        executor::{Context, ExecuteError},
        id::TreeId,
        store::{CallbackRecord, CallbackState},
    },
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PATIENCE: Duration = Duration::from_secs(20);

/// One request as it came.
#[derive(Debug, Clone)]
struct Came {
    head: String,
    body: Value,
    text: String,
    at: Instant,
}

impl Came {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        });
        line.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }

    fn story(&self) -> String {
        let word = |key: &str| self.body[key].as_str().unwrap_or("-").to_owned();
        format!("{} {}", word("type"), word("task_id"))
    }
}

/// How the receiver answers the next request.
#[derive(Clone, Copy)]
enum Answer {
    Status(u16, &'static str),
    After(Duration),
}

/// A receiver on a free port; it answers as it was told and then always well.
struct Receiver {
    port: u16,
    came: Arc<Mutex<Vec<Came>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let this = Self { port, came: Arc::default(), answers: Arc::default() };
        let (came, answers) = (Arc::clone(&this.came), Arc::clone(&this.answers));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&came), Arc::clone(&answers)));
            }
        });
        this
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    fn answer(&self, answers: &[Answer]) {
        self.answers.lock().expect("no panic").extend(answers);
    }

    fn came(&self) -> Vec<Came> {
        self.came.lock().expect("no panic").clone()
    }

    fn story(&self) -> Vec<String> {
        self.came().iter().map(Came::story).collect()
    }

    /// Waits for so many requests, and that no other follows at once.
    async fn wait(&self, count: usize) -> Vec<Came> {
        let waiting = async {
            while self.came().len() < count {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "{count} were expected: {:?}", self.story());
        sleep(Duration::from_millis(60)).await;
        assert_eq!(self.came().len(), count, "{:?}", self.story());
        self.came()
    }

    fn config(&self) -> CallbackConfig {
        let mut config = CallbackConfig::default().secret(SECRET).expect("a secret");
        config.delivery.first_delay = Duration::from_millis(40);
        config.allow_host(format!("127.0.0.1:{}", self.port).parse().expect("a rule"))
    }
}

async fn serve(
    mut stream: TcpStream,
    came: Arc<Mutex<Vec<Came>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
) {
    let mut all = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let Ok(read @ 1..) = stream.read(&mut piece).await else { return };
        all.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&all).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
            })
            .unwrap_or(0_usize);
        if body.len() < length {
            continue;
        }
        let request = Came {
            head: head.to_owned(),
            body: serde_json::from_str(body).expect("a body is JSON"),
            text: body.to_owned(),
            at: Instant::now(),
        };
        came.lock().expect("no panic").push(request);
        all.clear();
        let answer = answers.lock().expect("no panic").pop_front();
        let (status, headers) = match answer {
            Some(Answer::Status(status, headers)) => (status, headers),
            Some(Answer::After(time)) => {
                sleep(time).await;
                (200, "")
            }
            None => (200, ""),
        };
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n{headers}\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

#[derive(schemars::JsonSchema, serde::Serialize, serde::Deserialize)]
struct Words {
    #[serde(default)]
    text: String,
    #[serde(default)]
    millis: u64,
}

async fn app(database: &str, config: Option<CallbackConfig>) -> App {
    let mut builder = App::builder().database(database).register(|registry| {
        registry.function("say", "Says it.", |input: Words, _: Context| async move {
            sleep(Duration::from_millis(input.millis)).await;
            Ok::<_, ExecuteError>(Words { text: input.text, millis: 0 })
        });
        registry.function("fail", "Fails.", |_: Words, _: Context| async {
            Err::<Words, _>(ExecuteError::permanent("it broke"))
        });
    });
    if let Some(config) = config {
        builder = builder.callbacks(config);
    }
    builder.open().await.expect("opens")
}

fn say(id: &str) -> Value {
    json!({"id": id, "name": id, "schemas": {"method": "say"}, "inputs": {"text": id}})
}

fn under(parent: &str, id: &str) -> Value {
    let mut task = say(id);
    task["parent_id"] = json!(parent);
    task
}

async fn execute(app: &App, params: Value) -> Result<Value, ApiError> {
    let call = Call::read("tasks.execute", params)?.call;
    app.gateway().call(&Caller::local(), call).await.map(|reply| reply.json())
}

async fn record(app: &App, tree: &str) -> CallbackRecord {
    let mut all = app.engine().store().callbacks_of(&TreeId::new(tree)).await.expect("read");
    assert_eq!(all.len(), 1);
    all.remove(0)
}

async fn until_over(app: &App, tree: &str) -> CallbackRecord {
    let waiting = async {
        loop {
            let record = record(app, tree).await;
            if record.state != CallbackState::Active {
                return record;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it ends")
}

#[tokio::test]
async fn a_run_is_told_in_order_with_every_key_and_a_signature() {
    let receiver = Receiver::start().await;
    let mut app = app("sqlite::memory:", Some(receiver.config())).await;
    app.work();
    let url = receiver.url();
    let params = json!({"tasks": [say("r"), under("r", "a")],
        "webhook_config": {"url": url, "headers": {"Authorization": "Bearer abc"}}});
    let answer = execute(&app, params).await.expect("begun");
    assert_eq!(
        answer,
        json!({"success": true, "protocol": "jsonrpc", "root_task_id": "r", "task_id": "r",
            "status": "started", "streaming": true, "webhook_url": url,
            "message": format!("Task execution started with webhook callbacks. Updates will be \
                                sent to {url}")})
    );
    let came = receiver.wait(6).await;
    assert_eq!(
        receiver.story(),
        [
            "progress r",
            "task_start a",
            "task_completed a",
            "task_start r",
            "task_completed r",
            "final r"
        ]
    );
    let key = SigningKey::new(SECRET).expect("a secret");
    for each in &came {
        for name in [
            "protocol",
            "root_task_id",
            "task_id",
            "status",
            "progress",
            "message",
            "type",
            "timestamp",
            "final",
        ] {
            assert!(each.body.get(name).is_some(), "{name} in {}", each.body);
        }
        let (id, at) = (each.header("webhook-id"), each.header("webhook-timestamp"));
        assert_eq!(each.header("webhook-signature"), key.standard(id, at, &each.text));
        assert_eq!(each.header("authorization"), "Bearer abc");
        assert!(each.head.starts_with("POST /hook HTTP/1.1"), "{}", each.head);
    }
    let mut ids: Vec<&str> = came.iter().map(|each| each.header("webhook-id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 6);
    assert_eq!(came[2].body["result"]["text"], "a");
    assert_eq!(came.iter().filter(|each| each.body["final"] == true).count(), 1);
    let record = until_over(&app, "r").await;
    assert_eq!((record.state, record.delivered, record.given_up), (CallbackState::Finished, 6, 0));
    app.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_delivery_that_fails_is_tried_again_with_its_id_before_the_next_goes() {
    let receiver = Receiver::start().await;
    let mut app = app("sqlite::memory:", Some(receiver.config())).await;
    app.work();
    receiver.answer(&[
        Answer::Status(500, ""),
        Answer::Status(429, "Retry-After: 1\r\n"),
        Answer::Status(200, ""),
    ]);
    let params = json!({"tasks": [say("a")], "webhook_config": {"url": receiver.url()}});
    execute(&app, params).await.expect("begun");
    let came = receiver.wait(6).await;
    assert_eq!(
        receiver.story(),
        ["progress a", "progress a", "progress a", "task_start a", "task_completed a", "final a"]
    );
    let ids: Vec<&str> = came.iter().map(|each| each.header("webhook-id")).collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "{ids:?}");
    assert!(came[1].at - came[0].at >= Duration::from_millis(30), "it paused");
    assert!(came[2].at - came[1].at >= Duration::from_secs(1), "as long as it was asked to");
    let record = until_over(&app, "a").await;
    assert_eq!((record.delivered, record.given_up), (4, 0));
    assert_eq!(record.note.as_deref(), Some("HTTP status 429"));
}

#[tokio::test]
async fn a18_an_event_that_cannot_be_delivered_is_given_up_and_later_ones_go_on() {
    let receiver = Receiver::start().await;
    let mut app = app("sqlite::memory:", Some(receiver.config())).await;
    app.work();
    // The first is refused for good, the second fails more often than it is tried again.
    receiver.answer(&[Answer::Status(400, ""), Answer::Status(503, ""), Answer::Status(503, "")]);
    let config = json!({"url": receiver.url(), "max_retries": 1});
    execute(&app, json!({"tasks": [say("a")], "webhook_config": config})).await.expect("begun");
    receiver.wait(5).await;
    assert_eq!(
        receiver.story(),
        ["progress a", "task_start a", "task_start a", "task_completed a", "final a"]
    );
    let record = until_over(&app, "a").await;
    assert_eq!((record.state, record.delivered, record.given_up), (CallbackState::Finished, 2, 2));
}

#[tokio::test]
async fn whoever_says_gone_hears_no_more() {
    let receiver = Receiver::start().await;
    let mut app = app("sqlite::memory:", Some(receiver.config())).await;
    app.work();
    receiver.answer(&[Answer::Status(200, ""), Answer::Status(410, "")]);
    let params = json!({"tasks": [say("a")], "webhook_config": {"url": receiver.url()}});
    execute(&app, params).await.expect("begun");
    let record = until_over(&app, "a").await;
    assert_eq!((record.state, record.delivered), (CallbackState::Stopped, 1));
    receiver.wait(2).await;
}

#[tokio::test]
async fn a_slow_receiver_keeps_neither_the_run_nor_another_receiver_waiting() {
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    let config =
        quick.config().allow_host(format!("127.0.0.1:{}", slow.port).parse().expect("a rule"));
    let mut app = app("sqlite::memory:", Some(config)).await;
    app.work();
    slow.answer(&[Answer::After(Duration::from_mins(1))]);
    let began = Instant::now();
    let to = |url: String| json!({"url": url, "timeout": 0.7, "max_retries": 0});
    let params = json!({"tasks": [say("a")], "webhook_config": to(slow.url())});
    execute(&app, params).await.expect("begun");
    let params = json!({"tasks": [say("b")], "webhook_config": to(quick.url())});
    execute(&app, params).await.expect("begun");
    app.engine().wait(&TreeId::new("a")).await.expect("ends");
    quick.wait(4).await;
    assert!(began.elapsed() < Duration::from_millis(600), "{:?}", began.elapsed());
    let record = until_over(&app, "a").await;
    assert_eq!((record.given_up, record.delivered), (1, 3), "one try took too long");
}

#[tokio::test]
async fn a_restart_in_the_middle_loses_nothing_and_tells_in_order() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |dir: &Path| format!("sqlite:{}", dir.join("apflow.db").display());
    let receiver = Receiver::start().await;
    let mut first = app(&path(dir.path()), Some(receiver.config())).await;
    first.work();
    // Two are delivered; the third hangs until this process is gone.
    receiver.answer(&[
        Answer::Status(200, ""),
        Answer::Status(200, ""),
        Answer::After(Duration::from_mins(1)),
    ]);
    let params = json!({"tasks": [say("r"), under("r", "a"), under("r", "b")],
        "webhook_config": {"url": receiver.url(), "headers": {"X-Api-Key": "CANARY"}}});
    execute(&first, params).await.expect("begun");
    receiver.wait(3).await;
    first.engine().wait(&TreeId::new("r")).await.expect("the run ends without being told");
    // Not a shutdown: everything is dropped as it stands.
    drop(first);
    sleep(Duration::from_millis(100)).await;
    for entry in std::fs::read_dir(dir.path()).expect("the directory") {
        let bytes = std::fs::read(entry.expect("a file").path()).expect("read");
        let found = bytes.windows(6).any(|at| at == b"CANARY");
        assert!(!found, "no secret lies in the database");
    }

    let began = Instant::now();
    let mut second = app(&path(dir.path()), Some(receiver.config())).await;
    second.work();
    let came = receiver.wait(9).await;
    assert!(began.elapsed() < Duration::from_secs(10), "it waits for no lease of the dead");
    let ids: Vec<&str> = came.iter().map(|each| each.header("webhook-id")).collect();
    assert_eq!(ids[2], ids[3], "what was on its way is told again, under the same id");
    let mut once: Vec<i64> = ids
        .iter()
        .map(|id| id.rsplit('_').next().and_then(|seq| seq.parse().ok()).expect("a position"))
        .collect();
    once.remove(3);
    assert!(once.windows(2).all(|pair| pair[0] < pair[1]), "in order: {once:?}");
    assert_eq!(came[8].story(), "final r");
    assert_eq!(came[8].header("x-api-key"), "CANARY");
    let record = until_over(&second, "r").await;
    assert_eq!((record.state, record.delivered), (CallbackState::Finished, 8));
    second.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_callback_waits_for_a_process_that_delivers() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = format!("sqlite:{}", dir.path().join("apflow.db").display());
    let receiver = Receiver::start().await;
    // This one stores the run and does not work.
    let idle = app(&path, Some(receiver.config())).await;
    let params = json!({"tasks": [say("a")], "webhook_config": {"url": receiver.url()}});
    execute(&idle, params).await.expect("begun");
    idle.shutdown(Duration::ZERO).await;
    sleep(Duration::from_millis(50)).await;
    assert!(receiver.came().is_empty());
    let mut working = app(&path, Some(receiver.config())).await;
    working.work();
    receiver.wait(4).await;
}

#[tokio::test]
async fn a_second_run_and_a_failure_are_told_as_they_are() {
    let receiver = Receiver::start().await;
    let mut app = app("sqlite::memory:", Some(receiver.config())).await;
    app.work();
    let broken = json!({"id": "f", "name": "f", "schemas": {"method": "fail"}});
    execute(&app, json!({"tasks": [broken]})).await.expect("ran");
    let params = json!({"task_id": "f", "webhook_config": {"url": receiver.url()}});
    execute(&app, params).await.expect("begun");
    let came = receiver.wait(4).await;
    assert_eq!(receiver.story(), ["progress f", "task_start f", "task_failed f", "final f"]);
    assert_eq!(came[2].body["error"], "it broke");
    let last = &came[3].body;
    assert_eq!(
        (&last["status"], &last["error"], &last["progress"], &last["message"]),
        (
            &json!("failed"),
            &json!("Task tree execution failed"),
            &json!(0.0),
            &json!("Task tree execution failed")
        )
    );
}

#[tokio::test]
async fn s13_nothing_runs_whose_callback_may_not_be_called() {
    let receiver = Receiver::start().await;
    // Callbacks are on, and this port was not allowed.
    let strict = CallbackConfig::default();
    let app_strict = app("sqlite::memory:", Some(strict)).await;
    for url in [receiver.url(), "http://169.254.169.254/".to_owned(), "http://[::1]/".to_owned()] {
        let params = json!({"tasks": [say("a")], "webhook_config": {"url": url}});
        let error = execute(&app_strict, params).await.expect_err("refused");
        assert_eq!((error.code, error.code.http()), (Code::EgressRefused, 403));
        assert_eq!(error.problems[0].field.as_deref(), Some("webhook_config.url"));
    }
    let none = app_strict.engine().store().record(&"a".into()).await.expect("read");
    assert!(none.is_none(), "nothing was stored");

    let off = app("sqlite::memory:", None).await;
    let params = json!({"tasks": [say("a")], "webhook_config": {"url": "https://example.com"}});
    let error = execute(&off, params).await.expect_err("switched off");
    assert_eq!(error.code, Code::NoCallbacks);
}

#[tokio::test]
async fn an_idle_system_with_callbacks_stays_idle() {
    let receiver = Receiver::start().await;
    let mut app = app("sqlite::memory:", Some(receiver.config())).await;
    app.work();
    let params = json!({"tasks": [say("a")], "webhook_config": {"url": receiver.url()}});
    execute(&app, params).await.expect("begun");
    until_over(&app, "a").await;
    // Others run, nobody is told.
    for number in 0..5 {
        execute(&app, json!({"tasks": [say(&format!("b{number}"))]})).await.expect("ran");
    }
    receiver.wait(4).await;
    // What has nothing to do asks for no callback.
    let idle = json!({"task_id": "a", "webhook_config": {"url": receiver.url()}});
    let answer = execute(&app, idle).await.expect("an answer");
    assert!(answer["message"].as_str().is_some_and(|text| text.starts_with("Nothing to run")));
    assert_eq!(answer.get("webhook_url"), None);
    receiver.wait(4).await;
}
