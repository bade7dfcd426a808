//! What a serving process does under load: at a rate it has to hold, and at twice what it can.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::{
    load::{Outcome, Plan, run},
    report::{Report, Target},
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Requests in a second that have to be held.
const RATE: f64 = 2_000.0;
/// Connections while it is held.
const CONNECTIONS: usize = 64;
/// Connections under overload: more than the server answers at once, fewer than it lets in.
const CROWD: usize = 900;
/// The word that turns the benchmark into the server of the floor.
pub const ECHO: &str = "echo-server";

/// A process that is killed when the figure is taken.
struct Server {
    child: Child,
    at: SocketAddr,
}

impl Server {
    /// Starts a program that says on this stream where it listens.
    fn start(mut command: Command) -> Result<Self> {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let Some(stderr) = child.stderr.take() else { return Err("no pipe".into()) };
        let mut lines = BufReader::new(stderr);
        let mut line = String::new();
        let at = loop {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                return Err("the server ended before it listened".into());
            }
            if let Some((_, rest)) = line.split_once("http://") {
                break rest.split('/').next().unwrap_or_default().trim().parse()?;
            }
        };
        // What it says later must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Ok(Self { child, at })
    }

    /// Resident memory in MiB.
    fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let kib = status.ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("VmRSS:"))?.to_owned();
            line.split_whitespace().nth(1)?.parse::<f64>().ok()
        });
        kib.map_or(f64::NAN, |kib| kib / 1024.0)
    }

    /// Whether it says that it is ready.
    async fn is_ready(&self) -> bool {
        self.get("/readyz").await.is_some_and(|text| text.starts_with("HTTP/1.1 200"))
    }

    async fn get(&self, path: &str) -> Option<String> {
        let ask = async {
            let mut stream = TcpStream::connect(self.at).await.ok()?;
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.at);
            stream.write_all(request.as_bytes()).await.ok()?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await.ok()?;
            Some(text)
        };
        timeout(Duration::from_secs(5), ask).await.ok().flatten()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nobody to kill or to wait for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Measures the floor, the rate that has to be held, and twice what can be done.
pub async fn measure(report: &mut Report, binary: &Path, dir: &Path, quick: bool) -> Result<()> {
    let time = Duration::from_secs(if quick { 10 } else { 60 });
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(ECHO);
    let echo = Server::start(command)?;
    let held = Plan { rate: Some(RATE), time, connections: CONNECTIONS, first: 0 };
    let floor = Plan { time: Duration::from_secs(if quick { 5 } else { 20 }), ..held };
    shown(report, "HTTP echo at 2,000/s", &run(echo.at, floor).await, None);
    drop(echo);

    for durability in ["strict", "relaxed"] {
        let file = dir.join(format!("load-{durability}.db"));
        let mut command = Command::new(binary);
        command
            .args(["serve", "--port", "0", "--durability", durability, "--db"])
            .arg(format!("sqlite:{}", file.display()))
            .current_dir(dir);
        let server = Server::start(command)?;
        let name = format!("serve, sqlite {durability}");
        let outcome = run(server.at, held).await;
        shown(report, &format!("{name}, get and create at 2,000/s"), &outcome, Some(50.0));
        report.add(&format!("{name}: memory"), server.memory(), "MiB", "", Target::Shown);
        every_task_is_there(report, &server, &name, outcome.created).await;
        if durability == "strict" {
            overload(report, &server, &name, quick).await;
        }
    }
    Ok(())
}

fn shown(report: &mut Report, name: &str, outcome: &Outcome, most: Option<f64>) {
    let target = most.map_or(Target::Shown, Target::AtMost);
    let beside = format!(
        "{} answered, {} told to come later, {} failed",
        outcome.times.len(),
        outcome.later + outcome.unsaid,
        outcome.failed
    );
    let wanted = most.map_or(Target::Shown, |_| Target::AtLeast(RATE * 0.99));
    report.add(&format!("{name}: answered"), outcome.rate(), "/s", &beside, wanted);
    report.add(&format!("{name}: p50"), Outcome::at(&outcome.times, 500), "ms", "", Target::Shown);
    report.add(&format!("{name}: p99"), Outcome::at(&outcome.times, 990), "ms", "", target);
    report.add(
        &format!("{name}: p99.9"),
        Outcome::at(&outcome.times, 999),
        "ms",
        "",
        Target::Shown,
    );
}

/// What was acknowledged has to be stored: a server that forgets is fast for nothing.
async fn every_task_is_there(report: &mut Report, server: &Server, name: &str, created: u64) {
    let text = server.get("/v1/tasks/count").await.unwrap_or_default();
    let stored: f64 = text
        .split("\"total\":")
        .nth(1)
        .and_then(|rest| rest.split(['}', ',']).next()?.parse().ok())
        .unwrap_or(f64::NAN);
    let lost = created as f64 - stored;
    report.add(
        &format!("{name}: acknowledged and not stored"),
        lost,
        "tasks",
        "",
        Target::AtMost(0.0),
    );
}

/// Finds what can be done, asks for twice that, and looks at what becomes of it.
async fn overload(report: &mut Report, server: &Server, name: &str, quick: bool) {
    let seconds = if quick { 5 } else { 20 };
    let first = 10_000_000;
    let closed =
        Plan { rate: None, time: Duration::from_secs(seconds), connections: CONNECTIONS, first };
    let capacity = run(server.at, closed).await.rate();
    report.add(
        &format!("{name}: as fast as 64 connections can"),
        capacity,
        "/s",
        "",
        Target::Shown,
    );
    let before = server.memory();
    let plan = Plan { rate: Some(2.0 * capacity), connections: CROWD, first: 2 * first, ..closed };
    let outcome = run(server.at, plan).await;
    let after = server.memory();
    let name = format!("{name}, twice that");
    let beside = format!("{} failed", outcome.failed);
    report.add(
        &format!("{name}: answered"),
        outcome.rate(),
        "/s",
        &beside,
        Target::AtLeast(capacity * 0.9),
    );
    let later = (outcome.later + outcome.unsaid) as f64 / outcome.took.as_secs_f64();
    report.add(&format!("{name}: told to come later"), later, "/s", "", Target::Shown);
    let unsaid = outcome.unsaid as f64;
    report.add(
        &format!("{name}: told so without Retry-After"),
        unsaid,
        "",
        "",
        Target::AtMost(0.0),
    );
    let p99 = Outcome::at(&outcome.service, 990);
    report.add(&format!("{name}: p99 of the answered, once sent"), p99, "ms", "", Target::Shown);
    let beside = format!("{before:.0} MiB before");
    report.add(&format!("{name}: memory"), after, "MiB", &beside, Target::Shown);
    let begun = Instant::now();
    while !server.is_ready().await && begun.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let well = begun.elapsed().as_secs_f64();
    report.add(&format!("{name}: ready again after"), well, "s", "", Target::AtMost(5.0));
}
