//! A run as it stands: every task with its mark, its time and how far it is.

use std::{collections::HashMap, fmt::Write as _, time::Duration};

use anstyle::{AnsiColor, Style};
use apflow::core::{
    id::TaskId,
    store::{EventKind, TaskEvent},
    task::{Record, StateName},
    time::Timestamp,
};
use serde_json::Value;

use super::{plain, short, time};

/// As many lines as a live tree has at most.
const TALL: usize = 24;
/// As much of a message as a line shows.
const WIDE: usize = 100;

/// A task of a run.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Its id.
    pub(crate) id: TaskId,
    /// What it is called here.
    pub(crate) label: String,
    /// How deep it hangs.
    depth: usize,
    /// Where it stands.
    pub(crate) state: StateName,
    /// When its last attempt began.
    began: Option<Timestamp>,
    /// How long that attempt took.
    took: Option<Duration>,
    /// Why it failed, waits or is tried again.
    note: String,
    /// 0 to 1.
    done: f64,
    /// That it takes long has been said.
    slow: bool,
}

/// All tasks of a run, children under their parents.
#[derive(Debug, Default)]
pub(crate) struct Board {
    nodes: Vec<Node>,
    index: HashMap<TaskId, usize>,
}

impl Board {
    /// The board of these tasks: id, name, parent and where it stands.
    pub(crate) fn new(tasks: &[(TaskId, String, Option<TaskId>, StateName)]) -> Self {
        let mut children: HashMap<&TaskId, Vec<usize>> = HashMap::new();
        let known: HashMap<&TaskId, usize> =
            tasks.iter().enumerate().map(|(place, task)| (&task.0, place)).collect();
        let mut roots = Vec::new();
        for (place, (_, _, parent, _)) in tasks.iter().enumerate() {
            match parent.as_ref().filter(|parent| known.contains_key(parent)) {
                Some(parent) => children.entry(parent).or_default().push(place),
                None => roots.push(place),
            }
        }
        let mut board = Self::default();
        let mut left: Vec<(usize, usize)> = roots.into_iter().rev().map(|root| (root, 0)).collect();
        while let Some((place, depth)) = left.pop() {
            let (id, label, _, state) = &tasks[place];
            board.index.insert(id.clone(), board.nodes.len());
            board.nodes.push(Node {
                id: id.clone(),
                label: plain(label),
                depth,
                state: *state,
                began: None,
                took: None,
                note: String::new(),
                done: 0.0,
                slow: false,
            });
            let below = children.get(id).into_iter().flatten().rev();
            left.extend(below.map(|child| (*child, depth + 1)));
        }
        board
    }

    /// The tasks, parents before children.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// What a task is called here; its id if it is not of this run.
    pub(crate) fn label<'a>(&'a self, id: &'a TaskId) -> &'a str {
        self.index.get(id).map_or(id.as_str(), |place| self.nodes[*place].label.as_str())
    }

    /// Takes note of an event; returns the line it is worth, if it is.
    pub(crate) fn take(&mut self, event: &TaskEvent) -> Option<String> {
        let node = &mut self.nodes[*self.index.get(event.task.as_ref()?)?];
        let said =
            |name: &str| event.detail.get(name).and_then(|it| it.as_str()).unwrap_or_default();
        let ended = |node: &mut Node, state, note: &str| {
            node.state = state;
            node.took = node.began.map(|began| event.at.since(began));
            node.note = short(note, WIDE);
        };
        match event.kind {
            EventKind::Started => {
                node.state = StateName::Running;
                node.began = Some(event.at);
                node.took = None;
                node.note.clear();
                return None;
            }
            EventKind::Completed => ended(node, StateName::Completed, ""),
            EventKind::Failed => ended(node, StateName::Failed, said("message")),
            EventKind::Cancelled => ended(node, StateName::Cancelled, said("reason")),
            EventKind::Skipped => ended(node, StateName::Skipped, said("why")),
            EventKind::Retrying => {
                ended(node, StateName::Retrying, said("message"));
                let attempt = event.attempt;
                node.note = format!("attempt {attempt} failed, another follows {}", node.note);
            }
            EventKind::Parked => ended(node, StateName::Waiting, "waits for somebody"),
            EventKind::Requeued => ended(node, StateName::Ready, "taken up again"),
            EventKind::Answered => ended(node, StateName::Ready, "goes on"),
            EventKind::Reset => {
                node.state = StateName::Blocked;
                node.took = None;
                node.note.clear();
                return None;
            }
            EventKind::RunStarted
            | EventKind::RunFinished
            | EventKind::Paused
            | EventKind::Resumed
            | EventKind::BudgetNoticed
            | EventKind::Spawned
            | EventKind::Iterated
            | EventKind::Jumped
            | EventKind::SlotFired
            | EventKind::SlotSkipped
            | EventKind::ScheduleEnded => return None,
        }
        let at = event.at.to_string();
        Some(format!("{} {}", at.get(11..19).unwrap_or(&at), node.line(None)))
    }

    /// The board of tasks in the shape of the API, named by what is left of their ids after the run.
    pub(crate) fn of_answers(tasks: &[&Value], run: Option<&str>) -> Self {
        let text = |task: &Value, field: &str| task[field].as_str().unwrap_or_default().to_owned();
        let mut names: HashMap<String, usize> = HashMap::new();
        for task in tasks {
            *names.entry(text(task, "name")).or_default() += 1;
        }
        let nodes = tasks.iter().map(|task| {
            let (id, name) = (text(task, "id"), text(task, "name"));
            let key = run.and_then(|run| id.strip_prefix(run)?.strip_prefix('/'));
            // A name that two tasks have would not tell them apart.
            let unique = names.get(&name) == Some(&1);
            let label = key.unwrap_or(if unique { &name } else { &id }).to_owned();
            let parent = task["parent_id"].as_str().map(TaskId::from);
            (TaskId::new(id), label, parent, state_of(task))
        });
        let mut board = Self::new(&nodes.collect::<Vec<_>>());
        for task in tasks {
            board.see(task);
        }
        board
    }

    /// Takes note of how a task stands; returns its line if that is news.
    pub(crate) fn see(&mut self, task: &Value) -> Option<String> {
        let node = &mut self.nodes[*self.index.get(&TaskId::new(task["id"].as_str()?))?];
        let moment = |field: &str| task[field].as_str()?.parse::<Timestamp>().ok();
        let before = (node.state, node.note.clone());
        node.state = state_of(task);
        node.began = moment("started_at");
        node.done = task["progress"].as_f64().unwrap_or(0.0);
        node.took = took(task);
        let said = |field: &str| task["state"][field].as_str().unwrap_or_default();
        let error = task["error"].as_str().unwrap_or_default();
        node.note = match node.state {
            StateName::Failed => short(error, WIDE),
            StateName::Cancelled => short(said("reason"), WIDE),
            StateName::Skipped => short(said("why"), WIDE),
            StateName::Retrying => {
                let attempt = task["state"]["attempt"].as_u64().unwrap_or(0);
                short(&format!("attempt {attempt} failed, another follows {error}"), WIDE)
            }
            StateName::Waiting => "waits for somebody".to_owned(),
            _ => String::new(),
        };
        if before == (node.state, node.note.clone()) {
            return None;
        }
        let at = task["updated_at"].as_str().and_then(|at| at.get(11..19)).unwrap_or("--:--:--");
        Some(format!("{at} {}", node.line(None)))
    }

    /// Takes note of how far an attempt is.
    pub(crate) fn progress(&mut self, task: &TaskId, done: f64) {
        if let Some(place) = self.index.get(task) {
            self.nodes[*place].done = done;
        }
    }

    /// Lines for tasks that have run longer than `after` and of which that was not yet said.
    pub(crate) fn slow(&mut self, now: Timestamp, after: Duration) -> Vec<String> {
        let at = now.to_string();
        let clock = at.get(11..19).unwrap_or(&at);
        self.nodes
            .iter_mut()
            .filter(|node| node.state == StateName::Running && !node.slow)
            .filter(|node| node.began.is_some_and(|began| now.since(began) >= after))
            .map(|node| {
                node.slow = true;
                format!("{clock} {}", node.line(Some(now)))
            })
            .collect()
    }

    /// The tree as it stands; of a large one the part that moves.
    pub(crate) fn tree(&self, now: Timestamp) -> String {
        let mut text = String::new();
        if self.nodes.len() <= TALL {
            for node in &self.nodes {
                let _ = writeln!(text, "{}{}", "  ".repeat(node.depth), node.line(Some(now)));
            }
            return text;
        }
        let count = |state: StateName| self.nodes.iter().filter(|node| node.state == state).count();
        let _ = writeln!(
            text,
            "{} tasks: {} completed, {} failed, {} running",
            self.nodes.len(),
            count(StateName::Completed),
            count(StateName::Failed),
            count(StateName::Running)
        );
        let moving = [StateName::Failed, StateName::Running, StateName::Retrying];
        let shown = self.nodes.iter().filter(|node| moving.contains(&node.state)).take(TALL - 1);
        for node in shown {
            let _ = writeln!(text, "{}", node.line(Some(now)));
        }
        text
    }

    /// Corrects what the events left open by what is stored.
    pub(crate) fn settle(&mut self, records: &[Record]) {
        for record in records {
            if let Some(place) = self.index.get(&record.id) {
                self.nodes[*place].state = record.task.state.name();
            }
        }
    }
}

impl Node {
    fn line(&self, now: Option<Timestamp>) -> String {
        let (mark, style) = mark(self.state);
        let mut line = format!("{style}{mark}{style:#} {}", self.label);
        let running = self.state == StateName::Running;
        let since = |now: Timestamp| self.began.map(|began| now.since(began));
        if let Some(took) = self.took.or_else(|| now.filter(|_| running).and_then(since)) {
            let _ = write!(line, " {}", time(took));
        }
        if running && self.done > 0.0 {
            let _ = write!(line, " {:.0}%", self.done * 100.0);
        }
        if !self.note.is_empty() {
            let _ = write!(line, " ({})", self.note);
        }
        line
    }
}

/// The state of a task in the shape of the API; what is not known is told as begun by nobody.
pub(crate) fn state_of(task: &Value) -> StateName {
    let name = task["state"]["name"].as_str().and_then(StateName::parse);
    // A server of the Python version has no states.
    name.unwrap_or(match task["status"].as_str() {
        Some("in_progress") => StateName::Running,
        Some("completed") => StateName::Completed,
        Some("failed") => StateName::Failed,
        Some("cancelled") => StateName::Cancelled,
        _ => StateName::Created,
    })
}

/// How long the last attempt of a task took, in the shape of the API; none if it has not ended.
pub(crate) fn took(task: &Value) -> Option<Duration> {
    let moment = |field: &str| task[field].as_str()?.parse::<Timestamp>().ok();
    let ended = moment("completed_at").filter(|_| state_of(task).is_terminal())?;
    Some(ended.since(moment("started_at")?))
}

/// The sign of a state and its colour.
pub(crate) fn mark(state: StateName) -> (&'static str, Style) {
    let colour = |colour: AnsiColor| colour.on_default();
    match state {
        StateName::Created | StateName::Blocked | StateName::Ready => ("○", Style::new()),
        StateName::Running => ("●", colour(AnsiColor::Cyan)),
        StateName::Retrying => ("↻", colour(AnsiColor::Yellow)),
        StateName::Waiting => ("◷", colour(AnsiColor::Yellow)),
        StateName::Completed => ("✓", colour(AnsiColor::Green)),
        StateName::Failed => ("✗", colour(AnsiColor::Red)),
        StateName::Skipped => ("⊘", colour(AnsiColor::Yellow)),
        StateName::Cancelled => ("⊘", colour(AnsiColor::Yellow)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apflow::core::id::TreeId;
    use serde_json::{Value, json};

    fn board() -> Board {
        let task = |id: &str, parent: Option<&str>| {
            (TaskId::new(id), id.to_owned(), parent.map(TaskId::from), StateName::Ready)
        };
        Board::new(&[task("b", Some("a")), task("a", None), task("c", Some("b"))])
    }

    fn event(task: &str, kind: EventKind, at: i64, detail: Value) -> TaskEvent {
        let (tree, task) = (TreeId::new("a"), Some(TaskId::new(task)));
        TaskEvent { seq: 1, tree, task, kind, attempt: 1, at: Timestamp(at), detail }
    }

    fn bare(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn children_stand_under_their_parents_in_the_order_of_the_file() {
        let text = bare(&board().tree(Timestamp(0)));
        assert_eq!(text, "○ a\n  ○ b\n    ○ c\n");
    }

    #[test]
    fn an_end_is_a_line_with_its_moment_time_and_reason() {
        let mut board = board();
        assert_eq!(board.take(&event("c", EventKind::Started, 1_000_000, json!({}))), None);
        let failed = event("c", EventKind::Failed, 3_500_000, json!({"message": "no\u{7}"}));
        let line = board.take(&failed).map(|line| bare(&line));
        assert_eq!(line.as_deref(), Some("00:00:03 ✗ c 2.5 s (no\\u{7})"));
        assert_eq!(board.take(&event("x", EventKind::Failed, 0, json!({}))), None);
    }

    #[test]
    fn a_board_of_answers_tells_each_change_once() {
        let mut task = json!({"id": "r/a", "name": "a", "state": {"name": "running"},
            "started_at": "2026-11-20T15:26:11.000000+00:00", "progress": 0.5});
        let mut board = Board::of_answers(&[&task], Some("r"));
        assert_eq!(board.see(&task), None);
        task["state"]["name"] = json!("failed");
        task["error"] = json!("no\u{7}");
        for field in ["completed_at", "updated_at"] {
            task[field] = json!("2026-11-20T15:26:13.500000+00:00");
        }
        let line = board.see(&task).map(|line| bare(&line));
        assert_eq!(line.as_deref(), Some("15:26:13 ✗ a 2.5 s (no\\u{7})"));
        assert_eq!(board.see(&task), None);
        assert_eq!(state_of(&json!({"status": "in_progress"})), StateName::Running);
        assert_eq!(took(&task), Some(Duration::from_millis(2500)));
        assert_eq!(took(&json!({"status": "completed", "started_at": null})), None);
    }

    #[test]
    fn a_task_that_takes_long_is_told_once() {
        let mut board = board();
        board.take(&event("a", EventKind::Started, 0, json!({})));
        board.progress(&TaskId::new("a"), 0.4);
        let after = Duration::from_secs(30);
        assert!(board.slow(Timestamp(29_000_000), after).is_empty());
        let told: Vec<String> =
            board.slow(Timestamp(31_000_000), after).iter().map(|line| bare(line)).collect();
        assert_eq!(told, ["00:00:31 ● a 31.0 s 40%"]);
        assert!(board.slow(Timestamp(99_000_000), after).is_empty());
    }
}
