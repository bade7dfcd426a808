//! Tokens, keys and webhooks as an operator meets them. Ids are those of the list of attacks.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{Place, Running, Said};

const SECRET: &str = "CANARY1-0123456789abcdef0123456789";
const HOOK: &str = "CANARY2-0123456789abcdef";

/// A server with an environment, and everything it says.
pub(super) struct Server {
    running: Running,
    pub(super) address: String,
    said: Arc<Mutex<String>>,
}

impl Server {
    pub(super) fn start(place: &Place, args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = place.command(&[&["serve", "--port", "0"][..], args].concat());
        command.envs(env.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("apflow starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut said = String::new();
        while !said.contains("serves http://") {
            assert_ne!(lines.read_line(&mut said).expect("it talks"), 0, "it ended: {said}");
        }
        let address = said.split("serves http://").nth(1).and_then(|rest| rest.split('/').next());
        let address = address.expect("an address").to_owned();
        let said = Arc::new(Mutex::new(said));
        let all = Arc::clone(&said);
        std::thread::spawn(move || {
            let mut line = String::new();
            while matches!(lines.read_line(&mut line), Ok(n) if n > 0) {
                all.lock().expect("no panic").push_str(&std::mem::take(&mut line));
            }
        });
        let port = address.rsplit(':').next().expect("a port").to_owned();
        Self { running: Running { child: Some(child) }, address: format!("127.0.0.1:{port}"), said }
    }

    fn said(&self) -> String {
        self.said.lock().expect("no panic").clone()
    }

    fn post(&self, path: &str, headers: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(15))).expect("set");
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\
             Connection: close\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("{text}")), text)
    }

    pub(super) fn call(&self, token: Option<&str>, method: &str, params: &Value) -> (u16, String) {
        let headers =
            token.map_or_else(String::new, |it| format!("Authorization: Bearer {it}\r\n"));
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.post("/tasks", &headers, &body.to_string())
    }

    pub(super) fn stop(self) -> Said {
        self.running.signal("TERM");
        self.running.end()
    }
}

fn with(place: &Place, args: &[&str], env: &[(&str, &str)]) -> Said {
    Said::of(&place.command(args).envs(env.iter().copied()).output().expect("apflow starts"))
}

#[test]
fn a_token_is_shown_once_opens_the_server_and_is_taken_back() {
    let place = Place::new();
    place.apflow(&["token", "create"]).exits(2).tells(&["--user", "--admin"]);
    let made = place.apflow(&["token", "create", "--user", "u1", "--name", "ci"]).exits(0);
    let token = made.out.trim().to_owned();
    assert!(token.starts_with("apf_") && token.len() == 68, "{token}");
    assert!(!made.err.contains(&token), "talk is not data");
    place.apflow(&["token", "create", "--user", "u2", "--name", "ci"]).exits(2).tells(&["`ci`"]);
    let reader = ["token", "create", "--admin", "--read-only", "--expires-in", "1h", "--name", "r"];
    let reader = place.apflow(&reader).exits(0).out.trim().to_owned();

    let listed = place.apflow(&["token", "list", "-o", "json"]).exits(0);
    assert!(!listed.out.contains("apf_") && !listed.out.contains("digest"), "{}", listed.out);
    let list = listed.json();
    assert_eq!((&list[0]["name"], &list[0]["user_id"]), (&json!("ci"), &json!("u1")));
    assert_eq!(
        (&list[1]["rights"], &list[1]["state"]),
        (&json!("admin, read-only"), &json!("works"))
    );
    let whose = place.fed(&["token", "verify", "-o", "json"], &token).exits(0).json();
    assert_eq!(whose["user_id"], "u1");
    place.fed(&["token", "verify"], &format!("{token}0")).exits(3);

    let server = Server::start(&place, &[], &[]);
    assert!(server.said().contains("authentication is on: API tokens of the database"));
    let (status, text) = server.call(None, "tasks.list", &json!({}));
    assert_eq!(status, 401, "{text}");
    assert!(text.contains("AF0032") && text.to_lowercase().contains("www-authenticate: bearer"));
    assert_eq!(server.call(Some(&token), "tasks.create", &json!({"name": "n"})).0, 200);
    let (status, text) = server.call(Some(&reader), "tasks.list", &json!({}));
    assert!(status == 200 && text.contains("\"user_id\":\"u1\""), "{text}");
    assert_eq!(server.call(Some(&reader), "tasks.create", &json!({"name": "n"})).0, 403);
    server.stop().exits(0);

    place.apflow(&["token", "forget", "ci"]).exits(5).tells(&["still works", "token revoke ci"]);
    place.apflow(&["token", "revoke", "ci"]).exits(0);
    place.fed(&["token", "verify"], &token).exits(3);
    place.apflow(&["token", "revoke", "nobody"]).exits(4);
    let server = Server::start(&place, &[], &[]);
    assert_eq!(server.call(Some(&token), "tasks.list", &json!({})).0, 401);
    server.stop().exits(0);
    place.apflow(&["token", "forget", "ci"]).exits(0);
}

#[test]
fn a15_beyond_this_machine_only_with_a_credential_or_by_an_explicit_wish() {
    let place = Place::new();
    let args = ["serve", "--host", "0.0.0.0", "--port", "0"];
    place.apflow(&args).exits(2).tells(&["--insecure", "APFLOW_JWT_SECRET", "token create"]);
    // The secret of webhooks opens no other door, so it does not count.
    with(&place, &args, &[("APFLOW_WEBHOOK_SECRET", HOOK)]).exits(2).tells(&["--insecure"]);
    let server = Server::start(&place, &args[1..3], &[("APFLOW_JWT_SECRET", SECRET)]);
    assert!(server.said().contains("authentication is on: JWT (HS256)"), "{}", server.said());
    assert_eq!(server.call(None, "tasks.list", &json!({})).0, 401);
    server.stop().exits(0);
    place.apflow(&["token", "create", "--admin"]).exits(0);
    let server = Server::start(&place, &args[1..3], &[]);
    assert_eq!(server.call(None, "tasks.list", &json!({})).0, 401);
    server.stop().exits(0);
}

#[test]
fn a16_a_secret_that_is_empty_short_or_ambiguous_does_not_start_the_server() {
    let place = Place::new();
    let args = ["serve", "--port", "0"];
    place.write("key.pem", "no key");
    for (env, told) in [
        (&[("APFLOW_JWT_SECRET", "")][..], "APFLOW_JWT_SECRET is set and empty"),
        (&[("APFLOW_JWT_SECRET", "  ")], "empty"),
        (&[("APFLOW_JWT_SECRET", "CANARY-short")], "32"),
        (
            &[("APFLOW_JWT_SECRET", SECRET), ("APFLOW_JWT_ALGORITHM", "none")],
            "APFLOW_JWT_ALGORITHM",
        ),
        (&[("APFLOW_JWT_SECRET", SECRET), ("APFLOW_JWT_ALGORITHM", "RS256")], "public key"),
        (&[("APFLOW_JWT_SECRET", SECRET), ("APFLOW_JWT_PUBLIC_KEY_FILE", "key.pem")], "both set"),
        (
            &[("APFLOW_JWT_PUBLIC_KEY_FILE", "key.pem"), ("APFLOW_JWT_ALGORITHM", "ES256")],
            "does not fit",
        ),
        (&[("APFLOW_JWT_PUBLIC_KEY_FILE", "missing.pem")], "cannot be read"),
        (&[("APFLOW_WEBHOOK_SECRET", "")], "APFLOW_WEBHOOK_SECRET is set and empty"),
        (&[("APFLOW_WEBHOOK_SECRET", "CANARY-short")], "16"),
        (&[("APFLOW_WEBHOOK_RATE_LIMIT", "often")], "APFLOW_WEBHOOK_RATE_LIMIT"),
        (&[("APFLOW_WEBHOOK_ALLOWED_IPS", "10.0.0.0/40")], "APFLOW_WEBHOOK_ALLOWED_IPS"),
        (&[("APFLOW_TRUSTED_PROXIES", "proxy")], "APFLOW_TRUSTED_PROXIES"),
    ] {
        let said = with(&place, &args, env).exits(2).tells(&[told]);
        assert!(!said.err.contains("CANARY"), "{}", said.err);
    }
}

#[test]
fn a02_a_secret_of_the_environment_alone_shuts_the_server_and_signs_what_opens_it() {
    let place = Place::new();
    let env = [("APFLOW_JWT_SECRET", SECRET)];
    place.apflow(&["token", "jwt"]).exits(2).tells(&["APFLOW_JWT_SECRET"]);
    let sign = |more: &[&str]| {
        with(&place, &[&["token", "jwt"][..], more].concat(), &env).exits(0).out.trim().to_owned()
    };
    let user = sign(&["-s", "u1", "-e", "1h"]);
    let admin = sign(&["--user", "boss", "--role", "admin"]);
    let over = sign(&["-s", "u1", "-e", "1s"]);
    let said = with(&place, &["token", "verify", &admin, "-o", "json"], &env).exits(0).json();
    assert_eq!((&said["sub"], &said["iss"]), (&json!("boss"), &json!("apflow-cli")));
    let days =
        (said["exp"].as_i64().expect("a time") - said["iat"].as_i64().expect("a time")) / 86_400;
    assert_eq!(days, 365);
    let other = [("APFLOW_JWT_SECRET", "another-secret-0123456789abcdef0123")];
    with(&place, &["token", "verify", &admin], &other).exits(3);

    let server = Server::start(&place, &[], &env);
    assert_eq!(server.call(None, "tasks.list", &json!({})).0, 401);
    assert_eq!(server.call(Some(&user), "tasks.create", &json!({"id": "a", "name": "n"})).0, 200);
    let (_, text) = server.call(Some(&admin), "tasks.get", &json!({"task_id": "a"}));
    assert!(text.contains("\"user_id\":\"u1\""), "{text}");
    assert_eq!(
        server.call(Some(&over), "tasks.count", &json!({})).0,
        200,
        "clocks may differ by 30 s"
    );
    server.stop().exits(0);
}

#[test]
fn l1_secrets_are_in_no_log_however_much_is_logged() {
    let place = Place::new();
    let env =
        [("APFLOW_JWT_SECRET", SECRET), ("APFLOW_WEBHOOK_SECRET", HOOK), ("APFLOW_LOG", "trace")];
    let made = with(&place, &["token", "create", "--admin"], &env).exits(0);
    let token = made.out.trim().to_owned();
    assert!(!made.err.contains(&token));
    let jwt = with(&place, &["token", "jwt"], &env).exits(0).out.trim().to_owned();
    let server = Server::start(&place, &[], &env);
    assert!(server.said().contains("webhooks are signed"), "{}", server.said());
    assert_eq!(server.call(Some(&token), "tasks.create", &json!({"id": "a", "name": "n"})).0, 200);
    assert_eq!(server.call(Some(&jwt), "tasks.list", &json!({})).0, 200);
    assert_eq!(server.call(Some("CANARY3"), "tasks.list", &json!({})).0, 401);
    let signed = "X-Webhook-Timestamp: 1\r\nX-Webhook-Signature: CANARY4\r\n";
    assert_eq!(server.post("/webhook/trigger/a", signed, "CANARY5").0, 401);
    let said = Arc::clone(&server.said);
    server.stop().exits(0);
    let said = said.lock().expect("no panic").clone();
    assert!(said.contains("a webhook was refused"), "it logs: {said:.2000}");
    for secret in ["CANARY", token.as_str(), jwt.as_str()] {
        assert!(!said.contains(secret), "{secret} is in the log");
    }
    let files = std::fs::read_dir(place.path(".apflow")).expect("the directory");
    for file in files.map(|file| file.expect("a file").path()) {
        let bytes = std::fs::read(&file).expect("readable");
        let text = String::from_utf8_lossy(&bytes);
        for secret in ["CANARY", token.as_str(), jwt.as_str()] {
            assert!(!text.contains(secret), "{secret} is in {}", file.display());
        }
    }
}

#[test]
fn a_webhook_is_sent_by_the_command_that_is_printed() {
    let place = Place::new();
    let env = [("APFLOW_WEBHOOK_SECRET", HOOK)];
    let server = Server::start(&place, &[], &env);
    let task = json!({"id": "re port", "name": "n", "schemas": {"method": "system_info_executor"},
        "inputs": {"resource": "cpu"}});
    assert_eq!(server.call(None, "tasks.create", &task).0, 200);
    assert_eq!(server.post("/webhook/trigger/re%20port", "", "").0, 401, "w1");
    let base = format!("http://{}", server.address);
    let args = ["tasks", "webhook-url", "re port", "-b", &base, "-o", "json"];
    let printed = with(&place, &args, &env).exits(0).json();
    assert_eq!(printed["url"], format!("{base}/webhook/trigger/re%20port"));
    assert_eq!(printed["method"], "POST");
    assert!(!printed.to_string().contains("CANARY"), "{printed}");
    assert!(printed["cron"].as_str().is_some_and(|line| line.contains("re\\%20port")), "{printed}");

    // The signature of the printed command, made by a shell and a tool that is not ours.
    let line = printed["curl"].as_str().expect("a command");
    let (_, rest) = line.split_once("X-Webhook-Signature: ").expect("a signature");
    let (signature, _) = rest.split_once("\" 'http").expect("the address");
    let script = format!("ts=$(date +%s); printf '%s %s' \"$ts\" \"{signature}\"");
    let mut shell = std::process::Command::new("sh");
    let output = shell.args(["-c", &script]).envs(env).output().expect("a shell");
    let said = String::from_utf8(output.stdout).expect("text");
    let (timestamp, signature) = said.split_once(' ').expect("two words");
    assert_eq!(signature.len(), 64, "{said}: {}", String::from_utf8_lossy(&output.stderr));
    let headers =
        format!("X-Webhook-Timestamp: {timestamp}\r\nX-Webhook-Signature: {signature}\r\n");
    let (status, text) = server.post("/webhook/trigger/re%20port?async=false", &headers, "");
    assert!(status == 200 && text.contains("\"status\":\"completed\""), "{text}");
    assert_eq!(server.post("/webhook/trigger/re%20port", &headers, "").0, 401, "w4");
    server.stop().exits(0);

    place.apflow(&["tasks", "webhook-url", "a", "--show-secret"]).exits(2);
    let shown = with(&place, &["tasks", "webhook-url", "a", "--show-secret"], &env).exits(0);
    assert!(shown.out.contains("whsec_") && !shown.out.contains("CANARY"), "{}", shown.out);
}
