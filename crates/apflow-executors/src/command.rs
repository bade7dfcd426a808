//! `command_executor`: runs an allowed program, without a shell.

mod env;
pub(crate) mod group;
mod words;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::Stdio,
    thread::available_parallelism,
    time::Duration,
};

use apflow_core::{
    code::Code,
    executor::{Context, ExecuteError, Executor, Manifest},
    task::{Failure, FailureKind},
};
use async_trait::async_trait;
use rustix::process::Pid;
use serde_json::{Map, Value, json};
use tokio::process::Command;

use group::{Captured, End, Run};

/// The id tasks name it by.
pub const ID: &str = "command_executor";

/// Seconds a command may take if the task does not say.
const TIMEOUT: f64 = 30.0;

/// As much of what a failing program said as fits a sentence.
const QUOTED: usize = 2000;

/// What the operator allows of programs. By default nothing may run.
#[derive(Debug, Clone)]
pub struct CommandConfig {
    /// The programs that may run: absolute paths, or bare names to be found in `path`.
    pub allow: Vec<String>,
    /// Where bare names are looked up, once, and the `PATH` of the programs themselves.
    pub path: Vec<PathBuf>,
    /// Where a command runs if its task does not say.
    pub cwd: PathBuf,
    /// A task may choose a directory in one of these; if there is none, only in `cwd`.
    pub dirs: Vec<PathBuf>,
    /// Variables every program finds in its environment, beside `PATH`, `HOME` and `LANG`.
    pub env: BTreeMap<String, String>,
    /// Names a task may set itself; what makes programs run other programs is refused even so.
    pub allow_env: Vec<String>,
    /// The `HOME` of the programs. The default does not exist, so that no file there is believed.
    pub home: PathBuf,
    /// Between the request to end and the kill.
    pub grace: Duration,
    /// The longest timeout a task may ask for.
    pub max_timeout: Duration,
    /// Bytes kept of standard output and standard error together; a sixteenth is for the errors.
    pub max_output: usize,
    /// What one process of a command may use at most (Linux).
    pub limits: Limits,
}

impl Default for CommandConfig {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            path: ["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from).to_vec(),
            cwd: PathBuf::from("/"),
            dirs: Vec::new(),
            env: BTreeMap::new(),
            allow_env: ["COLUMNS", "LANG", "LC_ALL", "NO_COLOR", "TERM", "TZ"]
                .map(str::to_owned)
                .to_vec(),
            home: PathBuf::from("/nonexistent"),
            grace: Duration::from_secs(2),
            max_timeout: Duration::from_hours(24),
            max_output: 1 << 20,
            limits: Limits::default(),
        }
    }
}

impl CommandConfig {
    /// The allowed programs that are not there or cannot be executed.
    ///
    /// Whoever reads the configuration should say so at the start instead of letting tasks fail.
    pub fn missing(&self) -> Vec<&str> {
        self.allow
            .iter()
            .filter(|entry| locate(entry, &self.path).is_none())
            .map(String::as_str)
            .collect()
    }
}

/// What one process of a command may use at most; none: what the system allows.
///
/// They are set just after the start, on Linux only. There is no limit on the number of processes
/// unless one is chosen: the system counts all of a user's together, not those of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory a process may write to.
    pub memory: Option<u64>,
    /// Seconds of computing.
    pub cpu_seconds: Option<u64>,
    /// Bytes of the largest file it may write.
    pub file_size: Option<u64>,
    /// Open files.
    pub open_files: Option<u64>,
    /// Processes of the user, all together.
    pub processes: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: Some(4 << 30),
            cpu_seconds: None,
            file_size: None,
            open_files: None,
            processes: None,
        }
    }
}

impl Limits {
    #[cfg(target_os = "linux")]
    pub(crate) fn impose(self, on: Pid) {
        use rustix::process::{Resource, Rlimit, prlimit};

        let wanted = [
            (Resource::Core, Some(0)),
            (Resource::Data, self.memory),
            (Resource::Cpu, self.cpu_seconds),
            (Resource::Fsize, self.file_size),
            (Resource::Nofile, self.open_files),
            (Resource::Nproc, self.processes),
        ];
        for (resource, most) in wanted {
            let Some(most) = most else { continue };
            let limit = Rlimit { current: Some(most), maximum: Some(most) };
            match prlimit(Some(on), resource, limit) {
                // It has ended already, or is limited more strictly than we would.
                Ok(_) | Err(rustix::io::Errno::SRCH | rustix::io::Errno::PERM) => {}
                Err(error) => tracing::warn!(?resource, %error, "a limit could not be set"),
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn impose(self, _: Pid) {}
}

/// Runs programs the operator has allowed, each in a process group of its own.
pub struct CommandExecutor {
    manifest: Manifest,
    config: CommandConfig,
    /// Where the words a task may say lead.
    programs: BTreeMap<String, PathBuf>,
    path: OsString,
}

impl CommandExecutor {
    /// The executor; the allowed programs are looked up here, once.
    pub fn new(config: &CommandConfig) -> Self {
        let mut programs = BTreeMap::new();
        for entry in &config.allow {
            let Some(found) = locate(entry, &config.path) else {
                tracing::warn!(program = %entry, "an allowed program is not there");
                continue;
            };
            if let Some(name) = found.file_name().and_then(|name| name.to_str()) {
                programs.entry(name.to_owned()).or_insert_with(|| found.clone());
            }
            programs.insert(found.to_string_lossy().into_owned(), found.clone());
            programs.insert(entry.clone(), found);
        }
        let path = search_path(&config.path);
        Self { manifest: manifest(config), config: config.clone(), programs, path }
    }

    fn read(&self, inputs: &Map<String, Value>) -> Result<Plan, ExecuteError> {
        if self.config.allow.is_empty() {
            return Err(ExecuteError::of_kind(FailureKind::NotAllowed, disabled()));
        }
        let argv = argv(inputs)?;
        let program = self.program(&argv[0])?;
        Ok(Plan {
            program,
            cwd: self.cwd(inputs)?,
            env: self.env(inputs)?,
            input: text(inputs, "stdin")?.map(str::to_owned),
            time: self.time(inputs)?,
            good: good_codes(inputs)?,
            argv,
        })
    }

    fn program(&self, word: &str) -> Result<PathBuf, ExecuteError> {
        self.programs.get(word).cloned().ok_or_else(|| {
            let shown: String = word.chars().filter(|sign| !sign.is_control()).take(200).collect();
            ExecuteError::of_kind(
                FailureKind::NotAllowed,
                format!(
                    "[{ID}] Command '{shown}' is not in the whitelist. Allowed commands: {}. \
                     The operator may add it with --allow-command ({})",
                    self.config.allow.join(", "),
                    Code::CommandRefused
                ),
            )
        })
    }

    fn time(&self, inputs: &Map<String, Value>) -> Result<Duration, ExecuteError> {
        let seconds = match inputs.get("timeout") {
            None | Some(Value::Null) => TIMEOUT.min(self.config.max_timeout.as_secs_f64()),
            Some(value) => value.as_f64().unwrap_or(f64::NAN),
        };
        let most = self.config.max_timeout;
        Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|time| !time.is_zero() && *time <= most)
            .ok_or_else(|| {
                bad(&format!(
                    "timeout must be a number of seconds above 0 and at most {}",
                    most.as_secs_f64()
                ))
            })
    }

    /// The directory, which links cannot lead out of those allowed.
    fn cwd(&self, inputs: &Map<String, Value>) -> Result<PathBuf, ExecuteError> {
        let Some(asked) = text(inputs, "cwd")? else { return Ok(self.config.cwd.clone()) };
        let dir = self
            .config
            .cwd
            .join(asked)
            .canonicalize()
            .ok()
            .filter(|dir| dir.is_dir())
            .ok_or_else(|| bad("cwd is no directory here"))?;
        let own = [self.config.cwd.clone()];
        let allowed: &[PathBuf] =
            if self.config.dirs.is_empty() { &own } else { &self.config.dirs };
        let inside = allowed
            .iter()
            .filter_map(|root| root.canonicalize().ok())
            .any(|root| dir.starts_with(root));
        if inside {
            return Ok(dir);
        }
        Err(ExecuteError::of_kind(
            FailureKind::NotAllowed,
            format!(
                "[{ID}] cwd lies outside the directories in which commands may run ({})",
                Code::CommandRefused
            ),
        ))
    }

    fn env(&self, inputs: &Map<String, Value>) -> Result<BTreeMap<String, String>, ExecuteError> {
        let asked = match inputs.get("env") {
            None | Some(Value::Null) => return Ok(BTreeMap::new()),
            Some(Value::Object(asked)) => asked,
            Some(_) => return Err(bad("env must be an object of names and texts")),
        };
        let mut env = BTreeMap::new();
        for (name, value) in asked {
            if let Some(why) = env::refusal(name, &self.config.allow_env) {
                return Err(ExecuteError::of_kind(
                    FailureKind::NotAllowed,
                    format!("[{ID}] env: {why} ({})", Code::CommandRefused),
                ));
            }
            // The value may be a secret: what is wrong with it is said without it.
            let Some(value) = value.as_str().filter(|value| !value.contains('\0')) else {
                return Err(bad(&format!(
                    "env: the value of {name} must be a text without U+0000"
                )));
            };
            env.insert(name.clone(), value.to_owned());
        }
        Ok(env)
    }

    fn command(&self, plan: &Plan) -> Command {
        let mut command = Command::new(&plan.program);
        command
            .arg0(&plan.argv[0])
            .args(&plan.argv[1..])
            .current_dir(&plan.cwd)
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", &self.config.home)
            .env("LANG", "C.UTF-8")
            .envs(&self.config.env)
            .envs(&plan.env)
            .stdin(if plan.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// What one task asks for, checked.
struct Plan {
    program: PathBuf,
    /// The words, the program as the task named it first.
    argv: Vec<String>,
    cwd: PathBuf,
    env: BTreeMap<String, String>,
    input: Option<String>,
    time: Duration,
    /// Exit codes that are no failure.
    good: Vec<i32>,
}

#[async_trait]
impl Executor for CommandExecutor {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn execute(
        &self,
        inputs: Map<String, Value>,
        context: &Context,
    ) -> Result<Value, ExecuteError> {
        let plan = self.read(&inputs)?;
        if context.cancelled.is_cancelled() {
            return Err(ExecuteError::Cancelled);
        }
        let for_errors = self.config.max_output / 16;
        let mut stdout = Captured::up_to(self.config.max_output - for_errors);
        let mut stderr = Captured::up_to(for_errors);
        let run = Run {
            input: plan.input.as_deref(),
            time: plan.time,
            grace: self.config.grace,
            context,
        };
        let limits = self.config.limits;
        let end =
            group::run(self.command(&plan), run, |id| limits.impose(id), &mut stdout, &mut stderr)
                .await
                .map_err(|error| {
                    ExecuteError::permanent(format!(
                        "[{ID}] '{}' could not be run: {error}",
                        plan.program.display()
                    ))
                })?;
        let truncated = stdout.truncated || stderr.truncated;
        let status = match end {
            End::Exited(status) => status,
            End::Cancelled => return Err(ExecuteError::Cancelled),
            End::TimedOut => {
                return Err(ExecuteError::Transient {
                    failure: Failure::new(FailureKind::Timeout, late(plan.time, &stderr)),
                    retry_after: None,
                });
            }
        };
        let code = return_code(status);
        let success = plan.good.contains(&code);
        let mut result = json!({
            "success": success,
            "return_code": code,
            "stdout": stdout.text(),
            "stderr": stderr.text(),
        });
        if truncated {
            result["truncated"] = json!(true);
        }
        if success {
            return Ok(result);
        }
        let said = quoted(&stderr);
        let message = match said.as_str() {
            "" => format!("Command failed with return code {code}"),
            said => format!("Command failed with return code {code}: {said}"),
        };
        Err(ExecuteError::Permanent {
            failure: Failure::new(FailureKind::Executor, message),
            result,
        })
    }

    fn demo(&self, _: &Map<String, Value>) -> Option<Value> {
        Some(json!({
            "success": true,
            "return_code": 0,
            "stdout": "Hello, World!\nDemo execution result",
            "stderr": "",
        }))
    }
}

/// The directories as one `PATH`.
pub(crate) fn search_path(dirs: &[PathBuf]) -> OsString {
    let mut path = OsString::new();
    for dir in dirs {
        if !path.is_empty() {
            path.push(":");
        }
        path.push(dir);
    }
    path
}

/// The file an entry of the allow-list means, if it is there and may be executed.
pub(crate) fn locate(entry: &str, path: &[PathBuf]) -> Option<PathBuf> {
    let asked = Path::new(entry);
    if asked.is_absolute() {
        return executable(asked).then(|| asked.to_owned());
    }
    // A relative path would mean another program in every directory.
    if entry.is_empty() || entry.contains('/') {
        return None;
    }
    path.iter().map(|dir| dir.join(entry)).find(|file| executable(file))
}

fn executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|seen| seen.is_file() && seen.permissions().mode() & 0o111 != 0)
}

/// The words of the command; never none, and the first is never empty.
fn argv(inputs: &Map<String, Value>) -> Result<Vec<String>, ExecuteError> {
    let argv = match (inputs.get("argv"), text(inputs, "command")?) {
        (None | Some(Value::Null), None) => return Err(required()),
        (None | Some(Value::Null), Some(line)) => {
            words::split(line).map_err(|why| bad(&format!("command: {why}")))?
        }
        (Some(_), Some(_)) => {
            return Err(bad("command and argv are two ways to say one thing; keep one"));
        }
        (Some(Value::Array(words)), None) => words
            .iter()
            .enumerate()
            .map(|(at, word)| {
                word.as_str().map(str::to_owned).ok_or_else(|| {
                    bad(&format!("argv[{at}] must be a text, as the program will see it"))
                })
            })
            .collect::<Result<_, _>>()?,
        (Some(_), None) => return Err(bad("argv must be a list of texts")),
    };
    if argv.first().is_none_or(String::is_empty) {
        return Err(required());
    }
    if let Some(at) = argv.iter().position(|word| word.contains('\0')) {
        return Err(bad(&format!(
            "word {at} of the command holds U+0000, which no program can read"
        )));
    }
    Ok(argv)
}

fn text<'a>(inputs: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, ExecuteError> {
    match inputs.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad(&format!("{key} must be a text"))),
    }
}

fn bad(what: &str) -> ExecuteError {
    ExecuteError::invalid_input(format!("[{ID}] {what}"))
}

fn required() -> ExecuteError {
    bad("command is required in inputs")
}

fn disabled() -> String {
    format!(
        "[{ID}] Command execution is disabled by default for security. To enable, name each \
         program that may run: --allow-command /usr/bin/git ({})",
        Code::CommandRefused
    )
}

/// The exit codes the task takes as a success: 0 unless it says more, never a signal.
fn good_codes(inputs: &Map<String, Value>) -> Result<Vec<i32>, ExecuteError> {
    let codes = match inputs.get("ok_codes") {
        None | Some(Value::Null) => return Ok(vec![0]),
        Some(Value::Array(codes)) if !codes.is_empty() => codes,
        Some(_) => return Err(bad("ok_codes must be a list of exit codes")),
    };
    let code =
        |value: &Value| value.as_u64().and_then(|code| u8::try_from(code).ok()).map(i32::from);
    let read: Option<Vec<i32>> = codes.iter().map(code).collect();
    read.ok_or_else(|| bad("ok_codes must hold exit codes from 0 to 255"))
}

/// The exit code, or the number of the signal below zero, as Python has it.
fn return_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|signal| -signal)).unwrap_or(-1)
}

fn late(time: Duration, stderr: &Captured) -> String {
    let said = quoted(stderr);
    let message =
        format!("[{ID}] Command timed out after {} seconds and was killed", time.as_secs_f64());
    if said.is_empty() { message } else { format!("{message}; it had said: {said}") }
}

/// The end of what the program said about errors: there the reason stands.
fn quoted(stderr: &Captured) -> String {
    let said = stderr.text();
    let skip = said.chars().count().saturating_sub(QUOTED);
    if skip == 0 {
        return said;
    }
    ['…'].into_iter().chain(said.chars().skip(skip)).collect()
}

fn manifest(config: &CommandConfig) -> Manifest {
    let mut manifest = Manifest::new(ID, "Runs an allowed program, without a shell.");
    "Command Executor".clone_into(&mut manifest.name);
    manifest.tags = ["stdio", "command", "process"].map(str::to_owned).to_vec();
    "stdio".clone_into(&mut manifest.family);
    manifest.max_parallel = Some(2 * available_parallelism().map_or(1, NonZeroUsize::get));
    manifest.unavailable = config.allow.is_empty().then(disabled);
    manifest.input_schema = json!({
        "type": "object",
        "properties": {
            "argv": {
                "type": ["array", "null"], "items": {"type": "string"}, "minItems": 1,
                "description": "The program and its arguments, word for word."
            },
            "command": {
                "type": ["string", "null"],
                "description": "The same as one line; quotes are understood, no shell reads it."
            },
            "timeout": {
                "type": ["number", "null"], "exclusiveMinimum": 0, "default": TIMEOUT,
                "maximum": config.max_timeout.as_secs_f64(), "description": "Seconds."
            },
            "cwd": {
                "type": ["string", "null"],
                "description": "The directory to run in, within what the operator allows."
            },
            "env": {
                "type": ["object", "null"], "additionalProperties": {"type": "string"},
                "description": "Variables the operator lets tasks set."
            },
            "stdin": {"type": ["string", "null"], "description": "What the program may read."},
            "ok_codes": {
                "type": ["array", "null"], "minItems": 1, "default": [0],
                "items": {"type": "integer", "minimum": 0, "maximum": 255},
                "description": "Exit codes that are no failure; grep says 1 for nothing found."
            }
        },
        "anyOf": [{"required": ["command"]}, {"required": ["argv"]}],
        "additionalProperties": true
    });
    manifest.output_schema = json!({
        "type": "object",
        "properties": {
            "success": {"type": "boolean"},
            "return_code": {"type": "integer", "description": "Below zero: the signal that ended it."},
            "stdout": {"type": "string"},
            "stderr": {"type": "string"},
            "truncated": {"type": "boolean", "description": "There was more output than is kept."}
        },
        "required": ["success", "return_code", "stdout", "stderr"]
    });
    manifest
}
