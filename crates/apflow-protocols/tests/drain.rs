//! How the server stops: what is in flight ends, what cannot end is told, and nothing hangs.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use crate::{
    client::{closes, connect, get, post, response},
    server::{self, short},
};

#[tokio::test]
async fn an_idle_server_stops_at_once_even_with_open_connections() {
    let mut server = server::start(short()).await;
    let mut idle = connect(server.at).await;
    idle.write_all(&get("/health", "")).await.expect("sent");
    assert_eq!(response(&mut idle).await.expect("an answer").status, 200);
    let began = Instant::now();
    server.stop.cancel();
    let ended = timeout(Duration::from_secs(3), &mut server.task).await.expect("it stops");
    ended.expect("no panic").expect("no error");
    assert!(began.elapsed() < Duration::from_millis(300), "{:?}", began.elapsed());
    assert!(closes(&mut idle).await);
    assert!(TcpStream::connect(server.at).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_request_in_flight_gets_its_answer_or_is_told_that_there_will_be_none() {
    let mut server = server::start(short()).await;
    // This one ends within the grace; what it gets is its own time limit, 500 ms.
    let mut quick = connect(server.at).await;
    let run = |name: &str| {
        let params = json!({"tasks": [{"name": name}]});
        json!({"jsonrpc": "2.0", "id": 1, "method": "tasks.execute", "params": params}).to_string()
    };
    quick.write_all(&post("/tasks", "", &run("hang"))).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(250)).await;
    // This one does not.
    let mut slow = connect(server.at).await;
    slow.write_all(&post("/tasks", "", &run("hang"))).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(20)).await;
    server.stop.cancel();
    let quick = response(&mut quick).await.expect("an answer").json();
    assert_eq!(quick["error"]["data"]["code"], "AF0029");
    let slow = response(&mut slow).await.expect("an answer");
    assert_eq!(slow.status, 503);
    assert_eq!(slow.json()["error"]["data"]["code"], "AF0030");
    assert_eq!(slow.header("retry-after"), Some("1"));
    let ended = timeout(Duration::from_secs(3), &mut server.task).await.expect("it stops");
    ended.expect("no panic").expect("no error");
}

#[tokio::test]
async fn readiness_goes_first_while_the_process_is_still_alive() {
    let mut server = server::start(short()).await;
    // Half a request keeps the connection open into the drain.
    let mut stream = connect(server.at).await;
    stream.write_all(b"GET /ready HTTP/1.1\r\n").await.expect("sent");
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop.cancel();
    tokio::time::sleep(Duration::from_millis(50)).await;
    stream.write_all(b"Host: localhost\r\n\r\n").await.expect("sent");
    let answer = response(&mut stream).await.expect("an answer");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["reason"], "the server is shutting down");
    let ended = timeout(Duration::from_secs(3), &mut server.task).await.expect("it stops");
    ended.expect("no panic").expect("no error");
}
