//! A client that sends exactly the bytes it is told to.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longer than any limit the tests set.
const PATIENCE: Duration = Duration::from_secs(8);

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

pub(crate) async fn connect(to: SocketAddr) -> TcpStream {
    TcpStream::connect(to).await.expect("the server listens")
}

/// Sends these bytes on a connection of their own and reads what comes back.
pub(crate) async fn exchange(to: SocketAddr, bytes: &[u8]) -> Response {
    let mut stream = connect(to).await;
    // A server that has said no may close before it has read everything.
    let _ = stream.write_all(bytes).await;
    response(&mut stream).await.expect("a response")
}

/// One response, or none if the server closes without one.
pub(crate) async fn response(stream: &mut TcpStream) -> Option<Response> {
    let mut all = Vec::new();
    let reading = async {
        loop {
            if let Some(response) = parse(&all, false) {
                return Some(response);
            }
            let mut piece = vec![0; 16 << 10];
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => return parse(&all, true),
                Ok(n) => all.extend_from_slice(&piece[..n]),
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("the server answers or closes")
}

fn parse(all: &[u8], closed: bool) -> Option<Response> {
    let text = String::from_utf8_lossy(all);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    if status == 100 {
        return parse(body.as_bytes(), closed);
    }
    let response = Response { status, head: head.to_owned(), body: body.to_owned() };
    let length: usize =
        response.header("content-length").map_or(0, |n| n.parse().expect("a number"));
    (closed || body.len() >= length).then_some(response)
}

pub(crate) fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

pub(crate) fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").into_bytes()
}

/// A JSON-RPC call on `/tasks`.
pub(crate) async fn call(to: SocketAddr, method: &str, params: Value) -> Response {
    let body = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let found = apflow_core::api::operation::Operation::find(method);
    let of_system =
        found.is_some_and(|it| it.category == apflow_core::api::operation::Category::System);
    let path = if of_system { "/system" } else { "/tasks" };
    exchange(to, &post(path, "", &body.to_string())).await
}

/// Whether the server closes the connection by itself within a moment.
pub(crate) async fn closes(stream: &mut TcpStream) -> bool {
    let mut piece = [0; 1024];
    let reading = async {
        loop {
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    };
    timeout(PATIENCE, reading).await.is_ok()
}
