//! Watching trees through the door: how they stand, again whenever something happened in them.

use std::{collections::HashMap, io::IsTerminal as _, time::Duration};

use apflow::{
    core::{
        task::{Outcome, StateName},
        time::Clock as _,
    },
    system::SystemClock,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    door::Door,
    error::CliError,
    follow::{Interrupts, OnInterrupt, Screen, Waited},
    show::{
        self,
        sheet::rows_of,
        tree::{Board, state_of},
    },
};

/// How soon one looks again where something has just happened.
const SOON: Duration = Duration::from_millis(100);
/// How long one waits at most where nothing happens.
const LATE: Duration = Duration::from_secs(3);
/// Trees whose events are read one by one; more are asked how they stand.
const TREES: usize = 16;
/// How often a live tree is drawn.
const FRAME: Duration = Duration::from_millis(120);

/// Trees that are watched.
pub(crate) struct Watch<'a> {
    door: &'a Door,
    /// The tasks whose trees are watched.
    roots: Vec<String>,
    /// What their ids begin with, if it is one run.
    run: Option<String>,
    board: Board,
    tasks: Vec<Value>,
    /// How far the events of each tree were read.
    seen: HashMap<String, i64>,
    /// When each task last changed before this run began; what did not change since is not of it.
    before: HashMap<String, String>,
    /// Tell also that tasks began.
    every_change: bool,
    /// The longest time between two looks.
    late: Duration,
}

impl<'a> Watch<'a> {
    /// Looks at these trees for the first time.
    pub(crate) async fn begin(
        door: &'a Door,
        roots: Vec<String>,
        run: Option<&str>,
    ) -> Result<Self, CliError> {
        let mut watch = Self {
            door,
            roots,
            run: run.map(str::to_owned),
            board: Board::default(),
            tasks: Vec::new(),
            seen: HashMap::new(),
            before: HashMap::new(),
            every_change: false,
            late: LATE,
        };
        watch.look().await?;
        watch.board = Board::of_answers(&watch.tasks.iter().collect::<Vec<_>>(), run);
        Ok(watch)
    }

    /// From here on a run begins: what does not change any more is not of it.
    pub(crate) fn a_run_begins(&mut self) {
        let changed = |task: &Value| {
            let text = |field: &str| task[field].as_str().unwrap_or_default().to_owned();
            (text("id"), text("updated_at"))
        };
        self.before = self.tasks.iter().map(changed).collect();
    }

    /// Tells every change, and looks at least so often.
    pub(crate) fn closely(mut self, every: Duration) -> Self {
        self.every_change = true;
        self.late = every;
        self
    }

    /// The tasks as they were last seen, parents before children.
    pub(crate) fn tasks(&self) -> &[Value] {
        &self.tasks
    }

    /// Where the trees are.
    pub(crate) fn door(&self) -> &'a Door {
        self.door
    }

    /// The same with what they are called here.
    pub(crate) fn board(&self) -> &Board {
        &self.board
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
            if waited.is_ok() && (self.every_change || !std::io::stdout().is_terminal()) {
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
        let mut pause = SOON;
        let mut look_at = Instant::now();
        let mut interrupted = false;
        // One look reads tree after tree; only two that agree show that nothing moves.
        let mut still = false;
        loop {
            if look_at <= Instant::now() {
                let before = self.standing();
                if still || self.happened().await? {
                    self.look().await?;
                }
                self.tell(screen);
                let same = before == self.standing();
                if same && !self.moves() {
                    let over = if interrupted { Waited::Interrupted } else { Waited::Over };
                    return Ok(over);
                }
                still = !self.moves();
                // A large tree is not read as often as a small one.
                let soon = SOON * u32::try_from(1 + self.tasks.len() / 200).unwrap_or(1);
                pause = if same && !still { pause * 3 / 2 } else { soon }.min(self.late);
                look_at = Instant::now() + pause;
            }
            if let Screen::Live(bar) = screen {
                bar.set_message(self.board.tree(SystemClock.now()).trim_end().to_owned());
                bar.tick();
            }
            let frame = match screen {
                Screen::Live(_) => Instant::now() + FRAME,
                Screen::Lines | Screen::Nothing => look_at,
            };
            let next = look_at.min(frame).min(give_up.unwrap_or(look_at));
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = interrupts.next() => {
                    if interrupted {
                        return Ok(Waited::AtOnce);
                    }
                    if on_interrupt == OnInterrupt::Leave {
                        return Ok(Waited::Left);
                    }
                    interrupted = true;
                    let wish = json!({ "task_ids": self.roots, "error_message": "interrupted" });
                    self.door.call("tasks.cancel", wish).await?;
                    let text = "cancelling; interrupt again to leave at once";
                    match screen {
                        Screen::Live(bar) => bar.suspend(|| show::say(text)),
                        Screen::Lines | Screen::Nothing => show::say(text),
                    }
                    look_at = Instant::now();
                }
            }
            if give_up.is_some_and(|at| at <= Instant::now()) && !interrupted {
                return Ok(Waited::TimedOut);
            }
        }
    }

    /// Whether there may be something new.
    async fn happened(&mut self) -> Result<bool, CliError> {
        if self.roots.len() > TREES {
            return Ok(true);
        }
        let mut news = false;
        for tree in self.trees() {
            let after = self.seen.get(&tree).copied().unwrap_or(0);
            let Some(newest) = self.door.happened(&tree, after).await? else { return Ok(true) };
            // How far a running attempt is makes no event.
            news |=
                newest != after || self.tasks.iter().any(|it| state_of(it) == StateName::Running);
            self.seen.insert(tree, newest);
        }
        Ok(news)
    }

    fn trees(&self) -> Vec<String> {
        let mut trees: Vec<String> = self
            .tasks
            .iter()
            .filter_map(|it| Some(it["task_tree_id"].as_str()?.to_owned()))
            .collect();
        trees.sort_unstable();
        trees.dedup();
        trees
    }

    async fn look(&mut self) -> Result<(), CliError> {
        let mut tasks = Vec::with_capacity(self.tasks.len());
        for root in &self.roots {
            let tree = self.door.call("tasks.tree", json!({ "task_id": root })).await?;
            tasks.extend(rows_of(&tree).into_iter().cloned());
        }
        self.tasks = tasks;
        Ok(())
    }

    fn tell(&mut self, screen: &Screen) {
        if self.board.nodes().len() != self.tasks.len() {
            let tasks: Vec<&Value> = self.tasks.iter().collect();
            self.board = Board::of_answers(&tasks, self.run.as_deref());
        }
        for task in &self.tasks {
            let line = self.board.see(task);
            let begins = [StateName::Blocked, StateName::Ready, StateName::Running];
            let worth = self.every_change || !begins.contains(&state_of(task));
            if let (Some(line), Screen::Lines, true) = (line, screen, worth) {
                show::say(&line);
            }
        }
    }

    fn moves(&self) -> bool {
        self.tasks.iter().any(|task| state_of(task).is_live())
    }

    fn standing(&self) -> Vec<(StateName, String)> {
        let changed = |task: &Value| task["updated_at"].as_str().unwrap_or_default().to_owned();
        self.tasks.iter().map(|task| (state_of(task), changed(task))).collect()
    }

    /// How the run ended, as far as its tasks show it.
    pub(crate) fn outcome(&self) -> Outcome {
        let of_run = |task: &&Value| {
            let before = task["id"].as_str().and_then(|id| self.before.get(id));
            before.is_none_or(|before| task["updated_at"].as_str() != Some(before.as_str()))
        };
        let mut worst = Outcome::Completed;
        for task in self.tasks.iter().filter(of_run) {
            match state_of(task) {
                StateName::Failed => return Outcome::Failed,
                StateName::Blocked if task["state"]["failed"].as_u64() > Some(0) => {
                    return Outcome::Failed;
                }
                StateName::Cancelled | StateName::Skipped => worst = Outcome::Cancelled,
                _ => {}
            }
        }
        worst
    }
}
