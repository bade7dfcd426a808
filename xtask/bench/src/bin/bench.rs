//! Prints how fast apflow is beside the physical floor, measured in the same run.
//!
//! `bench [http|durable] [--quick] [--json]`; `http` measures a serving process under load and nothing else, `durable` retries, parked and spawned tasks and channels; the floor is one committed one-row update on the same file or server.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use apflow::{
    core::{engine::EngineConfig, submit::TaskSpec},
    prelude::*,
    protocols::http::{HttpConfig, serve},
};
use apflow_bench::{
    chaos::postgres::Server,
    durable, floor, http, load,
    report::{Report, Target, median},
    shape,
};
use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How much is measured.
#[derive(Clone, Copy)]
struct Size {
    commits: u32,
    chain: usize,
    fan: usize,
    rounds: usize,
    wide: usize,
    finished: u32,
    requests: usize,
}

const WHOLE: Size = Size {
    commits: 1_000,
    chain: 1_000,
    fan: 1_000,
    rounds: 5,
    wide: 100_000,
    finished: 1_000_000,
    requests: 1_000,
};
const QUICK: Size = Size {
    commits: 200,
    chain: 200,
    fan: 1_000,
    rounds: 3,
    wide: 10_000,
    finished: 50_000,
    requests: 200,
};

async fn app(database: &str, durability: Durability) -> Result<App> {
    let mut app = App::builder()
        .database(database)
        .durability(durability)
        .engine(EngineConfig { slots: 1024, ..EngineConfig::default() })
        .register(|registry| {
            registry.function(shape::NOOP, "Does nothing.", |_: serde_json::Value, _| async {
                Ok(serde_json::Value::Null)
            });
        })
        .open()
        .await?;
    app.work();
    Ok(app)
}

/// Runs tasks to their end; how long it took from submission.
async fn run(app: &App, tasks: Vec<TaskSpec>) -> Result<Duration> {
    let begun = Instant::now();
    let inserted = app.submit(tasks).await?;
    for tree in &inserted.trees {
        let run = app.engine().wait(tree).await?;
        if run.outcome != Some(Outcome::Completed) {
            return Err(format!("the run of {tree} ended {:?}", run.outcome).into());
        }
    }
    Ok(begun.elapsed())
}

/// What a database and a durability are held against.
struct Goals {
    chain: f64,
    fan: Target,
    trees: Target,
}

/// Chain, fan and small trees on one database; returns tasks per second of the fan.
async fn shapes(
    report: &mut Report,
    name: &str,
    apps: &[App],
    floor: Duration,
    size: Size,
    goals: &Goals,
) -> Result<f64> {
    let app = &apps[0];
    run(app, shape::chain(50)).await?;
    let mut steps = Vec::new();
    for _ in 0..size.rounds {
        let took = run(app, shape::chain(size.chain)).await?;
        steps.push(took.as_secs_f64() / size.chain as f64);
    }
    let step = median(steps);
    report.add(
        &format!("{name}: chain of {}, a step", size.chain),
        step / floor.as_secs_f64(),
        "x floor",
        &format!("{:.0} us a step, floor {:.0} us", step * 1e6, floor.as_secs_f64() * 1e6),
        Target::AtMost(goals.chain),
    );
    let mut speeds = Vec::new();
    for _ in 0..size.rounds {
        let took = run(app, shape::fan(size.fan)).await?;
        speeds.push((size.fan + 2) as f64 / took.as_secs_f64());
    }
    let fan = median(speeds);
    let beside = format!("{:.1} tasks a floor", fan * floor.as_secs_f64());
    report.add(&format!("{name}: 1 -> {} -> 1", size.fan), fan, "tasks/s", &beside, goals.fan);
    let mut speeds = Vec::new();
    for _ in 0..size.rounds {
        let begun = Instant::now();
        let runs = (0..200).map(|index| run(&apps[index % apps.len()], shape::tree_of_ten()));
        for each in join_all(runs).await {
            each?;
        }
        speeds.push(2_000.0 / begun.elapsed().as_secs_f64());
    }
    let speed = median(speeds);
    let beside = format!("{:.1} tasks a floor", speed * floor.as_secs_f64());
    report.add(&format!("{name}: 200 trees of 10 at once"), speed, "tasks/s", &beside, goals.trees);
    Ok(fan)
}

async fn sqlite(report: &mut Report, dir: &Path, size: Size) -> Result<()> {
    let mut fans = Vec::new();
    for (word, durability, goals) in [
        (
            "relaxed",
            Durability::Relaxed,
            Goals { chain: 3.0, fan: Target::AtLeast(40_000.0), trees: Target::AtLeast(20_000.0) },
        ),
        (
            "strict",
            Durability::Strict,
            Goals { chain: 1.5, fan: Target::Shown, trees: Target::AtLeast(10_000.0) },
        ),
    ] {
        let path = dir.join(format!("{word}.db"));
        let floor = floor::sqlite(&path, durability, size.commits).await?;
        let apps = [app(&format!("sqlite:{}", path.display()), durability).await?];
        let name = format!("sqlite {word}");
        fans.push(shapes(report, &name, &apps, floor, size, &goals).await?);
        if durability == Durability::Relaxed {
            requests(report, &name, &apps[0], size).await?;
        }
    }
    report.add(
        "sqlite: fan, relaxed beside strict",
        fans[0] / fans[1],
        "x",
        "",
        Target::AtMost(2.0),
    );
    growth(report, dir, size).await
}

/// What a large tree, a large table and a stored tree cost.
async fn growth(report: &mut Report, dir: &Path, size: Size) -> Result<()> {
    let path = dir.join("growth.db");
    let app = app(&format!("sqlite:{}", path.display()), Durability::Relaxed).await?;
    let mut small = Vec::new();
    for _ in 0..size.rounds {
        small.push(run(&app, shape::fan(1_000)).await?.as_secs_f64() / 1_002.0);
    }
    let before = resident(std::process::id());
    let large = run(&app, shape::fan(size.wide)).await?.as_secs_f64() / (size.wide + 2) as f64;
    let after = resident(std::process::id());
    let small = median(small);
    report.add(
        &format!("sqlite relaxed: a task of {} beside one of 1000", size.wide),
        large / small,
        "x",
        &format!("{:.1} us beside {:.1} us", large * 1e6, small * 1e6),
        Target::AtMost(1.5),
    );
    if let (Some(before), Some(after)) = (before, after) {
        report.add(
            "memory the run of that tree left behind, a task",
            after.saturating_sub(before) as f64 / size.wide as f64,
            "bytes",
            "resident, peak not counted",
            Target::Shown,
        );
    }

    let mut empty = Vec::new();
    for _ in 0..size.rounds * 20 {
        empty.push(run(&app, shape::chain(1)).await?.as_secs_f64());
    }
    let per_tree = 1_000;
    let mut stored = 0;
    while stored < size.finished {
        run(&app, shape::fan(per_tree)).await?;
        stored += 1_002;
    }
    let mut full = Vec::new();
    for _ in 0..size.rounds * 20 {
        full.push(run(&app, shape::chain(1)).await?.as_secs_f64());
    }
    report.add(
        &format!("sqlite relaxed: one task with {} finished in the table", size.finished),
        median(full) / median(empty),
        "x",
        "beside the same table with few",
        Target::AtMost(1.5),
    );

    let before = resident(std::process::id());
    let order = apflow::core::submit::Order {
        tasks: shape::fan(size.wide),
        options: apflow::core::task::TreeOptions::default(),
        start: false,
        idempotency: None,
        user_id: None,
        callback: None,
        demo: false,
    };
    app.engine().submit(order).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let after = resident(std::process::id());
    if let (Some(before), Some(after)) = (before, after) {
        report.add(
            "memory of a tree that is only stored, a task",
            after.saturating_sub(before) as f64 / size.wide as f64,
            "bytes",
            "resident after it was stored",
            Target::AtMost(1024.0),
        );
    }
    Ok(())
}

/// Resident memory of a process, in bytes.
fn resident(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Submits one task over HTTP and waits for it, again and again.
async fn requests(report: &mut Report, name: &str, app: &App, size: Size) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let server =
        tokio::spawn(serve(listener, app.gateway().clone(), HttpConfig::default(), stop.clone()));
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tasks.execute","params":{{"tasks":[{{"name":"one","params":{{"executor_id":"{}"}}}}]}}}}"#,
        shape::NOOP
    );
    let request = format!(
        "POST /tasks HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut times = Vec::with_capacity(size.requests);
    let mut buffer = vec![0_u8; 64 << 10];
    for _ in 0..size.requests {
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        let read = stream.read(&mut buffer).await?;
        let answer = String::from_utf8_lossy(&buffer[..read]);
        if !answer.contains("\"outcome\":\"completed\"") {
            return Err(format!("an answer that says nothing of the outcome: {answer}").into());
        }
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    let what = format!("{name}: one task over HTTP, submitted and waited for");
    report.add(&format!("{what}, p50"), at(50), "ms", "", Target::AtMost(1.0));
    report.add(&format!("{what}, p99"), at(99), "ms", "", Target::AtMost(5.0));
    stop.cancel();
    server.await??;
    Ok(())
}

async fn postgres(report: &mut Report, size: Size) -> Result<()> {
    let server = match Server::start() {
        Ok(server) => server,
        Err(error) => {
            report.not_measured("postgres", &error);
            return Ok(());
        }
    };
    for (word, durability, goals) in [
        (
            "strict",
            Durability::Strict,
            Goals { chain: 1.5, fan: Target::AtLeast(10_000.0), trees: Target::AtLeast(8_000.0) },
        ),
        (
            "relaxed",
            Durability::Relaxed,
            Goals { chain: f64::INFINITY, fan: Target::Shown, trees: Target::Shown },
        ),
    ] {
        let floor = floor::postgres(&server.url(), durability, size.commits).await?;
        let apps = [app(&server.url(), durability).await?, app(&server.url(), durability).await?];
        let name = format!("postgres {word}, two workers");
        shapes(report, &name, &apps, floor, size, &goals).await?;
    }
    Ok(())
}

/// The binary beside this one, if it was built.
fn binary() -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?.with_file_name("apflow");
    path.exists().then_some(path)
}

async fn processes(report: &mut Report, dir: &Path, size: Size) -> Result<()> {
    let Some(binary) = binary() else {
        report.not_measured(
            "start of the binary and its memory at rest",
            "build it: cargo build --profile release-fast -p apflow-cli",
        );
        return Ok(());
    };
    let file = dir.join("one.yaml");
    std::fs::write(&file, "tasks:\n  facts:\n    executor: system_info_executor\n")?;
    let time = |arguments: &[&str]| -> Result<f64> {
        let mut times = Vec::new();
        for _ in 0..=size.rounds * 2 {
            let begun = Instant::now();
            let status = Command::new(&binary)
                .args(arguments)
                .current_dir(dir)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?;
            if !status.success() {
                return Err(format!("apflow {arguments:?} ended {status}").into());
            }
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        Ok(median(times))
    };
    report.add("apflow --help", time(&["--help"])?, "ms", "", Target::AtMost(20.0));
    let cold = dir.join("cold.db");
    let database = format!("sqlite:{}", cold.display());
    let run = ["run", "one.yaml", "--db", &database];
    report.add("apflow run of one task", time(&run)?, "ms", "", Target::AtMost(100.0));

    let database = format!("sqlite:{}", dir.join("rest.db").display());
    let mut server = Command::new(&binary)
        .args(["serve", "--port", "0", "--db", &database])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = processor_time(server.id());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = processor_time(server.id());
    if let Some(memory) = resident(server.id()) {
        let memory = memory as f64 / f64::from(1 << 20);
        report.add("apflow serve at rest, memory", memory, "MiB", "", Target::AtMost(25.0));
    }
    if let (Some(before), Some(after)) = (before, after) {
        let ticks = (after - before) as f64 / 5.0;
        report.add("apflow serve at rest, processor", ticks, "ticks/s", "", Target::AtMost(1.0));
    }
    server.kill()?;
    server.wait()?;
    Ok(())
}

/// Ticks of processor time a process has used.
fn processor_time(process: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

#[expect(clippy::print_stderr, reason = "whoever started it reads there where it listens")]
fn say(line: &str) {
    eprintln!("{line}");
}

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|each| each == word);
    if has(http::ECHO) {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        say(&format!("echo listens on http://{}/", listener.local_addr()?));
        return Ok(load::echo(listener).await?);
    }
    let known = ["http", "durable", "--quick", "--json"];
    if let Some(odd) = words.iter().find(|word| !known.contains(&word.as_str())) {
        return Err(
            format!("`{odd}` is not known; there are http, durable, --quick and --json").into()
        );
    }
    let size = if has("--quick") { QUICK } else { WHOLE };
    let mut report = Report::new(has("--json"));
    // In the folder it is started from: a temporary folder may lie in memory.
    let dir = tempfile::tempdir_in(".")?;
    if has("http") {
        let Some(binary) = binary() else {
            let how = "build it: cargo build --profile release-fast -p apflow-cli";
            return Err(format!("there is no apflow beside this program; {how}").into());
        };
        http::measure(&mut report, &binary, dir.path(), has("--quick")).await?;
        report.end();
        return Ok(());
    }
    if has("durable") {
        durable::measure(&mut report, dir.path(), has("--quick")).await?;
        report.end();
        return Ok(());
    }
    sqlite(&mut report, dir.path(), size).await?;
    durable::measure(&mut report, dir.path(), has("--quick")).await?;
    postgres(&mut report, size).await?;
    processes(&mut report, dir.path(), size).await?;
    report.end();
    Ok(())
}
