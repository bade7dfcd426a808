//! `apflow scheduler …`: fires schedules, and shows what they are about to do.

use std::{sync::Arc, time::Duration};

use apflow::core::{
    code::Code,
    engine::SchedulerConfig,
    id::TaskId,
    store::{Start, StartScope, StoreError},
    task::Outcome,
};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

use super::{
    run::seconds,
    scheduled::{self, Filter},
    tasks::no_such_task,
    webhook_url::{self, WebhookUrl},
};
use crate::{
    args::{Connection, Durability, Format, Grants},
    config::{self, Database, Flags, Overrides, Settings},
    door::Door,
    error::{CliError, Exit},
    follow::Interrupts,
    show::{
        self,
        sheet::{self, Sheet},
    },
};

#[derive(Debug, ClapArgs)]
pub(crate) struct Scheduler {
    #[command(subcommand)]
    command: SchedulerCommand,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum SchedulerCommand {
    /// Fire schedules and run what they begin, here and until a signal; `apflow serve` does it too.
    Start(StartArgs),
    /// Show tasks with a schedule, by their next run.
    List {
        #[command(flatten)]
        filter: Filter,
        /// At most so many.
        #[arg(short, long, default_value_t = 100)]
        limit: u32,
        #[command(flatten)]
        format: Format,
    },
    /// Say how many schedules are on, which is next, and whether any is overdue.
    Status {
        #[command(flatten)]
        format: Format,
    },
    /// Run a task now as its schedule would: all of it anew, counted as a run.
    Trigger(TriggerArgs),
    /// Write schedules as an iCalendar file to standard output.
    ExportIcal {
        #[command(flatten)]
        filter: Filter,
        /// The name of the calendar.
        #[arg(short, long, value_name = "NAME", default_value = "APFlow Tasks")]
        name: String,
        /// What links to tasks begin with.
        #[arg(long, value_name = "URL")]
        base_url: Option<String>,
        /// A file is written by the shell: `apflow scheduler export-ical > FILE`.
        #[arg(short, long, value_name = "FILE", hide = true)]
        output: Option<String>,
    },
    /// Say how a system outside triggers a task, as `apflow tasks webhook-url` does.
    #[command(name = "webhook-url")]
    Address {
        #[command(flatten)]
        url: WebhookUrl,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Debug, ClapArgs)]
struct StartArgs {
    /// Look at least this often, in seconds, should every signal be lost; nothing is polled otherwise.
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60.0)]
    interval: f64,
    /// Run at most so many tasks at the same time.
    #[arg(short = 'c', long, value_name = "N")]
    max_concurrent: Option<u32>,
    /// Fire only schedules of this owner's tasks.
    #[arg(short, long)]
    user_id: Option<String>,
    /// Longest time one attempt may take where its task does not say, in seconds.
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// It stays in the foreground; leave the background to your service manager.
    #[arg(short, long, hide = true)]
    background: bool,
    /// How long running tasks may go on after SIGTERM, in seconds [default: server.grace, or 10]
    #[arg(long, value_name = "SECONDS")]
    grace: Option<f64>,
    /// When a write counts as done [default: strict]
    #[arg(long, value_enum)]
    durability: Option<Durability>,
    #[command(flatten)]
    allow: Grants,
}

#[derive(Debug, ClapArgs)]
struct TriggerArgs {
    /// The task.
    id: String,
    /// Run it here, and answer when it has ended; otherwise it is left to `apflow serve`.
    #[arg(short, long)]
    wait: bool,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    allow: Grants,
}

impl Flags for Scheduler {
    fn say(&self, over: &mut Overrides) {
        self.connection.say(over);
        match &self.command {
            SchedulerCommand::Start(start) => {
                over.maybe("scheduler.max_concurrent", "--max-concurrent", start.max_concurrent);
                over.maybe("server.grace", "--grace", start.grace);
                start.durability.say(over);
                start.allow.say(over);
            }
            SchedulerCommand::Trigger(trigger) => trigger.allow.say(over),
            _ => {}
        }
    }
}

pub(crate) async fn scheduler(args: Scheduler, settings: &Arc<Settings>) -> Result<Exit, CliError> {
    let Scheduler { command, connection } = args;
    let command = match command {
        SchedulerCommand::Start(start) => return run(&connection, settings, start).await,
        SchedulerCommand::Address { url, format } => {
            return webhook_url::show(&url, &format, settings);
        }
        other => other,
    };
    let door = Door::open(&connection, settings)?;
    let done = match command {
        SchedulerCommand::List { filter, limit, format } => {
            let mut params = filter.params();
            params["limit"] = json!(limit);
            scheduled::list(&door, "tasks.scheduled.list", params, &format).await
        }
        SchedulerCommand::Status { format } => status(&door, &format).await,
        SchedulerCommand::Trigger(args) if door.is_remote() => afar(&door, args).await,
        SchedulerCommand::Trigger(args) => trigger(&door, settings, args).await,
        SchedulerCommand::ExportIcal { filter, name, base_url, output } => {
            export(&door, &filter, &name, base_url, output).await
        }
        // They are done above, without a door.
        SchedulerCommand::Start(_) | SchedulerCommand::Address { .. } => Ok(Exit::Ok),
    };
    door.close().await;
    done
}

async fn export(
    door: &Door,
    filter: &Filter,
    name: &str,
    base_url: Option<String>,
    output: Option<String>,
) -> Result<Exit, CliError> {
    if output.is_some() {
        return Err(CliError::usage("the calendar is written to standard output")
            .help("apflow scheduler export-ical > FILE"));
    }
    let mut params = filter.params();
    params["calendar_name"] = json!(name);
    params["base_url"] = json!(base_url);
    let answer = door.call("tasks.scheduled.export-ical", params).await?;
    show::data(answer["ical_content"].as_str().unwrap_or_default())?;
    Ok(Exit::Ok)
}

async fn run(
    connection: &Connection,
    settings: &Settings,
    args: StartArgs,
) -> Result<Exit, CliError> {
    if connection.server.is_some() {
        return Err(CliError::usage("the scheduler works on a database")
            .help("`apflow serve` fires the schedules of a server; leave --server out"));
    }
    let database = &Database::find(settings);
    if args.background {
        return Err(CliError::usage("the scheduler runs in the foreground")
            .because("a process that leaves its terminal is kept alive by nobody")
            .help("let systemd, launchd or a container run `apflow scheduler start`"));
    }
    let grace = settings.server.grace;
    let back_stop = seconds("--interval", Some(args.interval))?.unwrap_or_default();
    let timeout = seconds("--timeout", args.timeout)?;
    database.prepare()?;
    let mut interrupts = Interrupts::listen()?;
    config::warn_of_grants(settings)?;
    let mut engine = config::engine(settings)?;
    if let Some(most) = settings.scheduler.max_concurrent {
        engine.slots = most;
    }
    engine.attempt_timeout = timeout.or(engine.attempt_timeout);
    let config = SchedulerConfig { back_stop, user_id: args.user_id, ..SchedulerConfig::default() };
    let mut app = config::app(settings, database)?.engine(engine).scheduler(config).open().await?;
    app.work();
    let mut stats = app.schedule().watch();
    show::say(&format!(
        "apflow {} fires the schedules of {}",
        env!("CARGO_PKG_VERSION"),
        show::plain(&database.shown())
    ));
    interrupts.next().await;
    show::say("stopping; again to stop at once");
    tokio::select! {
        drained = app.shutdown(grace) => {
            let fired = usize::try_from(stats.borrow_and_update().fired).unwrap_or(usize::MAX);
            show::say(&format!(
                "stopped: {} began; {} tasks finished meanwhile, {} were given back",
                show::count(fired, "run"),
                drained.finished,
                drained.handed_back + drained.left
            ));
            Ok(Exit::Ok)
        }
        () = interrupts.next() => Ok(Exit::Interrupted),
    }
}

async fn status(door: &Door, format: &Format) -> Result<Exit, CliError> {
    let read = async |method: &str, params: Value| -> Result<Vec<Value>, CliError> {
        Ok(door.call(method, params).await?.as_array().cloned().unwrap_or_default())
    };
    let all = read("tasks.scheduled.list", json!({ "enabled_only": false, "limit": 1000 })).await?;
    let due = read("tasks.scheduled.due", json!({ "limit": 1000 })).await?;
    let on = |task: &&Value| task["schedule_enabled"].as_bool() == Some(true);
    let next = all.iter().filter(on).find(|task| task["next_run_at"].is_string());
    let answer = json!({
        "schedules": all.len(), "enabled": all.iter().filter(on).count(), "overdue": due.len(),
        "next_task": next.map(|task| &task["id"]), "next_run_at": next.map(|task| &task["next_run_at"]),
    });
    sheet::write(&answer, Sheet::Fields, format)?;
    if all.len() == 1000 {
        show::warn("there are more than 1000 schedules; these are the first");
    }
    if !due.is_empty() {
        show::warn(&format!(
            "{} overdue: is `apflow serve` or `apflow scheduler start` running?",
            show::count(due.len(), "run")
        ));
    }
    Ok(Exit::Ok)
}

async fn trigger(door: &Door, settings: &Settings, args: TriggerArgs) -> Result<Exit, CliError> {
    config::warn_of_grants(settings)?;
    let database = &Database::find(settings);
    database.prepare()?;
    let mut interrupts = Interrupts::listen()?;
    let mut app = config::app(settings, database)?.open().await?;
    let task = TaskId::new(door.id(&args.id).await?);
    let wish = Start {
        task: task.clone(),
        scope: StartScope::Afresh,
        reexecute: true,
        callback: None,
        demo: false,
    };
    let started = app.engine().start(wish).await.map_err(|error| match error {
        StoreError::NoSuchTask(_) => no_such_task(task.as_str()),
        other => other.into(),
    })?;
    let tasks = usize::try_from(started.tasks).unwrap_or(usize::MAX);
    if !args.wait {
        show::say(&format!("✓ triggered {}; `apflow serve` runs it", show::count(tasks, "task")));
        let _ = app.shutdown(Duration::ZERO).await;
        return Ok(Exit::Ok);
    }
    show::say(&format!("running {}", show::count(tasks, "task")));
    app.work();
    let ends = async {
        let mut worst = Outcome::Completed;
        for tree in &started.trees {
            match app.engine().wait(tree).await?.outcome {
                Some(Outcome::Failed) => worst = Outcome::Failed,
                Some(Outcome::Cancelled) if worst == Outcome::Completed => {
                    worst = Outcome::Cancelled;
                }
                _ => {}
            }
        }
        Ok::<_, StoreError>(worst)
    };
    let outcome = tokio::select! {
        outcome = ends => outcome?,
        () = interrupts.next() => {
            let _ = app.shutdown(Duration::ZERO).await;
            show::say("interrupted; `apflow resume` goes on with it");
            return Ok(Exit::Interrupted);
        }
    };
    let record = Door::through(app.gateway().clone(), database)
        .call("tasks.get", json!({ "task_id": task }))
        .await?;
    sheet::write(&record, Sheet::Fields, &args.format)?;
    let _ = app.shutdown(Duration::from_secs(1)).await;
    Ok(match outcome {
        Outcome::Completed => Exit::Ok,
        Outcome::Failed => Exit::Failed,
        Outcome::Cancelled => Exit::Cancelled,
    })
}

/// A server runs it as for a webhook, which runs a task whatever its schedule says.
async fn afar(door: &Door, args: TriggerArgs) -> Result<Exit, CliError> {
    let id = door.id(&args.id).await?;
    let params = json!({ "task_id": id, "async_execution": !args.wait });
    let answer = door.call("tasks.webhook.trigger", params).await?;
    if answer["success"] != true && answer["status"].is_null() {
        let why = answer["error"].as_str().unwrap_or("the server does not say why").to_owned();
        let code = if why.ends_with("not found") { Code::NotFound } else { Code::AlreadyRunning };
        return Err(CliError::new(code, format!("{id} was not triggered")).because(why));
    }
    if !args.wait {
        show::say("✓ triggered; the server runs it");
        return Ok(Exit::Ok);
    }
    let record = door.call("tasks.get", json!({ "task_id": id })).await?;
    sheet::write(&record, Sheet::Fields, &args.format)?;
    Ok(match record["status"].as_str() {
        Some("completed") => Exit::Ok,
        Some("cancelled") => Exit::Cancelled,
        _ => Exit::Failed,
    })
}
