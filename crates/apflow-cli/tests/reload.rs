//! A running server that is told of new settings: by SIGHUP, and by the operations on the configuration.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::{Place, Running, until};

/// A server, and everything it said so far.
struct Server {
    running: Running,
    address: String,
    said: Arc<Mutex<String>>,
}

impl Server {
    fn start(place: &Place) -> Self {
        let mut running = place.start(&["serve", "--port", "0"]);
        let err = running.child.as_mut().and_then(|child| child.stderr.take()).expect("a pipe");
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in BufReader::new(err).lines().map_while(Result::ok) {
                let mut said = heard.lock().expect("nobody panics");
                said.push_str(&line);
                said.push('\n');
            }
        });
        let server = Self { running, address: String::new(), said };
        server.tells("serves http://");
        let text = server.said();
        let address = text.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        Self { address: address.expect("an address").to_owned(), ..server }
    }

    fn said(&self) -> String {
        self.said.lock().expect("nobody panics").clone()
    }

    #[track_caller]
    fn tells(&self, part: &str) {
        until(&format!("it says {part}; it said {}", self.said()), || self.said().contains(part));
    }

    fn forget(&self) {
        self.said.lock().expect("nobody panics").clear();
    }

    fn call(&self, method: &str, params: &Value) -> Value {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let body = call.to_string();
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let request = format!(
            "POST /system HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        let (_, body) = text.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }

    #[track_caller]
    fn result(&self, method: &str, params: &Value) -> Value {
        let answer = self.call(method, params);
        assert!(answer.get("error").is_none_or(Value::is_null), "{method}: {answer}");
        answer["result"].clone()
    }

    fn executors(&self) -> Vec<String> {
        let list = self.result("system.executors", &json!({}));
        let ids = list["executors"].as_array().into_iter().flatten();
        ids.filter_map(|it| it["id"].as_str().map(str::to_owned)).collect()
    }
}

const USER: &str = ".config/apflow/config.toml";

fn place(text: &str) -> Place {
    let place = Place::new();
    place.write(USER, text);
    place
}

#[test]
fn sighup_makes_a_server_take_what_it_can_and_say_what_waits() {
    let place = place("log.level = \"error\"\n");
    let server = Server::start(&place);
    assert!(server.executors().len() > 1);
    let new = "log.level = \"debug\"\nserver.grace = 3\n\
               executors.extension_ids = [\"system_info_executor\"]\n";
    place.write(USER, new);
    server.running.signal("HUP");
    server.tells("the configuration was read again: executors.extension_ids, log.level");
    server.tells("the next start takes server.grace");
    assert_eq!(server.executors(), ["system_info_executor"]);
    server.forget();
    server.result("system.health", &json!({}));
    let level = server.result("config.get", &json!({"key": "log.level"}));
    assert_eq!((&level["value"], &level["needs_restart"]), (&json!("debug"), &json!(false)));
    let grace = server.result("config.get", &json!({"key": "server.grace"}));
    assert_eq!((&grace["value"], &grace["needs_restart"]), (&json!(10), &json!(true)));

    place.write(USER, "log.level = \"loud\"\nexecutors.extension_ids = []\n");
    server.running.signal("HUP");
    server.tells("the configuration stays as it was");
    server.tells("error[AF0031]");
    assert_eq!(server.executors(), ["system_info_executor"], "a broken file opens nothing");

    server.running.signal("TERM");
    server.running.end().exits(0);
}

#[test]
fn the_operations_read_and_change_what_may_be_and_no_secret_leaves() {
    let place = place("api.token = \"CANARY1\"\nstorage.url = \"sqlite:x.db\"\n");
    let server = Server::start(&place);
    let all = server.result("config.list", &json!({})).to_string();
    assert!(all.contains("\"api.token\"") && !all.contains("CANARY"), "{all}");
    let set = server.result("config.set", &json!({"key": "log.level", "value": "debug"}));
    assert_eq!(
        (&set["value"], &set["origin"]),
        (&json!("debug"), &json!("running server: config.set"))
    );
    for (key, value, says) in [
        ("server.port", json!(1), "settled when the server starts"),
        ("api.token", json!("x"), "holds a secret"),
        ("executors.extension_ids", json!([]), "what tasks may do"),
    ] {
        let error = server.call("config.set", &json!({"key": key, "value": value}));
        assert_eq!(error["error"]["data"]["code"], "AF0047", "{error}");
        let detail = error["error"]["data"]["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains(says), "{error}");
    }
    let error = server.call("config.get", &json!({"key": "log.levl"}));
    assert!(error["error"]["data"]["hint"].as_str().is_some_and(|it| it.contains("log.level")));
    place.write(USER, "nonsense");
    let error = server.call("config.reload", &json!({}));
    assert_eq!(error["error"]["data"]["code"], "AF0031", "{error}");
    place.write(USER, "storage.url = \"sqlite:x.db\"\nserver.grace = 4\n");
    let told = server.result("config.reload", &json!({}));
    assert_eq!(told["needs_restart"], json!(["server.grace", "api.token"]), "{told}");
    server.running.signal("TERM");
    server.running.end().exits(0);
}
