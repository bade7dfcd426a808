//! The way to a server: tries again, time limits, tokens, and what is told when it does not answer.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{Place, Said};

/// A server that says what it was told to say, one answer a request.
struct Parrot {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Parrot {
    fn new(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ears = Arc::clone(&heard);
        // It ends with its last answer, or with the test.
        std::thread::spawn(move || {
            for answer in answers {
                let Ok((stream, _)) = listener.accept() else { return };
                let request = read(&stream);
                ears.lock().expect("no panic").push(request);
                let mut stream = stream;
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { url, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("no panic").clone()
    }
}

fn read(stream: &TcpStream) -> String {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let mut reader = BufReader::new(stream);
    let mut text = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        text.push_str(&line);
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    text.push_str(&String::from_utf8_lossy(&body));
    text
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn good(result: &Value) -> String {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string();
    answer("200 OK", "", &body)
}

fn bad(status: &str, headers: &str, code: &str, detail: &str) -> String {
    let error =
        json!({ "code": -32603, "message": "m", "data": { "code": code, "detail": detail } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "error": error }).to_string();
    answer(status, headers, &body)
}

/// Asks with a short backoff.
fn ask(args: &[&str], url: &str, more: &[(&str, &str)]) -> Said {
    let place = Place::new();
    let mut command = place.command(args);
    command.env("APFLOW_API_SERVER_URL", url).env("APFLOW_API_RETRY_BACKOFF", "0.02");
    // A proxy of the environment has no business here.
    command.env("HTTP_PROXY", "http://127.0.0.1:9").env("http_proxy", "http://127.0.0.1:9");
    for (name, value) in more {
        command.env(name, value);
    }
    Said::of(&command.output().expect("apflow starts"))
}

#[test]
fn what_is_safe_to_repeat_is_repeated_until_it_succeeds() {
    let busy = bad("503 Service Unavailable", "", "AF0028", "too much work");
    let gone = answer("502 Bad Gateway", "", "<html>a proxy</html>");
    let parrot = Parrot::new(vec![busy, gone, good(&json!({"total": 7}))]);
    let said = ask(&["tasks", "count", "-o", "json"], &parrot.url, &[]).exits(0);
    assert_eq!(said.json()["total"], 7);
    assert_eq!(said.err.matches("trying again").count(), 2, "{}", said.err);
    assert_eq!(parrot.heard().len(), 3);
}

#[test]
fn what_cannot_be_repeated_safely_is_asked_once() {
    let busy = || bad("503 Service Unavailable", "", "AF0028", "too much work");
    let task = json!({"id": "a", "name": "a"});
    let tree = good(&json!({"task": task, "children": []}));
    let parrot = Parrot::new(vec![good(&json!([])), good(&task), tree, busy(), busy()]);
    ask(&["tasks", "execute", "a", "--detach"], &parrot.url, &[]).exits(7).tells(&["AF0028"]);
    let heard = parrot.heard();
    let executes = heard.iter().filter(|it| it.contains("tasks.execute")).count();
    assert_eq!(executes, 1, "{heard:?}");
}

#[test]
fn tasks_are_stored_under_a_key_so_that_storing_them_may_be_repeated() {
    let busy = bad("429 Too Many Requests", "Retry-After: 0\r\n", "AF0028", "slow down");
    let parrot = Parrot::new(vec![busy, good(&json!({"id": "a", "name": "a"}))]);
    let place = Place::new();
    place.write("t.json", r#"[{"id": "a", "name": "a"}]"#);
    let args = ["tasks", "create", "-f", "t.json", "--server", parrot.url.as_str()];
    place.apflow(&args).exits(0);
    let key = |request: &String| {
        let body = request.split_once('{').map(|(_, body)| format!("{{{body}")).expect("a body");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        body["params"]["idempotency_key"].as_str().expect("a key").to_owned()
    };
    let heard = parrot.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!(key(&heard[0]), key(&heard[1]), "both tries are one request");
}

#[test]
fn the_server_says_when_to_ask_again() {
    let busy = bad("429 Too Many Requests", "Retry-After: 1\r\n", "AF0028", "slow down");
    let parrot = Parrot::new(vec![busy, good(&json!({"total": 1}))]);
    let since = Instant::now();
    ask(&["tasks", "count"], &parrot.url, &[]).exits(0);
    assert!(since.elapsed() >= Duration::from_secs(1), "{:?}", since.elapsed());
}

#[test]
fn an_error_keeps_its_code_its_advice_and_its_exit_code() {
    for (status, code, exit) in [
        ("404 Not Found", "AF0006", 4),
        ("409 Conflict", "AF0007", 5),
        ("400 Bad Request", "AF0012", 2),
        ("401 Unauthorized", "AF0032", 3),
    ] {
        let parrot = Parrot::new(vec![bad(status, "", code, "what happened")]);
        let said = ask(&["tasks", "count"], &parrot.url, &[]).exits(exit);
        said.tells(&[code, "what happened"]);
    }
    let old = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"Internal error","data":"Task x not found"}}"#;
    let parrot = Parrot::new(vec![answer("500 Internal Server Error", "", old)]);
    ask(&["tasks", "count"], &parrot.url, &[]).exits(1).tells(&["Task x not found"]);
}

#[test]
fn a_server_that_is_not_there_or_not_ours_is_told_as_such() {
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}", listener.local_addr().expect("an address"))
    };
    let none = [("APFLOW_API_RETRY_ATTEMPTS", "0")];
    let said = ask(&["tasks", "count"], &nobody, &none).exits(7);
    said.tells(&["AF0050", "does not answer", "--local-only"]);
    let parrot = Parrot::new(vec![answer("200 OK", "", "<html>")]);
    ask(&["tasks", "count"], &parrot.url, &none).exits(7).tells(&["does not speak like apflow"]);
    let moved = answer("302 Found", "Location: http://evil.example/\r\n", "");
    let parrot = Parrot::new(vec![moved]);
    ask(&["tasks", "count"], &parrot.url, &none).exits(7).tells(&["evil.example", "302"]);
    let slow = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", slow.local_addr().expect("an address"));
    let said = ask(&["tasks", "count", "--api-timeout", "0.2"], &url, &none).exits(7);
    said.tells(&["--api-timeout"]);
    ask(&["tasks", "count", "--api-timeout", "0"], &url, &none).exits(2).tells(&["--api-timeout"]);
}

#[test]
fn where_it_is_configured_the_database_answers_for_the_server() {
    let place = Place::new();
    place.fed(&["tasks", "create"], r#"{"id": "a", "name": "a"}"#).exits(0);
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}", listener.local_addr().expect("an address"))
    };
    let mut command = place.command(&["tasks", "get", "a", "-o", "id"]);
    command.env("APFLOW_API_SERVER_URL", &nobody).env("APFLOW_API_RETRY_ATTEMPTS", "0");
    let said = Said::of(&command.output().expect("it starts")).exits(7);
    assert_eq!(said.out, "");
    let said =
        Said::of(&command.env("APFLOW_API_FALLBACK_LOCAL", "1").output().expect("it starts"));
    let said = said.exits(0);
    assert_eq!(said.out, "a\n");
    said.tells(&["warning", "the database here is asked instead"]);
    let mut command = place.command(&["tasks", "get", "a", "-o", "id", "--local-only"]);
    let said =
        Said::of(&command.env("APFLOW_API_SERVER_URL", &nobody).output().expect("it starts"));
    assert_eq!(said.exits(0).err, "", "nobody asked the server");
}

#[test]
fn n3_a_token_is_not_sent_in_the_clear_beyond_this_machine() {
    let token = [("APFLOW_API_TOKEN", "apf_CANARY")];
    // 192.0.2.0/24 is for documents: nobody answers there, and nobody is asked.
    let said = ask(&["tasks", "list"], "http://192.0.2.1:8000", &token).exits(2);
    let said = said.tells(&["AF0031", "in the clear", "--insecure"]);
    assert!(!said.err.contains("CANARY"), "{}", said.err);
    let parrot = Parrot::new(vec![good(&json!([]))]);
    ask(&["tasks", "list"], &parrot.url, &token).exits(0);
    assert!(parrot.heard()[0].contains("authorization: Bearer apf_CANARY"), "{:?}", parrot.heard());
}

#[test]
fn l1_a_token_is_in_no_message_and_no_log() {
    let parrot = Parrot::new(vec![bad("401 Unauthorized", "", "AF0032", "no")]);
    let token = [("APFLOW_API_TOKEN", "apf_CANARY"), ("APFLOW_LOG", "trace")];
    let said = ask(&["tasks", "list", "-vvv"], &parrot.url, &token).exits(3);
    assert!(!said.err.contains("CANARY"), "{}", said.err);
    said.tells(&["--token-file"]);
}

#[test]
fn a_token_comes_from_a_file_of_its_own() {
    use std::os::unix::fs::PermissionsExt as _;
    let parrot = Parrot::new(vec![good(&json!([])), good(&json!([]))]);
    let place = Place::new();
    place.write("token", "apf_abc\n");
    let args = ["tasks", "list", "--server", parrot.url.as_str(), "--token-file", "token"];
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(place.path("token"), mode(0o644)).expect("a mode");
    place.apflow(&args).exits(0).tells(&["can be read by others"]);
    std::fs::set_permissions(place.path("token"), mode(0o600)).expect("a mode");
    assert_eq!(place.apflow(&args).exits(0).err, "");
    for request in parrot.heard() {
        assert!(request.contains("authorization: Bearer apf_abc\r\n"), "{request}");
    }
    place.write("token", "two words\n");
    place.apflow(&args).exits(2).tells(&["token"]);
    let missing = ["tasks", "list", "--server", "http://127.0.0.1:9", "--token-file", "nope"];
    place.apflow(&missing).exits(2).tells(&["nope"]);
}
