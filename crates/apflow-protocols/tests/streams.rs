//! Streams of events: the shapes clients know, one end, resuming, and who may hear what.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use apflow_core::{
    api::{
        Caller, Listen,
        feed::{FeedLimits, Item, Subscription},
    },
    code::Code,
    store::Store,
};
use apflow_protocols::http::HttpConfig;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpSocket, time::timeout};

use crate::{
    client::{call, exchange, get, post},
    live::{Stream, done, over, say, start, story, until},
    server::short,
};

fn under(parent: &str, id: &str) -> Value {
    let mut task = say(id);
    task["parent_id"] = json!(parent);
    task
}

#[tokio::test]
async fn k19_a_run_is_told_from_its_first_event_to_its_only_end() {
    let live = start(HttpConfig::default()).await;
    let tasks = json!([say("r"), under("r", "a"), under("r", "b")]);
    let params = json!({"tasks": tasks, "use_streaming": true});
    let mut stream = Stream::execute(live.server.at, params).await;
    let events = stream.rest().await;
    assert_eq!(
        events[0].data,
        json!({"jsonrpc": "2.0", "id": 1, "result": {"success": true, "protocol": "jsonrpc",
            "root_task_id": "r", "task_id": "r", "status": "started", "streaming": true,
            "message": "Task execution started with streaming"}})
    );
    assert_eq!((events[0].id, events[0].kind.as_str()), (None, ""));
    let mut told = story(&events[1..]);
    assert_eq!(told.remove(0), "progress r");
    assert_eq!(
        told.split_off(told.len() - 4),
        ["task_start r", "task_completed r", "final r", "stream_end r"]
    );
    told.sort();
    assert_eq!(told, ["task_completed a", "task_completed b", "task_start a", "task_start b"]);
    let ids: Vec<_> = events[1..events.len() - 1].iter().map(|event| event.id).collect();
    assert!(ids.windows(2).all(|pair| pair[0].is_some() && pair[0] < pair[1]), "{ids:?}");
    let finals = events.iter().filter(|event| event.data["final"] == true).count();
    assert_eq!(finals, 1, "only the end of the run is final");
    let last = &events[events.len() - 2].data;
    assert_eq!(
        (&last["type"], &last["status"], &last["result"], &last["error"]),
        (&json!("final"), &json!("completed"), &json!({"progress": 1.0}), &Value::Null)
    );
    let completed = events.iter().find(|event| event.kind == "task_completed").expect("one");
    assert_eq!(completed.data["result"]["text"], completed.data["task_id"]);
    for event in &events[1..events.len() - 1] {
        assert_eq!(event.data["type"], event.kind);
        let at = event.data["timestamp"].as_str().expect("a moment");
        assert!(at.ends_with("+00:00"), "{at}");
    }
    assert_eq!(events[1].data["message"], "Task tree execution started");
    until("nobody listens any more", || live.gateway.feed().is_some_and(|it| !it.is_reading()))
        .await;
}

#[tokio::test]
async fn k18_a_second_run_tells_nothing_of_the_first() {
    let live = start(HttpConfig::default()).await;
    done(live.server.at, "tasks.execute", json!({"tasks": [say("a")]})).await;
    let params = json!({"task_id": "a", "reexecute": true, "use_streaming": true});
    let events = Stream::execute(live.server.at, params).await.rest().await;
    let told = story(&events[1..]);
    assert_eq!(told, ["progress a", "task_start a", "task_completed a", "final a", "stream_end a"]);
}

#[tokio::test]
async fn a_failure_is_told_and_so_is_how_the_run_ended() {
    let live = start(HttpConfig::default()).await;
    let tasks = json!([{"id": "f", "name": "f", "schemas": {"method": "fail"}}]);
    let params = json!({"tasks": tasks, "use_streaming": true});
    let events = Stream::execute(live.server.at, params).await.rest().await;
    let failed = &events.iter().find(|event| event.kind == "task_failed").expect("told").data;
    assert_eq!(
        (&failed["status"], &failed["error"], failed.get("final")),
        (&json!("failed"), &json!("it broke"), None)
    );
    let last = &events[events.len() - 2].data;
    assert_eq!(
        (&last["status"], &last["result"], &last["error"]),
        (&json!("failed"), &Value::Null, &json!("Task tree execution failed"))
    );
}

#[tokio::test]
async fn trees_that_run_together_have_one_end_and_the_worst_outcome() {
    let live = start(HttpConfig::default()).await;
    done(live.server.at, "tasks.execute", json!({"tasks": [say("before")]})).await;
    let mut slow = say("slow");
    slow["inputs"] = json!({"text": "x", "millis": 80});
    let broken = json!({"id": "f", "name": "f", "schemas": {"method": "fail"}});
    let tasks = json!([say("a"), broken, slow]);
    let params = json!({"tasks": tasks, "use_streaming": true});
    let events = Stream::execute(live.server.at, params).await.rest().await;
    let told = story(&events[1..]);
    let count = |word: &str| told.iter().filter(|told| told.starts_with(word)).count();
    assert_eq!((count("progress"), count("run_finished"), count("final")), (3, 2, 1), "{told:?}");
    assert_eq!(
        told[told.len() - 2..],
        ["final a", "stream_end a"],
        "the first root stands for all"
    );
    assert_eq!(events[events.len() - 2].data["status"], "failed");
    assert!(!told.iter().any(|told| told.contains("before")), "{told:?}");
}

#[tokio::test]
async fn what_cannot_be_followed_is_answered_as_json() {
    let live = start(HttpConfig::default()).await;
    let at = live.server.at;
    let missing = call(at, "tasks.execute", json!({"task_id": "no", "use_streaming": true})).await;
    assert_eq!((missing.status, &missing.json()["error"]["code"]), (404, &json!(-32001)));

    let mut slow = say("slow");
    slow["inputs"] = json!({"text": "x", "millis": 300});
    let params = json!({"tasks": [slow], "wait": false});
    done(at, "tasks.execute", params).await;
    let again = json!({"task_id": "slow", "use_streaming": true});
    assert_eq!(done(at, "tasks.execute", again).await["status"], "already_running");

    done(at, "tasks.execute", json!({"tasks": [say("a")]})).await;
    let idle = json!({"task_id": "a", "use_streaming": true});
    let events = Stream::execute(at, idle).await.rest().await;
    assert_eq!(story(&events[1..]), ["final a", "stream_end a"]);
    assert_eq!(events[1].data["status"], "completed");

    let one = json!({"jsonrpc": "2.0", "id": 7, "method": "tasks.execute",
        "params": {"tasks": [say("b")], "use_streaming": true}});
    let get = json!({"jsonrpc": "2.0", "id": 8, "method": "tasks.get", "params": {"id": "b"}});
    let batch = exchange(at, &post("/tasks", "", &json!([one, get]).to_string())).await.json();
    assert_eq!((&batch[0]["id"], &batch[0]["error"]["code"]), (&json!(7), &json!(-32602)));
    assert_eq!(batch[1]["result"], Value::Null, "nothing was stored");

    let mut silent = one;
    silent.as_object_mut().expect("an object").remove("id");
    let answer = exchange(at, &post("/tasks", "", &silent.to_string())).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""), "a notification has no answer");
}

#[tokio::test]
async fn a14_a_stream_is_resumed_where_it_broke_off() {
    let live = start(HttpConfig::default()).await;
    let at = live.server.at;
    done(at, "tasks.execute", json!({"tasks": [say("a"), under("a", "b")]})).await;
    let path = "/v1/events?tree_id=a";
    let all = Stream::listen(at, path, "").await.events(6).await;
    assert_eq!(
        story(&all),
        [
            "progress a",
            "task_start b",
            "task_completed b",
            "task_start a",
            "task_completed a",
            "final a"
        ]
    );
    let ids: Vec<_> = all.iter().map(|event| event.id.expect("a position")).collect();
    for skip in 0..5 {
        let after = ids[skip];
        let header = format!("Last-Event-ID: {after}\r\n");
        let mut by_header = Stream::listen(at, &format!("{path}&after=0"), &header).await;
        let mut by_query = Stream::listen(at, &format!("{path}&after={after}"), "").await;
        for stream in [&mut by_header, &mut by_query] {
            let rest = stream.events(5 - skip).await;
            let got: Vec<_> = rest.iter().map(|event| event.id.expect("a position")).collect();
            assert_eq!(got, ids[skip + 1..]);
        }
    }
    // Then it goes on with what happens next.
    let header = format!("Last-Event-ID: {}\r\n", ids[5]);
    let mut live_on = Stream::listen(at, path, &header).await;
    done(at, "tasks.execute", json!({"tasks": [say("c")]})).await;
    done(at, "tasks.execute", json!({"task_id": "b", "reexecute": true})).await;
    let next = live_on.event().await.expect("the next run");
    assert_eq!(story(std::slice::from_ref(&next)), ["progress a"]);
    assert!(next.id > Some(ids[5]));
}

#[tokio::test]
async fn everything_a_tree_or_a_task_can_be_listened_to() {
    let live = start(HttpConfig::default()).await;
    let at = live.server.at;
    done(at, "tasks.execute", json!({"tasks": [say("early")]})).await;
    let mut all = Stream::listen(at, "/v1/events", "").await;
    let mut everything = Stream::listen(at, "/v1/events?after=0", "").await;
    done(at, "tasks.execute", json!({"tasks": [say("a"), under("a", "b")]})).await;
    done(at, "tasks.execute", json!({"tasks": [say("c")]})).await;
    let told = story(&all.events(10).await);
    assert_eq!((told[0].as_str(), told[9].as_str()), ("progress a", "final c"), "from now on");
    assert_eq!(story(&everything.events(14).await)[3], "final early");
    let mut task = Stream::listen(at, "/v1/events?task_id=b", "").await;
    assert_eq!(
        story(&task.events(4).await),
        ["progress a", "task_start b", "task_completed b", "final a"]
    );
    let same = exchange(at, &get("/v1/events?task_id=b&tree_id=c", "")).await;
    assert_eq!(same.status, 404);
}

#[tokio::test]
async fn b7_a_foreign_tree_cannot_be_told_from_a_missing_one() {
    let live = start(HttpConfig::default()).await;
    let bound = |who: &str| Caller { user_id: Some(who.to_owned()), ..Caller::default() };
    for who in ["u1", "u2"] {
        let mut task = say(&format!("of-{who}"));
        task["user_id"] = json!(who);
        done(live.server.at, "tasks.execute", json!({"tasks": [task]})).await;
    }
    let tree = |id: &str| Listen { tree: Some(id.into()), ..Listen::default() };
    let task = |id: &str| Listen { task: Some(id.into()), ..Listen::default() };
    for (foreign, missing) in [(tree("of-u2"), tree("none")), (task("of-u2"), task("none"))] {
        let error = async |wish| {
            let error = live.gateway.listen(&bound("u1"), wish).await.err().expect("refused");
            (error.code, error.data().to_string().replace("of-u2", "none"))
        };
        let (foreign, missing) = (error(foreign).await, error(missing).await);
        assert_eq!(foreign, missing);
        assert_eq!(foreign.0, Code::NotFound);
    }
    // Of everything only what is its own.
    let wish = Listen { after: Some(0), ..Listen::default() };
    let mut own = live.gateway.listen(&bound("u2"), wish.clone()).await.expect("may listen");
    let mut heard = Vec::new();
    while heard.len() < 4 {
        heard.extend(own.next().await.expect("read"));
    }
    assert!(heard.iter().all(|item| item.told.owner.as_deref() == Some("u2")));
    let more = timeout(Duration::from_millis(100), own.next()).await;
    assert!(more.is_err(), "there is nothing else");
    let mut all = live.gateway.listen(&Caller::local(), wish).await.expect("may listen");
    let mut heard = 0;
    while heard < 8 {
        heard += all.next().await.expect("read").len();
    }
}

#[tokio::test]
async fn a_wrong_question_is_refused_by_name() {
    let live = start(HttpConfig::default()).await;
    for (path, header, field) in [
        ("/v1/events?after=-1", "", "after"),
        ("/v1/events?after=x", "", "after"),
        ("/v1/events?after=1&after=2", "", "after"),
        ("/v1/events?colour=red", "", "colour"),
        ("/v1/events?tree_id=", "", "tree_id"),
        ("/v1/events", "Last-Event-ID: soon\r\n", "Last-Event-ID"),
        ("/v1/events", "Last-Event-ID: 99999999999999999999\r\n", "Last-Event-ID"),
    ] {
        let answer = exchange(live.server.at, &get(path, header)).await;
        assert_eq!(answer.status, 400, "{path}");
        assert_eq!(answer.json()["field"], field, "{path}");
    }
    assert_eq!(exchange(live.server.at, &post("/v1/events", "", "")).await.status, 405);
}

#[tokio::test]
async fn a_quiet_stream_shows_that_it_lives_and_outlasts_every_other_limit() {
    // An idle connection would be closed after 700 ms, a request after 600 ms.
    let config = HttpConfig { heartbeat: Duration::from_millis(300), connections: 1, ..short() };
    let live = start(config).await;
    let mut stream = Stream::listen(live.server.at, "/v1/events", "").await;
    assert_eq!(stream.block().await.as_deref(), Some(": listening"));
    // A connection that finds no place must not take this one's.
    let at = live.server.at;
    let crowd = tokio::spawn(async move { exchange(at, &get("/health", "")).await });
    let began = Instant::now();
    for _ in 0..5 {
        assert_eq!(stream.block().await.as_deref(), Some(": keepalive"));
    }
    assert!(began.elapsed() > Duration::from_millis(1400), "{:?}", began.elapsed());
    crowd.abort();
}

#[tokio::test]
async fn m9_no_more_streams_than_there_may_be() {
    let config = HttpConfig { streams: 2, ..HttpConfig::default() };
    let live = start(config).await;
    let at = live.server.at;
    let first = Stream::listen(at, "/v1/events", "").await;
    let _second = Stream::listen(at, "/v1/events", "").await;
    let params = json!({"tasks": [say("a")], "use_streaming": true});
    let refused = call(at, "tasks.execute", params).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.json()["error"]["data"]["code"], "AF0040");
    assert_eq!(done(at, "tasks.get", json!({"id": "a"})).await, Value::Null, "nothing was run");
    assert_eq!(exchange(at, &get("/v1/events", "")).await.status, 429);
    assert_eq!(exchange(at, &get("/health", "")).await.status, 200, "others are answered");
    drop(first);
    let feed = live.gateway.feed().expect("a feed").clone();
    until("the seat is free again", || feed.listeners() == 1).await;
    let _third = Stream::listen(at, "/v1/events", "").await;
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    let live = start(HttpConfig::default()).await;
    let feed = live.gateway.feed().expect("a feed").clone();
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(Stream::listen(live.server.at, "/v1/events", "").await);
    }
    assert_eq!(feed.listeners(), 20);
    drop(streams);
    until("nobody listens and nobody reads", || feed.listeners() == 0 && !feed.is_reading()).await;
}

/// A client that never reads what it asked for.
#[tokio::test]
async fn h1_a_client_that_takes_nothing_is_given_up() {
    let config = HttpConfig { write_stall: Duration::from_millis(300), ..HttpConfig::default() };
    let live = start(config).await;
    let feed = live.gateway.feed().expect("a feed").clone();
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut stalled = socket.connect(live.server.at).await.expect("connects");
    stalled.write_all(&get("/v1/events?after=0", "")).await.expect("sent");
    until("it listens", || feed.listeners() == 1).await;
    let tasks: Vec<Value> = (0..400)
        .map(|n| {
            let mut task = say(&format!("t{n}"));
            task["inputs"] = json!({"text": "0123456789", "repeat": 3000});
            task
        })
        .collect();
    done(live.server.at, "tasks.execute", json!({"tasks": tasks})).await;
    until("its connection is closed", || feed.listeners() == 0).await;
    drop(stalled);
}

#[tokio::test]
async fn streams_end_with_a_hint_when_the_server_stops() {
    let config = HttpConfig { grace: Duration::from_millis(600), ..HttpConfig::default() };
    let mut live = start(config).await;
    let mut all = Stream::listen(live.server.at, "/v1/events", "").await;
    let run = |id: &str, millis: u64| {
        let mut task = say(id);
        task["inputs"] = json!({"text": "x", "millis": millis});
        json!({"tasks": [task], "use_streaming": true})
    };
    let mut quick = Stream::execute(live.server.at, run("quick", 200)).await;
    let mut slow = Stream::execute(live.server.at, run("slow", 60_000)).await;
    assert_eq!(slow.events(3).await.len(), 3);
    let began = Instant::now();
    live.server.stop.cancel();
    let mut last = String::new();
    while let Some(block) = all.block().await {
        last = block;
    }
    assert_eq!(last, "retry: 1000\n: the server is stopping");
    assert!(began.elapsed() < Duration::from_millis(300), "at once: {:?}", began.elapsed());
    let told = quick.rest().await;
    assert_eq!(told.last().map(|event| event.kind.as_str()), Some("stream_end"), "it had the time");
    let mut last = String::new();
    while let Some(block) = slow.block().await {
        last = block;
    }
    assert_eq!(last, "retry: 1000\n: the server is stopping");
    let ended = timeout(Duration::from_secs(3), &mut live.server.task).await.expect("it stops");
    ended.expect("no panic").expect("no error");
}

/// Somebody who falls behind what is kept in memory reads the database instead, and joins in again.
#[tokio::test]
async fn whoever_falls_behind_loses_nothing() {
    let options = apflow_storage::OpenOptions::default();
    let store: Arc<dyn Store> =
        apflow_storage::open("sqlite::memory:", options).await.expect("opens");
    let feed = FeedLimits { events: 4, batch_bytes: 1, ..FeedLimits::default() };
    let mut live = over(store, HttpConfig::default(), feed).await;
    live.worker = Some(live.engine.work());
    let wish = Listen { after: Some(0), ..Listen::default() };
    let mut fast = live.gateway.listen(&Caller::local(), wish.clone()).await.expect("listens");
    let mut slow = live.gateway.listen(&Caller::local(), wish).await.expect("listens");
    let (mut of_fast, mut of_slow) = (Vec::new(), Vec::new());
    for round in 0..30 {
        let tasks = json!({"tasks": [say(&format!("a{round}")), say(&format!("b{round}"))]});
        done(live.server.at, "tasks.execute", tasks).await;
        while of_fast.len() < 8 * (round + 1) {
            of_fast.extend(soon(&mut fast).await.iter().map(|item| item.seq()));
        }
        if round % 10 == 9 {
            while of_slow.len() < 8 * round {
                of_slow.extend(soon(&mut slow).await.iter().map(|item| item.seq()));
            }
        }
    }
    while of_slow.len() < of_fast.len() {
        of_slow.extend(soon(&mut slow).await.iter().map(|item| item.seq()));
    }
    assert_eq!(of_fast, (1..=240).collect::<Vec<_>>());
    assert_eq!(of_slow, of_fast);
}

/// What comes next, which does not take long.
async fn soon(subscription: &mut Subscription) -> Vec<Arc<Item>> {
    let next = timeout(Duration::from_secs(10), subscription.next()).await;
    next.expect("nothing is lost").expect("read")
}
