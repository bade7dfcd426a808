//! `apflow daemon`: `apflow serve` in the background, found again by the file that names its process.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use apflow::core::code::Code;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::{
    args::{Daemon, DaemonCommand, Global, StartDaemon},
    config::Overrides,
    error::{CliError, Exit},
    show,
};

/// How long a server may take to listen, and how often one looks.
const START: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);
/// How long it may take to stop politely; requests and tasks have their own grace within.
const STOP: Duration = Duration::from_secs(30);
/// Bytes of the log that are read from its end.
const TAIL: u64 = 1 << 20;

/// The files of a daemon.
struct Files {
    pid: PathBuf,
    log: PathBuf,
}

/// A process that was started, as its file names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    pid: i32,
    /// When it began, as the system counts; another process may get its number later.
    began: String,
    address: String,
}

pub(crate) fn daemon(args: Daemon, global: &Global) -> Result<Exit, CliError> {
    let settings = crate::settings(global, &())?;
    let configured = &settings.daemon;
    let files = Files {
        pid: file(args.pid_file, configured.pid_file.as_ref(), "apflow.pid"),
        log: file(args.log_file, configured.log_file.as_ref(), "apflow.log"),
    };
    match args.command {
        DaemonCommand::Start(args) => start(&files, args, global),
        DaemonCommand::Stop => stop(&files),
        DaemonCommand::Status => Ok(status(&files)?),
        DaemonCommand::Restart(args) => {
            if files.running().is_some() {
                stop(&files)?;
            }
            start(&files, args, global)
        }
        DaemonCommand::Logs { follow, lines } => logs(&files, follow, lines),
    }
}

fn file(flag: Option<PathBuf>, configured: Option<&PathBuf>, default: &str) -> PathBuf {
    flag.or_else(|| configured.cloned()).unwrap_or_else(|| Path::new(".apflow").join(default))
}

fn failed(what: impl Into<String>, error: &std::io::Error) -> CliError {
    CliError::usage(what).because(error.to_string())
}

impl Files {
    /// The process that runs, if the one that is named still does.
    fn running(&self) -> Option<Named> {
        let text = fs::read_to_string(&self.pid).ok()?;
        let beside = fs::read_to_string(self.beside()).unwrap_or_default();
        let mut beside = beside.lines().map(str::to_owned);
        let pid = text.trim().parse().ok()?;
        let (began, address) = (beside.next()?, beside.next()?);
        // A file that was left behind must not lead to a stranger.
        (began_of(pid)? == began).then_some(Named { pid, began, address })
    }

    /// What is known of the process besides its number, which stands alone for `kill $(cat FILE)`.
    fn beside(&self) -> PathBuf {
        self.pid.with_extension("pid-info")
    }

    fn forget(&self) {
        let _ = fs::remove_file(&self.pid);
        let _ = fs::remove_file(self.beside());
    }
}

/// When a process began; none if there is no such process.
fn began_of(pid: i32) -> Option<String> {
    test_kill_process(Pid::from_raw(pid)?).ok()?;
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        // Without /proc the number has to do.
        return Some("unknown".to_owned());
    };
    // The name stands in brackets and may hold anything; the 20th field after it is the moment.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    // A process that has ended and that nobody has looked after yet does not run.
    let ended = fields.next()? == "Z";
    let began = fields.nth(18)?.to_owned();
    (!ended).then_some(began)
}

fn start(files: &Files, args: StartDaemon, global: &Global) -> Result<Exit, CliError> {
    if args.foreground {
        let overrides = Overrides::of(global, &args.serve);
        return crate::wait_for(super::serve::serve(args.serve, overrides));
    }
    if let Some(named) = files.running() {
        return Err(CliError::usage(format!("process {} serves already", named.pid))
            .because(format!("at {}", named.address))
            .help("apflow daemon stop, or apflow daemon restart")
            .exiting(Exit::Conflict));
    }
    for path in [&files.pid, &files.log] {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        if let Some(dir) = dir.filter(|dir| !dir.is_dir()) {
            let shown = dir.display().to_string();
            fs::create_dir_all(dir)
                .map_err(|error| failed(format!("{shown} cannot be made"), &error))?;
            if dir == Path::new(".apflow") {
                let _ = fs::write(dir.join(".gitignore"), "*\n!config.toml\n");
            }
        }
    }
    let log = File::options().create(true).append(true).open(&files.log);
    let log =
        log.map_err(|error| failed(format!("{} cannot be written", files.log.display()), &error))?;
    let from = log.metadata().map_or(0, |it| it.len());
    let both = log.try_clone().map_err(|error| failed("the log cannot be opened twice", &error))?;
    let program =
        std::env::current_exe().map_err(|error| failed("apflow does not find itself", &error))?;
    let mut words = serve_words(std::env::args().skip(1));
    // What stands before `daemon` is for the server as well.
    let named = [
        ("--config", global.config.as_ref().map(|file| file.display().to_string())),
        ("--profile", global.profile.clone()),
    ];
    for (flag, value) in named {
        let typed = |word: &String| word == flag || word.starts_with(&format!("{flag}="));
        if let Some(value) = value
            && !words.iter().any(typed)
        {
            words.extend([flag.to_owned(), value]);
        }
    }
    let child = Command::new(program)
        .arg("serve")
        .args(words)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(both)
        // Ctrl-C here is not meant for it.
        .process_group(0)
        .spawn()
        .map_err(|error| failed("apflow serve cannot be started", &error))?;
    let named = listening(child, files, from)?;
    let written = fs::write(files.beside(), format!("{}\n{}\n", named.began, named.address))
        .and_then(|()| fs::write(&files.pid, format!("{}\n", named.pid)));
    written
        .map_err(|error| failed(format!("{} cannot be written", files.pid.display()), &error))?;
    show::say(&format!("process {} serves {}", named.pid, show::plain(&named.address)));
    Ok(Exit::Ok)
}

/// What of our own arguments is for `serve`: what stands behind `start` and is not about the daemon.
fn serve_words(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = words.skip_while(|word| word != "daemon").skip(1);
    let own = ["--pid-file", "--log-file"];
    // Flags of the daemon may stand before the word that says what to do.
    while let Some(word) = words.next() {
        if own.contains(&word.as_str()) {
            words.next();
        } else if ["start", "restart"].contains(&word.as_str()) {
            break;
        }
    }
    while let Some(word) = words.next() {
        if own.contains(&word.as_str()) {
            words.next();
        } else if !own.iter().any(|own| word.starts_with(&format!("{own}=")))
            && word != "--background"
        {
            kept.push(word);
        }
    }
    kept
}

/// Waits until the server says where it listens, or why it does not.
fn listening(mut child: Child, files: &Files, from: u64) -> Result<Named, CliError> {
    let since = Instant::now();
    loop {
        let text = log_from(&files.log, from);
        let address =
            text.lines().find_map(|line| line.split_once(" serves ")?.1.split(' ').next());
        if let Some(address) = address {
            let pid = i32::try_from(child.id()).unwrap_or_default();
            let began =
                began_of(pid).ok_or_else(|| CliError::internal("the server ended at once"))?;
            return Ok(Named { pid, began, address: address.to_owned() });
        }
        let ended = child.try_wait().ok().flatten();
        if ended.is_some() || since.elapsed() > START {
            let _ = child.kill();
            let why = text.trim_end();
            let told = CliError::new(Code::Config, "apflow serve did not start");
            return Err(told
                .because(if why.is_empty() { "it says nothing" } else { why })
                .help(format!("its log is {}", files.log.display())));
        }
        std::thread::sleep(LOOK);
    }
}

fn log_from(log: &Path, from: u64) -> String {
    let mut text = Vec::new();
    if let Ok(mut file) = File::open(log) {
        let _ = file.seek(SeekFrom::Start(from));
        let _ = file.take(TAIL).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn stop(files: &Files) -> Result<Exit, CliError> {
    let Some(named) = files.running() else {
        files.forget();
        return Err(CliError::new(Code::Config, "no server runs in the background here")
            .help("apflow daemon start")
            .exiting(Exit::NotFound));
    };
    let gone = || began_of(named.pid).is_none_or(|began| began != named.began);
    let Some(pid) = Pid::from_raw(named.pid) else {
        return Err(CliError::internal("a process has no number"));
    };
    let _ = kill_process(pid, Signal::TERM);
    let since = Instant::now();
    while !gone() && since.elapsed() < STOP {
        std::thread::sleep(LOOK);
    }
    if gone() {
        show::say(&format!("process {} has stopped", named.pid));
    } else {
        let _ = kill_process(pid, Signal::KILL);
        show::warn(&format!(
            "process {} did not stop and was killed; what ran is taken up again",
            named.pid
        ));
    }
    files.forget();
    Ok(Exit::Ok)
}

fn status(files: &Files) -> Result<Exit, CliError> {
    let Some(named) = files.running() else {
        show::data("stopped\n")?;
        return Ok(Exit::NotFound);
    };
    show::data(&format!(
        "running\nprocess  {}\naddress  {}\nlog      {}\n",
        named.pid,
        show::plain(&named.address),
        files.log.display()
    ))?;
    Ok(Exit::Ok)
}

fn logs(files: &Files, follow: bool, lines: usize) -> Result<Exit, CliError> {
    let log = &files.log;
    let missing = |error: std::io::Error| {
        failed(format!("there is no log at {}", log.display()), &error).exiting(Exit::NotFound)
    };
    let mut file = File::open(log).map_err(missing)?;
    let size = file.metadata().map_or(0, |it| it.len());
    let text = log_from(log, size.saturating_sub(TAIL));
    let all: Vec<&str> = text.lines().collect();
    for line in &all[all.len().saturating_sub(lines)..] {
        show::data(&show::plain(line))?;
    }
    if !follow {
        return Ok(Exit::Ok);
    }
    file.seek(SeekFrom::Start(size)).map_err(missing)?;
    let mut reader = BufReader::new(file);
    let mut line = String::new();
    loop {
        match reader.read_line(&mut line) {
            Ok(0) => std::thread::sleep(LOOK * 4),
            Ok(_) if line.ends_with('\n') => {
                show::data(&show::plain(line.trim_end()))?;
                line.clear();
            }
            Ok(_) => {}
            Err(error) => return Err(failed("the log cannot be read", &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_for_the_server_is_passed_on_and_nothing_else() {
        let words = |text: &str| serve_words(text.split(' ').map(str::to_owned));
        assert_eq!(words("daemon start --port 0 --db x.db"), ["--port", "0", "--db", "x.db"]);
        let mixed = "--color never daemon --pid-file start restart --log-file=l --host h --pid-file p --background";
        assert_eq!(words(mixed), ["--host", "h"]);
    }

    #[test]
    fn a_number_that_another_process_has_now_is_not_ours() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = Files { pid: dir.path().join("a.pid"), log: dir.path().join("a.log") };
        let me = i32::try_from(std::process::id()).expect("a number");
        fs::write(&files.pid, format!("{me}\n")).expect("a file");
        assert_eq!(files.running(), None, "nothing says when it began");
        fs::write(files.beside(), "long ago\nhttp://h/tasks\n").expect("a file");
        assert_eq!(files.running(), None, "it began at another moment");
        let began = began_of(me).expect("this process runs");
        fs::write(files.beside(), format!("{began}\nhttp://h/tasks\n")).expect("a file");
        assert_eq!(files.running().map(|it| it.pid), Some(me));
    }
}
