//! Following runs until they have ended: events become progress, signals become cancellations.

use std::{
    collections::{HashMap, HashSet},
    io::IsTerminal as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use apflow::{
    core::{
        engine::Engine,
        id::{TaskId, TreeId},
        observe::{Observer, Seen},
        store::{Cancel, EventKind, Page, Signal, TaskFilter},
        task::{Outcome, Record},
        time::Clock as _,
    },
    system::SystemClock,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::{
    sync::{broadcast, mpsc},
    time::Instant,
};

use crate::{
    error::CliError,
    show::{self, tree::Board},
};

/// How often a live tree is drawn, and how soon after an event others are read with it.
const FRAME: Duration = Duration::from_millis(80);
/// How often the store is asked although nothing was heard.
const BACK_STOP: Duration = Duration::from_secs(1);
/// After how long a task is said to run long.
const SLOW: Duration = Duration::from_secs(30);
/// Events read at once.
const PAGE: u32 = 512;
/// Trees that are asked for one by one where nothing was heard.
const ASKED: usize = 64;

/// How the waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// Everything has ended.
    Over,
    /// Somebody interrupted, and everything has ended since.
    Interrupted,
    /// Somebody interrupted, and what runs is to go on later.
    Left,
    /// Somebody interrupted twice and does not want to wait.
    AtOnce,
    /// Time was over first.
    TimedOut,
}

/// What the first interruption means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnInterrupt {
    /// Cancel what is followed.
    Cancel,
    /// Leave it as it is for the next `resume`.
    Leave,
}

/// How far the attempts in this process are.
#[derive(Debug, Default)]
pub(crate) struct Gauge(Mutex<HashMap<TaskId, f64>>);

impl Observer for Gauge {
    fn observe(&self, seen: &Seen<'_>) {
        if let Seen::Progress { task, fraction, .. } = seen {
            let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            held.insert((*task).clone(), *fraction);
        }
    }
}

impl Gauge {
    fn read(&self) -> HashMap<TaskId, f64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Interruptions: Ctrl-C and SIGTERM.
pub(crate) struct Interrupts(mpsc::UnboundedReceiver<()>);

impl Interrupts {
    /// Begins to listen; from here on neither ends the process by itself.
    pub(crate) fn listen() -> Result<Self, CliError> {
        use tokio::signal::unix::{SignalKind, signal};
        let deaf = |error: std::io::Error| {
            CliError::internal("signals cannot be heard").because(error.to_string())
        };
        let mut interrupt = signal(SignalKind::interrupt()).map_err(deaf)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(deaf)?;
        let (tell, hear) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if tell.send(()).is_err() {
                    return;
                }
            }
        });
        Ok(Self(hear))
    }

    /// Returns at the next interruption.
    pub(crate) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Where progress is shown.
pub(crate) enum Screen {
    Live(ProgressBar),
    Lines,
    Nothing,
}

impl Screen {
    pub(crate) fn choose(quiet: bool) -> Self {
        if quiet {
            return Self::Nothing;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Lines;
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(12));
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        Self::Live(bar)
    }
}

/// Runs that are being followed.
pub(crate) struct Follow {
    engine: Engine,
    gauge: Arc<Gauge>,
    signals: broadcast::Receiver<Signal>,
    board: Board,
    roots: Vec<TaskId>,
    open: HashSet<TreeId>,
    outcomes: HashMap<TreeId, Outcome>,
    /// Events up to these are old news.
    seen: HashMap<TreeId, i64>,
    cursor: i64,
}

impl Follow {
    /// Follows these trees from where they stand; call it before anything more happens in them.
    ///
    /// `fresh` trees have only just begun, so that everything that happened in them is news.
    pub(crate) async fn begin(
        engine: &Engine,
        gauge: Arc<Gauge>,
        trees: &[TreeId],
        roots: Vec<TaskId>,
        board: Board,
        fresh: bool,
    ) -> Result<Self, CliError> {
        let signals = engine.store().signals();
        let mut seen = HashMap::new();
        let mut cursor = i64::MAX;
        for tree in trees {
            let at = if fresh {
                let first = engine.store().events(Some(tree), 0, 1).await?;
                first.first().map_or(0, |event| event.seq - 1)
            } else {
                newest(engine, tree).await?
            };
            cursor = cursor.min(at);
            seen.insert(tree.clone(), at);
            if fresh {
                // All trees of a submission began in one transaction, the first one first.
                seen.extend(trees.iter().map(|tree| (tree.clone(), at)));
                break;
            }
        }
        let open = trees.iter().cloned().collect();
        let outcomes = HashMap::new();
        let engine = engine.clone();
        Ok(Self { engine, gauge, signals, board, roots, open, outcomes, seen, cursor })
    }

    /// Waits for the end.
    pub(crate) async fn wait(
        &mut self,
        interrupts: &mut Interrupts,
        on_interrupt: OnInterrupt,
        timeout: Option<Duration>,
        quiet: bool,
    ) -> Result<Waited, CliError> {
        let screen = Screen::choose(quiet);
        let waited = self.wait_on(&screen, interrupts, on_interrupt, timeout).await;
        if let Screen::Live(bar) = &screen {
            bar.finish_and_clear();
            // Where data goes to the same terminal, it says the same once more.
            if waited.is_ok() && !std::io::stdout().is_terminal() {
                show::say(&self.board.tree(SystemClock.now()));
            }
        }
        waited
    }

    async fn wait_on(
        &mut self,
        screen: &Screen,
        interrupts: &mut Interrupts,
        on_interrupt: OnInterrupt,
        timeout: Option<Duration>,
    ) -> Result<Waited, CliError> {
        let give_up = timeout.map(|timeout| Instant::now() + timeout);
        let mut interrupted = false;
        let mut read_at = Instant::now();
        let mut asked_at = Instant::now() + BACK_STOP;
        loop {
            let now = Instant::now();
            if read_at <= now {
                self.read(screen).await?;
                read_at = now + BACK_STOP;
            }
            if asked_at <= now {
                self.ask().await?;
                asked_at = now + BACK_STOP;
            }
            self.draw(screen);
            if self.open.is_empty() {
                return Ok(if interrupted { Waited::Interrupted } else { Waited::Over });
            }
            let frame = if matches!(screen, Screen::Live(_)) { FRAME } else { BACK_STOP };
            let next = read_at.min(asked_at).min(now + frame).min(give_up.unwrap_or(read_at));
            tokio::select! {
                heard = self.signals.recv() => match heard {
                    // An end is shown at once; what leads to it may come together.
                    Ok(Signal::Finished(_)) | Err(broadcast::error::RecvError::Lagged(_)) => {
                        read_at = Instant::now();
                    }
                    Ok(Signal::Changed(_)) => read_at = read_at.min(Instant::now() + FRAME),
                    Ok(Signal::Ready | Signal::Stopped(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => tokio::time::sleep_until(next).await,
                },
                () = tokio::time::sleep_until(next) => {}
                () = interrupts.next() => {
                    if interrupted {
                        return Ok(Waited::AtOnce);
                    }
                    if on_interrupt == OnInterrupt::Leave {
                        return Ok(Waited::Left);
                    }
                    interrupted = true;
                    self.cancel().await?;
                    let text = "cancelling; interrupt again to leave at once";
                    match screen {
                        Screen::Live(bar) => bar.suspend(|| show::say(text)),
                        Screen::Lines | Screen::Nothing => show::say(text),
                    }
                    read_at = Instant::now();
                }
            }
            if give_up.is_some_and(|at| at <= Instant::now()) && !interrupted {
                self.read(screen).await?;
                return Ok(if self.open.is_empty() { Waited::Over } else { Waited::TimedOut });
            }
        }
    }

    async fn cancel(&self) -> Result<(), CliError> {
        let reason = "interrupted";
        let wish = |task: &TaskId| Cancel { task: task.clone(), reason: reason.to_owned() };
        self.engine.cancel(self.roots.iter().map(wish).collect()).await?;
        Ok(())
    }

    async fn read(&mut self, screen: &Screen) -> Result<(), CliError> {
        loop {
            let events = self.engine.store().events(None, self.cursor, PAGE).await?;
            let Some(last) = events.last() else { return Ok(()) };
            self.cursor = last.seq;
            let full = events.len() >= PAGE as usize;
            for event in &events {
                if self.seen.get(&event.tree).is_none_or(|seen| event.seq <= *seen) {
                    continue;
                }
                if event.kind == EventKind::RunFinished {
                    let word = event.detail.get("outcome").and_then(|word| word.as_str());
                    self.ended(&event.tree, word.and_then(Outcome::parse));
                }
                let line = self.board.take(event);
                if let (Some(line), Screen::Lines) = (line, screen) {
                    show::say(&line);
                }
            }
            if !full {
                return Ok(());
            }
        }
    }

    fn ended(&mut self, tree: &TreeId, outcome: Option<Outcome>) {
        if self.open.remove(tree) {
            self.outcomes.insert(tree.clone(), outcome.unwrap_or(Outcome::Failed));
        }
    }

    /// Asks how some of the trees stand, in case their end went by unheard.
    async fn ask(&mut self) -> Result<(), CliError> {
        let some: Vec<TreeId> = self.open.iter().take(ASKED).cloned().collect();
        for tree in some {
            let run = self.engine.store().run_of_tree(&tree).await?;
            if let Some(run) = run.filter(|run| !run.running)
                && run.outcome.is_some()
            {
                self.ended(&tree, run.outcome);
            }
        }
        Ok(())
    }

    fn draw(&mut self, screen: &Screen) {
        if matches!(screen, Screen::Nothing) {
            return;
        }
        for (task, done) in self.gauge.read() {
            self.board.progress(&task, done);
        }
        match screen {
            Screen::Live(bar) => {
                let tree = self.board.tree(SystemClock.now());
                bar.set_message(tree.trim_end().to_owned());
                bar.tick();
            }
            Screen::Lines => {
                for line in self.board.slow(SystemClock.now(), SLOW) {
                    show::say(&line);
                }
            }
            Screen::Nothing => {}
        }
    }

    /// The worst of the outcomes.
    pub(crate) fn outcome(&self) -> Outcome {
        let has = |outcome| self.outcomes.values().any(|it| *it == outcome);
        [Outcome::Failed, Outcome::Cancelled]
            .into_iter()
            .find(|it| has(*it))
            .unwrap_or(Outcome::Completed)
    }

    /// Everything stored of the tasks that are followed, in the order of the board.
    pub(crate) async fn records(&mut self) -> Result<Vec<Record>, CliError> {
        let ids: Vec<TaskId> = self.board.nodes().iter().map(|node| node.id.clone()).collect();
        let mut found = HashMap::with_capacity(ids.len());
        for some in ids.chunks(500) {
            let filter = TaskFilter { ids: some.to_vec(), ..TaskFilter::default() };
            let page = Page { limit: Page::MAX, offset: 0 };
            let records = self.engine.store().list(&filter, page).await?;
            found.extend(records.into_iter().map(|record| (record.id.clone(), record)));
        }
        let records: Vec<Record> = ids.iter().filter_map(|id| found.remove(id)).collect();
        self.board.settle(&records);
        Ok(records)
    }

    /// The tasks as they were last seen.
    pub(crate) fn board(&self) -> &Board {
        &self.board
    }
}

/// The position of the last event of a tree.
async fn newest(engine: &Engine, tree: &TreeId) -> Result<i64, CliError> {
    let mut at = 0;
    loop {
        let events = engine.store().events(Some(tree), at, PAGE).await?;
        let Some(last) = events.last() else { return Ok(at) };
        at = last.seq;
    }
}
