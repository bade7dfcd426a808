//! Load over HTTP at a rate that does not wait for answers, and what came back.
//!
//! A request has a moment at which it should leave. Its time runs from that moment, also if all
//! connections are busy then: a server that is slow cannot make the load lighter.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep_until, timeout},
};

/// What is sent, how fast and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Requests in a second; none: as fast as answers come.
    pub rate: Option<f64>,
    /// So long.
    pub time: Duration,
    /// Connections, each with one request at a time.
    pub connections: usize,
    /// Where the numbers of new tasks begin.
    pub first: u64,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Times of answered requests from the moment they should have left, in milliseconds, sorted.
    pub times: Vec<f64>,
    /// The same from the moment they left.
    pub service: Vec<f64>,
    /// Requests that were told to come later, with the header that says when.
    pub later: u64,
    /// Requests that were told so without it.
    pub unsaid: u64,
    /// Anything else that went wrong.
    pub failed: u64,
    /// Tasks that were acknowledged.
    pub created: u64,
    /// How long it took in all.
    pub took: Duration,
}

impl Outcome {
    /// The time that so many of a thousand stay below.
    pub fn at(times: &[f64], per_mille: usize) -> f64 {
        let last = times.len().saturating_sub(1);
        times.get(last * per_mille / 1000).copied().unwrap_or(f64::NAN)
    }

    /// Answered requests in a second.
    pub fn rate(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }

    fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        self.service.extend(other.service);
        self.later += other.later;
        self.unsaid += other.unsaid;
        self.failed += other.failed;
        self.created += other.created;
    }
}

/// Every second request stores a task, the others read one.
fn request(number: u64, host: SocketAddr) -> String {
    let body = if number.is_multiple_of(2) {
        format!(
            r#"{{"jsonrpc":"2.0","id":{number},"method":"tasks.create","params":{{"id":"load-{number}","name":"load","inputs":{{"url":"https://example.com/a/b/c","retries":3,"headers":{{"accept":"application/json"}}}}}}}}"#
        )
    } else {
        // One that was stored a while ago.
        let known = number.saturating_sub(1).saturating_sub(number % 2000) & !1;
        format!(
            r#"{{"jsonrpc":"2.0","id":{number},"method":"tasks.get","params":{{"task_id":"load-{known}"}}}}"#
        )
    };
    format!(
        "POST /tasks HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends what the plan says and waits for the answers.
pub async fn run(to: SocketAddr, plan: Plan) -> Outcome {
    let next = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let all: Vec<_> = (0..plan.connections)
        .map(|_| tokio::spawn(one_connection(to, plan, Arc::clone(&next), begun)))
        .collect();
    let mut outcome = Outcome::default();
    for one in all {
        match one.await {
            Ok(part) => outcome.add(part),
            Err(_) => outcome.failed += 1,
        }
    }
    outcome.took = begun.elapsed();
    outcome.times.sort_by(f64::total_cmp);
    outcome.service.sort_by(f64::total_cmp);
    outcome
}

async fn one_connection(
    to: SocketAddr,
    plan: Plan,
    next: Arc<AtomicU64>,
    begun: Instant,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut stream = None;
    let mut buffer = Vec::with_capacity(16 << 10);
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let meant = match plan.rate {
            Some(rate) => begun + Duration::from_secs_f64(number as f64 / rate),
            None => Instant::now(),
        };
        if meant.duration_since(begun) >= plan.time {
            return outcome;
        }
        sleep_until(meant).await;
        let number = number + plan.first;
        let left = Instant::now();
        match exchange(&mut stream, to, &request(number, to), &mut buffer).await {
            Some(answer) if answer.status == 200 => {
                outcome.times.push(meant.elapsed().as_secs_f64() * 1e3);
                outcome.service.push(left.elapsed().as_secs_f64() * 1e3);
                outcome.created += u64::from(number.is_multiple_of(2));
            }
            Some(answer) if [429, 503].contains(&answer.status) => {
                if answer.retry_after {
                    outcome.later += 1;
                } else {
                    outcome.unsaid += 1;
                }
            }
            _ => outcome.failed += 1,
        }
    }
}

struct Answer {
    status: u16,
    retry_after: bool,
}

/// One request and its answer, on a fresh connection if there is none.
async fn exchange(
    stream: &mut Option<TcpStream>,
    to: SocketAddr,
    request: &str,
    buffer: &mut Vec<u8>,
) -> Option<Answer> {
    let attempt = async {
        let mut open = if let Some(open) = stream.take() {
            open
        } else {
            let open = TcpStream::connect(to).await.ok()?;
            open.set_nodelay(true).ok()?;
            open
        };
        open.write_all(request.as_bytes()).await.ok()?;
        buffer.clear();
        loop {
            if let Some((answer, close)) = read(buffer) {
                if !close {
                    *stream = Some(open);
                }
                return Some(answer);
            }
            if open.read_buf(buffer).await.ok()? == 0 {
                return None;
            }
        }
    };
    timeout(Duration::from_secs(30), attempt).await.ok().flatten()
}

/// The answer in the buffer, once it is whole, and whether the connection ends with it.
fn read(buffer: &[u8]) -> Option<(Answer, bool)> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&buffer[..head]).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let header = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let length: usize = header("content-length").unwrap_or("0").parse().ok()?;
    if buffer.len() < head + 4 + length {
        return None;
    }
    let close = header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Some((Answer { status, retry_after: header("retry-after").is_some() }, close))
}

/// Answers every request with the same few hundred bytes: what HTTP costs here without any work behind it.
pub async fn echo(listener: TcpListener) -> std::io::Result<()> {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":"{}"}}"#, "x".repeat(1100));
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer: Arc<str> = answer.into();
    loop {
        let (mut stream, _) = listener.accept().await?;
        let answer = Arc::clone(&answer);
        tokio::spawn(async move {
            let mut buffer = Vec::with_capacity(4 << 10);
            while stream.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
                while let Some(length) = whole(&buffer) {
                    buffer.drain(..length);
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        });
    }
}

/// How many bytes the first request in the buffer has, if it is whole.
fn whole(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&buffer[..head]).ok()?;
    let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let whole = head + 4 + length.unwrap_or("0").parse::<usize>().ok()?;
    (buffer.len() >= whole).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_once_it_is_whole() {
        let text =
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\ncontent-length: 2\r\n\r\n{}";
        assert!(read(&text[..text.len() - 1]).is_none());
        let (answer, close) = read(text).expect("whole");
        assert!(answer.status == 503 && answer.retry_after && !close);
    }

    #[tokio::test]
    async fn a_slow_start_counts_against_the_server() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let to = listener.local_addr().expect("bound");
        // Nobody accepts for a while; the kernel takes the connections.
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            echo(listener).await
        });
        let time = Duration::from_millis(300);
        let outcome = run(to, Plan { rate: Some(100.0), time, connections: 2, first: 0 }).await;
        assert_eq!((outcome.times.len(), outcome.failed), (30, 0), "{outcome:?}");
        assert!(Outcome::at(&outcome.times, 999) > 150.0, "{outcome:?}");
        assert!(Outcome::at(&outcome.service, 100) < 100.0, "{outcome:?}");
    }

    #[test]
    fn half_of_the_requests_store_and_the_others_read_what_was_stored_before() {
        let host = "127.0.0.1:1".parse().expect("an address");
        for number in [0, 1, 1999, 2001, 5003] {
            let text = request(number, host);
            assert_eq!(text.contains("tasks.create"), number % 2 == 0);
            if number % 2 == 1 {
                let id = text.split("load-").nth(1).and_then(|it| it.split('"').next());
                let known: u64 = id.and_then(|id| id.parse().ok()).expect("an id");
                assert!(known < number && known.is_multiple_of(2), "{number} reads {known}");
            }
        }
    }
}
