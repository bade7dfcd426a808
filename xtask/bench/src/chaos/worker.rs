//! The process that suffers: engines on one database, whose tasks leave a line when they begin and end.

use std::{
    io::{Read as _, Write as _},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use apflow::{
    core::{
        engine::{Engine, EngineConfig, SubmitError},
        observe::{Observer, Seen},
        store::{Store, StoreError, TaskFilter},
    },
    prelude::*,
    storage::OpenOptions,
    system::SystemIds,
};
use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::time::sleep;

use super::{
    Result, doing,
    log::{Logs, RunDir, What, fingerprint},
    plan::{EFFECT, Plan},
    words::Words,
    zombie::Zombie,
};

/// How a worker works; the killer hands it on as arguments.
#[expect(clippy::struct_excessive_bools, reason = "each is one flag of the command line")]
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// The database.
    pub db: String,
    /// Where the logs are.
    pub dir: RunDir,
    /// Which trees there are.
    pub plan: Plan,
    /// Submit trees up to this number; without it until somebody says it is enough.
    pub trees: Option<u64>,
    /// Whether it submits at all.
    pub submits: bool,
    /// End once every tree has.
    pub once: bool,
    /// Attempts at the same time.
    pub slots: u32,
    /// The lease.
    pub lease: Duration,
    /// When a write is acknowledged.
    pub durability: Durability,
    /// A second engine works beside the first, whose leases are never renewed.
    pub zombie: bool,
    /// Refused outcomes are reported again under the current token.
    pub unfenced: bool,
    /// Bytes that every result is made longer by.
    pub pad: usize,
}

impl WorkerOptions {
    /// The arguments that make a process of this program work like this.
    pub fn arguments(&self) -> Vec<String> {
        let mut words = vec!["worker".to_owned()];
        let mut pair = |name: &str, value: String| words.extend([format!("--{name}"), value]);
        pair("db", self.db.clone());
        pair("dir", self.dir.path().display().to_string());
        pair("seed", self.plan.seed.to_string());
        pair("longest-ms", self.plan.longest.as_millis().to_string());
        pair("slots", self.slots.to_string());
        pair("lease-ms", self.lease.as_millis().to_string());
        pair("pad", self.pad.to_string());
        if let Some(trees) = self.trees {
            pair("trees", trees.to_string());
        }
        let flags = [
            ("--diamonds", self.plan.diamonds),
            ("--submit", self.submits),
            ("--once", self.once),
            ("--relaxed", self.durability == Durability::Relaxed),
            ("--zombie", self.zombie),
            ("--unfenced", self.unfenced),
        ];
        words.extend(flags.iter().filter(|(_, on)| *on).map(|(flag, _)| (*flag).to_owned()));
        words
    }

    /// What [`arguments`](Self::arguments) said.
    pub fn read(words: &[String]) -> Result<Self> {
        let mut words = Words::new(words);
        let options = Self {
            db: words.value("db")?.ok_or("--db is missing: the address of the database")?,
            dir: RunDir::at(
                words.value::<String>("dir")?.ok_or("--dir is missing: where to log")?,
            )?,
            plan: Plan {
                seed: words.value("seed")?.unwrap_or(1),
                diamonds: words.flag("diamonds"),
                longest: Duration::from_millis(words.value("longest-ms")?.unwrap_or(20)),
            },
            trees: words.value("trees")?,
            submits: words.flag("submit"),
            once: words.flag("once"),
            slots: words.value("slots")?.unwrap_or(4),
            lease: Duration::from_millis(words.value("lease-ms")?.unwrap_or(2000)),
            durability: words.durability(),
            zombie: words.flag("zombie"),
            unfenced: words.flag("unfenced"),
            pad: words.value("pad")?.unwrap_or(0),
        };
        words.nothing_is_left()?;
        Ok(options)
    }
}

/// Tasks that may be open before the worker submits more.
const OPEN: u64 = 100;

/// Works until it is killed, its standard input ends, or everything is done and that was asked for.
pub async fn work(options: WorkerOptions) -> ExitCode {
    std::thread::spawn(|| {
        // Whoever started the worker holds the other end; when that is gone, so is the worker.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    match try_to_work(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

async fn try_to_work(options: WorkerOptions) -> Result<()> {
    let logs = Arc::new(options.dir.open()?);
    let opened = OpenOptions { durability: options.durability, ..OpenOptions::default() };
    let honest = apflow::storage::open(&options.db, opened)
        .await
        .map_err(|error| format!("{error} ({})", error.hint().unwrap_or_default()))?;
    let doubt = |never_renews| -> Arc<dyn Store> {
        let inner = Arc::clone(&honest);
        Arc::new(Zombie { inner, never_renews, unfenced: options.unfenced })
    };
    let store = if options.unfenced { doubt(false) } else { Arc::clone(&honest) };
    let engine = engine(store, &options, options.slots, &logs);
    let _worker = engine.work();
    let undead = options.zombie.then(|| self::engine(doubt(true), &options, 2, &logs));
    let _undead = undead.as_ref().map(Engine::work);
    logs.happened(What::Ready);
    let _ = writeln!(std::io::stdout(), "ready");
    if options.submits {
        submit(&engine, &options, &logs).await?;
        options.dir.say_submitted()?;
    }
    if options.once {
        for index in 0..options.trees.unwrap_or(0) {
            let tree = TreeId::new(options.plan.tree(index).id);
            engine.wait(&tree).await.map_err(doing(format_args!("waiting for tree {tree}")))?;
        }
        return Ok(());
    }
    std::future::pending().await
}

/// An engine as [`App`] puts one together, on a store that may lie.
fn engine(store: Arc<dyn Store>, options: &WorkerOptions, slots: u32, logs: &Arc<Logs>) -> Engine {
    let mut registry = Registry::new();
    registry.register(Effector {
        manifest: Manifest::new(EFFECT, "Leaves a line when it begins and when it ends."),
        logs: Arc::clone(logs),
        pad: "x".repeat(options.pad),
        nonce: AtomicU64::new(0),
    });
    Engine::builder(store, Arc::new(SystemIds))
        .registry(registry)
        .config(EngineConfig {
            slots,
            lease: options.lease,
            store_pause: (Duration::from_millis(20), Duration::from_millis(500)),
            ..EngineConfig::default()
        })
        .observer(Arc::new(Witness(Arc::clone(logs))))
        .build()
}

/// Submits one tree after the other and notes each before it goes on, as a careful client does.
async fn submit(engine: &Engine, options: &WorkerOptions, logs: &Logs) -> Result<()> {
    let mut index = options.dir.acknowledged();
    let open =
        TaskFilter { statuses: vec![Status::Pending, Status::InProgress], ..TaskFilter::default() };
    loop {
        if options.trees.map_or_else(|| options.dir.is_enough(), |trees| index >= trees) {
            return Ok(());
        }
        match engine.store().count(&open).await {
            Ok(counts) if counts.total() < OPEN => {}
            _ => {
                sleep(Duration::from_millis(10)).await;
                continue;
            }
        }
        match engine.submit(options.plan.tree(index).order()).await {
            Ok(_) => {
                logs.acknowledge(index)?;
                index += 1;
            }
            Err(SubmitError::Store(error)) => {
                logs.happened(trouble("submit", &error));
                sleep(Duration::from_millis(50)).await;
            }
            Err(SubmitError::Problems(problems)) => {
                return Err(format!("tree {index}: {problems}"));
            }
        }
    }
}

/// Leaves a line when it begins and when it ends.
struct Effector {
    manifest: Manifest,
    logs: Arc<Logs>,
    pad: String,
    nonce: AtomicU64,
}

#[async_trait]
impl Executor for Effector {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn execute(
        &self,
        inputs: Map<String, Value>,
        context: &Context,
    ) -> std::result::Result<Value, ExecuteError> {
        let token = context.fence.0;
        let task = context.task.as_str().to_owned();
        let takes = inputs.get("takes_us").and_then(Value::as_u64).unwrap_or(0);
        let saw = inputs
            .iter()
            .filter(|(name, _)| *name != "takes_us")
            .map(|(name, value)| (name.clone(), fingerprint(value).into()))
            .collect();
        let attempt = context.attempt;
        self.logs.happened(What::Start { task: task.clone(), token, attempt, saw });
        sleep(Duration::from_micros(takes)).await;
        // It says who made it, and no two are equal.
        let nonce = self.nonce.fetch_add(1, Ordering::Relaxed);
        let result = format!("{token}.{}.{nonce}.{}", std::process::id(), self.pad);
        let result = Value::String(result);
        self.logs.happened(What::End { task, token, result: fingerprint(&result) });
        Ok(result)
    }
}

/// Notes what the engine says of itself.
struct Witness(Arc<Logs>);

impl Observer for Witness {
    fn observe(&self, seen: &Seen<'_>) {
        match seen {
            Seen::Refused { why, .. } => self.0.happened(What::Refused { why: why.to_string() }),
            Seen::Lapsed { changed } if *changed > 0 => {
                self.0.happened(What::Lapsed { changed: *changed });
            }
            Seen::StoreFailed { doing, error } => self.0.happened(trouble(doing, error)),
            _ => {}
        }
    }
}

fn trouble(doing: &str, error: &StoreError) -> What {
    let kind = match error {
        StoreError::Full { .. } => "full",
        StoreError::Damaged { .. } => "damaged",
        StoreError::Corrupt { .. } => "corrupt",
        StoreError::Unavailable { .. } => "unavailable",
        StoreError::Conflict => "conflict",
        _ => "other",
    };
    What::Trouble { doing: doing.to_owned(), kind: kind.to_owned(), error: error.to_string() }
}
