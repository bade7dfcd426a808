//! Calls sent to a server as JSON-RPC: with a token, a time limit, and tries again where that is safe.

use std::{error::Error as _, time::Duration};

use apflow::core::{api::Operation, code::Code, id::Ids as _, problem::Problem};
use apflow::system::SystemIds;
use reqwest::{
    Client, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER},
};
use serde_json::{Map, Value, json};

use super::{Answer, place::Server};
use crate::{error::CliError, show};

/// Bytes of an answer that are read; a server that sends more is none of ours.
const MOST: usize = 256 << 20;
/// The longest wait between two tries, whatever the server wishes.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// A server that is called.
pub(super) struct Remote {
    server: Server,
    client: Option<Client>,
}

/// Why a try brought no answer.
enum Trouble {
    /// Nobody took the call.
    NotSent(String),
    /// It may have been carried out, and nobody said so.
    Lost(String),
    /// The server cannot now; perhaps it says when.
    Busy(CliError, Option<Duration>),
    /// Another try would not go better.
    Final(CliError),
}

impl Remote {
    pub(super) fn new(server: Server) -> Self {
        Self { server, client: None }
    }

    pub(super) fn flag(&self) -> String {
        let flag = self.server.flag.as_deref();
        flag.map(|url| format!(" --server {}", show::quoted(url))).unwrap_or_default()
    }

    pub(super) async fn call(&mut self, method: &str, params: Value) -> Result<Answer, CliError> {
        let params = keyed(method, params);
        let again = safe_to_repeat(method, &params);
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let body = body.to_string();
        let mut wait = self.server.backoff;
        let mut left = self.server.retries;
        loop {
            let trouble = match self.try_once(method, body.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            let (error, may, asked) = match trouble {
                Trouble::Final(error) => return Err(error),
                Trouble::NotSent(why) => (self.unreachable(&why, false), true, None),
                Trouble::Lost(why) => (self.unreachable(&why, !again), again, None),
                Trouble::Busy(error, asked) => (error, again, asked),
            };
            if !may || left == 0 {
                return Err(error);
            }
            let pause = asked.unwrap_or(wait).min(LONGEST_WAIT);
            show::warn(&format!(
                "{} cannot answer now; trying again in {}",
                show::plain(self.server.base.as_str()),
                show::time(pause)
            ));
            tokio::time::sleep(pause).await;
            wait = wait.saturating_mul(2);
            left -= 1;
        }
    }

    fn unreachable(&self, why: &str, unsure: bool) -> CliError {
        let base = self.server.base.as_str();
        let told = CliError::new(Code::ServerUnreachable, format!("{base} does not answer"))
            .because(why)
            .help("see that `apflow serve` runs there and that the address is right,");
        let told = told.help("or add --local-only to ask the database here");
        if unsure {
            told.help("the call may have been carried out all the same; look before you repeat it")
        } else {
            told
        }
    }

    fn client(&mut self) -> Result<Client, CliError> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let encrypted = self.server.base.scheme() == "https";
        // reqwest asks for the provider of the process; if there is one already, it will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Client::builder()
            .user_agent(concat!("apflow/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(self.server.timeout.min(Duration::from_secs(10)))
            .timeout(self.server.timeout);
        // Reading the certificates of the system costs milliseconds and is for encrypted calls alone.
        let builder = if encrypted { builder } else { builder.tls_certs_only([]) };
        let client = builder.build().map_err(|error| {
            CliError::internal("no call can be made here").because(causes(&error))
        })?;
        self.client = Some(client.clone());
        Ok(client)
    }

    async fn try_once(&mut self, method: &str, body: String) -> Result<Answer, Trouble> {
        let client = self.client().map_err(Trouble::Final)?;
        let path = if method.starts_with("tasks.") { "tasks" } else { "system" };
        let url = self.server.base.join(path).map_err(|error| {
            Trouble::Final(
                CliError::internal("the address has no paths").because(error.to_string()),
            )
        })?;
        let mut request = client.post(url).header(CONTENT_TYPE, "application/json").body(body);
        if let Some(token) = &self.server.token {
            let value = HeaderValue::from_str(&format!("Bearer {}", token.0));
            let mut value = value.map_err(|_| {
                Trouble::Final(CliError::usage("the token cannot stand in a header"))
            })?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let response = request.send().await.map_err(|error| {
            let why = causes(&error);
            if error.is_connect() { Trouble::NotSent(why) } else { Trouble::Lost(why) }
        })?;
        self.read(response).await
    }

    async fn read(&self, mut response: Response) -> Result<Answer, Trouble> {
        let status = response.status();
        if status.is_redirection() {
            let to = response.headers().get(LOCATION).and_then(|it| it.to_str().ok());
            let told = self.stranger(&format!("it answers with status {}", status.as_u16()));
            return Err(Trouble::Final(match to {
                Some(to) => told.help(format!("it points to {to}; if you trust that, name it")),
                None => told,
            }));
        }
        let after = retry_after(&response);
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if bytes.len() + chunk.len() > MOST => {
                    return Err(Trouble::Final(self.stranger("its answer does not end")));
                }
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Err(Trouble::Lost(causes(&error))),
            }
        }
        let busy = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::BAD_GATEWAY,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
        ];
        let answer = match serde_json::from_slice(&bytes) {
            Ok(Value::Object(mut body)) if body.contains_key("result") => {
                let result = body.remove("result").unwrap_or_default();
                return Ok(Answer { result, warnings: texts(body.get("warnings")) });
            }
            Ok(Value::Object(body)) => body.get("error").map(|error| told(error, status)),
            _ => None,
        };
        let error = answer.unwrap_or_else(|| {
            self.stranger(&format!("it answers with status {} and no JSON-RPC", status.as_u16()))
        });
        Err(if busy.contains(&status) {
            Trouble::Busy(error, after)
        } else {
            Trouble::Final(error)
        })
    }

    fn stranger(&self, why: &str) -> CliError {
        let base = self.server.base.as_str();
        CliError::new(Code::ServerUnreachable, format!("{base} does not speak like apflow"))
            .because(why)
            .help("see that the address is that of `apflow serve`, without /tasks at its end")
    }
}

/// Whether doing it twice is doing it once.
fn safe_to_repeat(method: &str, params: &Value) -> bool {
    let known = Operation::find(method).map(|it| it.annotations);
    known.is_some_and(|it| it.readonly || it.idempotent)
        || params.get("idempotency_key").is_some_and(|key| !key.is_null())
}

/// Calls that store tasks carry a key, so that a second try finds what the first one did.
fn keyed(method: &str, params: Value) -> Value {
    let stores =
        method == "tasks.create" || (method == "tasks.execute" && params.get("tasks").is_some());
    if !stores || params.get("idempotency_key").is_some() {
        return params;
    }
    let mut params = match params {
        Value::Object(map) if map.contains_key("tasks") && !map.contains_key("name") => map,
        tasks => Map::from_iter([("tasks".to_owned(), tasks)]),
    };
    params.insert("idempotency_key".to_owned(), json!(SystemIds.next()));
    Value::Object(params)
}

/// The error of an envelope, as it would be told here.
fn told(error: &Value, status: StatusCode) -> CliError {
    let data = &error["data"];
    let text = |name: &str| data[name].as_str().map(str::to_owned);
    let code = text("code")
        .as_deref()
        .and_then(Code::parse)
        .or_else(|| (status == StatusCode::UNAUTHORIZED).then_some(Code::Unauthorized));
    // A server that keeps the old envelope has nothing but a text.
    let said = text("detail").or_else(|| data.as_str().map(str::to_owned));
    let message = error["message"].as_str().unwrap_or("the server refused it").to_owned();
    let code = code.unwrap_or(match error["code"].as_i64() {
        Some(-32601) => Code::UnknownMethod,
        Some(-32602) => Code::InvalidParams,
        _ => Code::Internal,
    });
    let problems = problems(data);
    if !problems.is_empty() {
        return CliError::of_problems(problems);
    }
    let told = CliError::api(code, said.unwrap_or(message));
    let told = match text("hint") {
        Some(hint) => told.help(hint),
        None => told,
    };
    if code == Code::Unauthorized {
        return told.help("give a token with APFLOW_API_TOKEN or --token-file FILE");
    }
    told
}

/// The faults one by one, if it was ours.
fn problems(data: &Value) -> Vec<Problem> {
    let one = |data: &Value| -> Option<Problem> {
        let text = |name: &str| data[name].as_str().map(str::to_owned);
        let code = Code::parse(&text("code")?)?;
        Some(Problem {
            task: text("task"),
            field: text("field"),
            expected: text("expected"),
            actual: text("actual"),
            path: texts(data.get("path")),
            detail: text("detail").unwrap_or_default(),
            hint: text("hint"),
            ..Problem::new(code, text("reason")?)
        })
    };
    match data["errors"].as_array() {
        Some(all) => all.iter().filter_map(one).collect(),
        None => one(data).into_iter().collect(),
    }
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// When the server wants to be asked again, in seconds; dates are not read.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// What went wrong and why, from the outside in, without the address, which is told anyway.
fn causes(error: &reqwest::Error) -> String {
    let mut texts = Vec::new();
    let mut cause = error.source();
    while let Some(next) = cause {
        texts.push(next.to_string());
        cause = next.source();
    }
    if error.is_timeout() {
        texts.insert(0, "it took longer than --api-timeout allows".to_owned());
    }
    texts.dedup();
    if texts.is_empty() { "the connection broke".to_owned() } else { texts.join(": ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn what_stores_tasks_carries_a_key_and_may_then_be_repeated() {
        for (method, params) in [
            ("tasks.create", json!([{"name": "a"}])),
            ("tasks.create", json!({"name": "a", "tasks": 1})),
            ("tasks.create", json!({"tasks": [{"name": "a"}]})),
            ("tasks.execute", json!({"tasks": [], "wait": false})),
        ] {
            let keyed = keyed(method, params);
            assert!(keyed["idempotency_key"].is_string() && !keyed["tasks"].is_null(), "{keyed}");
            assert!(safe_to_repeat(method, &keyed));
        }
        let mine = keyed("tasks.create", json!({"tasks": [], "idempotency_key": "k"}));
        assert_eq!(mine["idempotency_key"], "k");
        let stored = keyed("tasks.execute", json!({"task_id": "a"}));
        assert_eq!(stored, json!({"task_id": "a"}));
        assert!(!safe_to_repeat("tasks.execute", &stored));
        assert!(safe_to_repeat("tasks.get", &json!({"task_id": "a"})));
        assert!(!safe_to_repeat("tasks.nope", &json!({})));
    }

    #[test]
    fn an_error_of_the_server_keeps_its_code_its_advice_and_its_exit_code() {
        let error = json!({"code": -32001, "message": "Task not found",
            "data": {"code": "AF0006", "detail": "Task x not found", "hint": "look"}});
        let told_here = told(&error, StatusCode::NOT_FOUND);
        assert_eq!((told_here.code(), told_here.exit()), (Some(Code::NotFound), Exit::NotFound));
        let wrong = json!({"code": -32602, "data": {"code": "AF0012", "detail": "d",
            "reason": "r", "field": "limit", "expected": "a number"}});
        let told_here = told(&wrong, StatusCode::BAD_REQUEST);
        assert_eq!(told_here.exit(), Exit::Usage);
        assert!(format!("{told_here:?}").contains("limit"), "{told_here:?}");
        let old = json!({"code": -32603, "message": "Internal error", "data": "Task x not found"});
        let told_here = told(&old, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(format!("{told_here:?}").contains("Task x not found"), "{told_here:?}");
        let stranger = json!({"code": -32001, "message": "Unauthorized", "data": null});
        assert_eq!(told(&stranger, StatusCode::UNAUTHORIZED).exit(), Exit::Auth);
    }
}
