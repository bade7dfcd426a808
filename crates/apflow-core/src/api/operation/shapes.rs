//! The shapes of a task: as it is written, as it is changed, and as it is read.

use serde_json::{Value, json};

use super::words::{brief, flag, id, list_of, map, object, or_null, priority, status, text};
use crate::{
    id::MAX_ID_CHARS,
    schedule::{
        Kind, MAX_CATCH_UP, MAX_EXPRESSION_BYTES, MAX_JITTER_SECONDS, MAX_MISFIRE_WINDOW_SECONDS,
    },
    submit::{Limits, MAX_NO_RETRY, MAX_TIMEOUT_SECONDS},
    task::{MOST_CYCLES, Misfire, Overlap},
};

/// Tasks that come first, as an author names them.
pub(in crate::api) fn dependencies() -> Value {
    // What it does not know about an entry the engine keeps and shows again.
    let entry = json!({
        "type": "object",
        "properties": {
            "id": or_null(text("The id or name of the task.")),
            "name": or_null(text("The same, if there is no `id`.")),
            "required": or_null(flag("It must complete; otherwise it only has to end.", true)),
        },
        "anyOf": [
            {"required": ["id"], "properties": {"id": {"type": "string"}}},
            {"required": ["name"], "properties": {"id": {"type": "null"}, "name": {"type": "string"}}},
        ],
    });
    json!({ "type": "array", "description": "Tasks that come first, by id or name.",
        "maxItems": Limits::default().dependencies,
        "items": {"anyOf": [{"type": "string"}, entry]} })
}

/// What holds for each tree of a submission.
pub(in crate::api) fn options() -> Value {
    let words =
        |all: &[&str], says: &str| json!({"type": "string", "enum": all, "description": says});
    let mut options = object(&[
        (
            "on_failure",
            false,
            words(
                &["continue", "fail_fast", "skip_dependents"],
                "What one failure does to the rest.",
            ),
        ),
        (
            "structure_order",
            false,
            words(&["soft", "none"], "Whether a parent waits for its children."),
        ),
        ("timeout_seconds", false, or_null(timeout("Longest time one run may take."))),
        ("max_steps", false, or_null(bound("Most iterations and jumps in one run."))),
        ("max_spawned", false, or_null(bound("Most tasks that one run may spawn."))),
        ("max_depth", false, or_null(bound("Most spawners above a spawned task."))),
    ]);
    options["description"] = json!("What holds for each tree.");
    options
}

/// A bound of a whole tree.
fn bound(description: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX, "description": description })
}

/// How a task goes round.
fn rounds() -> Vec<(&'static str, Value)> {
    let passes = |says: &str| {
        or_null(json!({ "type": "integer", "minimum": 1, "maximum": MOST_CYCLES,
            "description": says }))
    };
    let mut edge = object(&[
        ("to", false, or_null(id("The task it leads to; itself if nothing is said."))),
        ("while", true, brief("Asked after each pass, with its `result`.", 4096)),
        ("max", false, passes("Passes in one run, the first one included.")),
    ]);
    edge["description"] = json!("Goes round after a success as long as an expression holds.");
    vec![
        ("loop", or_null(edge)),
        ("max_cycles", passes("How often it may run in one run; 10 if nothing is said.")),
    ]
}

fn timeout(description: &str) -> Value {
    json!({ "type": "number", "exclusiveMinimum": 0, "maximum": MAX_TIMEOUT_SECONDS,
        "description": description })
}

pub(in crate::api) fn moment(description: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": description })
}

fn whole(description: &str, least: u32) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": i64::MAX, "description": description })
}

fn amount(description: &str) -> Value {
    json!({ "type": "number", "minimum": 0, "description": description })
}

fn word(all: &[&str], description: &str) -> Value {
    json!({ "type": "string", "enum": all, "description": description })
}

fn attempts() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": 100,
        "description": "Attempts in total." })
}

/// The fields of a schedule that both writing and changing take.
fn schedule() -> Vec<(&'static str, Value)> {
    let types = Kind::ALL.map(Kind::as_str);
    let (overlaps, misfires) =
        (Overlap::ALL.map(Overlap::as_str), Misfire::ALL.map(Misfire::as_str));
    let within = |least: f64, most: f64, says: &str| {
        or_null(json!({ "type": "number", "minimum": least, "maximum": most, "description": says }))
    };
    let catch_up = json!({ "type": "integer", "minimum": 1, "maximum": MAX_CATCH_UP,
        "description": "Missed slots that are made up for, at most." });
    vec![
        ("schedule_type", or_null(word(&types, "How `schedule_expression` is read."))),
        ("schedule_expression", or_null(brief("When it runs by itself.", MAX_EXPRESSION_BYTES))),
        ("schedule_enabled", or_null(flag("Whether it runs by itself.", false))),
        ("schedule_start_at", or_null(moment("Not before."))),
        ("schedule_end_at", or_null(moment("Not after."))),
        ("max_runs", or_null(whole("How often at most.", 1))),
        ("schedule_timezone", or_null(brief("The IANA name of its time zone.", 100))),
        (
            "schedule_overlap",
            or_null(word(&overlaps, "What a slot does while the last run goes on.")),
        ),
        ("schedule_misfire", or_null(word(&misfires, "What becomes of slots that were missed."))),
        (
            "schedule_misfire_window_seconds",
            within(1.0, MAX_MISFIRE_WINDOW_SECONDS, "How late a slot may still fire."),
        ),
        ("schedule_catch_up", or_null(catch_up)),
        (
            "schedule_jitter_seconds",
            within(0.0, MAX_JITTER_SECONDS, "At most so long after its slot it begins."),
        ),
    ]
}

/// One new task.
pub(in crate::api) fn task_in() -> Value {
    let token_usage = json!({
        "type": "object", "description": "Tokens counted so far.",
        "additionalProperties": or_null(json!({"type": "integer", "minimum": 0, "maximum": u64::MAX})),
    });
    let base = json!({
        "anyOf": [{"type": "number", "minimum": 0.1, "maximum": 3600}, {"const": 0}],
        "description": "Delay the strategy starts from, in seconds; 0 says nothing.",
    });
    let mut fields = vec![
        ("id", or_null(id("Its id; made up if there is none."))),
        ("parent_id", or_null(id("The task it hangs under, by id or name."))),
        ("task_tree_id", or_null(id("The id of its tree; a root may choose it."))),
        ("user_id", or_null(id("Owner."))),
        ("priority", or_null(priority())),
        ("dependencies", or_null(dependencies())),
        ("join", or_null(word(&["all", "any"], "Wait for all dependencies, or for any one."))),
        ("when", or_null(brief("The condition under which it runs at all.", 4096))),
        ("inputs", or_null(map("What the executor is given."))),
        ("params", or_null(map("How the executor is built; `executor_id` names it."))),
        ("schemas", or_null(map("`method` names the executor if `params` does not."))),
        ("timeout_seconds", or_null(timeout("Longest time one attempt may take."))),
        ("original_task_id", or_null(id("What it was copied from."))),
        ("origin_type", or_null(word(&["create", "copy"], "How it was made."))),
        ("placement_constraints", json!({"description": "Where it may run."})),
        ("idempotency_key", or_null(id("A key of the author's for this task."))),
        ("checkpoint_at", or_null(moment("When a checkpoint was written."))),
        ("resume_from", or_null(brief("The checkpoint to go on from.", MAX_ID_CHARS))),
        ("max_attempts", or_null(attempts())),
        ("backoff_strategy", or_null(backoff())),
        ("backoff_base_seconds", or_null(base)),
        ("max_retries", or_null(retries())),
        ("retry_policy", or_null(retry_policy())),
        ("token_usage", or_null(token_usage)),
        ("token_budget", or_null(whole("Most tokens it may use.", 0))),
        ("estimated_cost_usd", or_null(amount("What it is thought to cost."))),
        ("actual_cost_usd", or_null(amount("What it cost."))),
        ("cost_policy", or_null(brief("Name of a policy.", 100))),
        ("estimate_tokens", or_null(whole("Tokens one attempt is thought to need.", 0))),
    ];
    let begins = word(&["when_ready", "on_jump"], "Whether it waits for a jump to begin.");
    fields.push(("start", or_null(begins)));
    fields.extend(rounds());
    fields.extend(retries_and_times());
    fields.extend(schedule());
    fields.extend(super::flow::fields());
    let mut all = vec![("name", true, id("Display name."))];
    all.extend(fields.into_iter().map(|(name, schema)| (name, false, schema)));
    let mut task = object(&all);
    task["title"] = json!("NewTask");
    task
}

fn backoff() -> Value {
    word(&["fixed", "linear", "exponential"], "How the delay between attempts grows.")
}

/// New tasks in an array.
pub(in crate::api) fn tasks_in(description: &str) -> Value {
    json!({ "type": "array", "items": task_in(), "minItems": 1, "maxItems": Limits::default().tasks,
        "description": description })
}

/// The fields of a task that may change after it was stored.
pub(in crate::api) fn changes() -> Vec<(&'static str, Value)> {
    let base = json!({ "type": "number", "minimum": 0.1, "maximum": 3600,
        "description": "Delay the strategy starts from, in seconds." });
    let constraints = json!({ "type": "object", "description": "Where it may run." });
    let mut fields = vec![
        ("name", id("Display name.")),
        ("status", status()),
        ("priority", priority()),
        ("inputs", or_null(map("What the executor is given."))),
        ("params", or_null(map("How the executor is built."))),
        ("schemas", or_null(map("`method` names the executor."))),
        ("dependencies", or_null(changed_dependencies())),
        ("result", json!({"description": "The result; null clears it."})),
        ("error", or_null(text("The error; null clears it."))),
        (
            "progress",
            json!({"type": "number", "minimum": 0, "maximum": 1,
            "description": "How far it is."}),
        ),
        ("timeout_seconds", or_null(timeout("Longest time one attempt may take."))),
        ("join", word(&["all", "any"], "Wait for all dependencies, or for any one.")),
        ("when", or_null(brief("The condition under which it runs at all.", 4096))),
        ("placement_constraints", or_null(constraints)),
        ("max_attempts", or_null(attempts())),
        ("backoff_strategy", or_null(backoff())),
        ("backoff_base_seconds", or_null(base)),
        ("token_budget", or_null(whole("Most tokens it may use.", 1))),
        ("cost_policy", or_null(brief("Name of a policy.", 100))),
    ];
    fields.extend(rounds());
    fields.extend(retries_and_times());
    fields.extend(schedule());
    fields.extend(super::flow::fields());
    fields
}

/// The fields of retries and times that a new task and a stored one share.
fn retries_and_times() -> Vec<(&'static str, Value)> {
    let within = |least: f64, most: f64, says: &str| {
        or_null(json!({ "type": "number", "minimum": least, "maximum": most, "description": says }))
    };
    let jitter = json!({ "enum": ["none", "full", "bounded", true, false],
        "description": "How delays are spread; true means bounded." });
    let (most, length) = MAX_NO_RETRY;
    let no_retry_on = json!({ "type": "array", "maxItems": most,
        "items": { "type": "string", "minLength": 1, "maxLength": length },
        "description": "Kinds of failure and words of messages after which it is not tried again." });
    vec![
        ("backoff_max_seconds", within(0.1, 86_400.0, "The longest delay between attempts.")),
        ("backoff_factor", within(1.0, 100.0, "By how much an exponential delay grows.")),
        ("jitter", or_null(jitter)),
        ("no_retry_on", or_null(no_retry_on)),
        (
            "retry_deadline_seconds",
            or_null(timeout("Longest time from the first attempt to the beginning of the last.")),
        ),
        (
            "queue_timeout_seconds",
            or_null(timeout("Longest time from being ready to being taken by a worker.")),
        ),
        (
            "heartbeat_timeout_seconds",
            or_null(timeout("Longest time an attempt may go without reporting progress.")),
        ),
        (
            "deadline_seconds",
            or_null(timeout("Longest time from the first attempt to the end, over all attempts.")),
        ),
    ]
}

/// Attempts as Graflow counts them.
fn retries() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": 99,
        "description": "Attempts after the first one; `max_attempts` counts that one too." })
}

/// A retry policy as Graflow has it.
fn retry_policy() -> Value {
    let above = |says: &str| json!({ "type": ["number", "null"], "description": says });
    let mut policy = object(&[
        ("max_retries", false, or_null(retries())),
        ("initial_interval", false, above("The first delay, in seconds.")),
        ("backoff_factor", false, above("By how much the delay grows.")),
        ("max_interval", false, above("The longest delay, in seconds.")),
        (
            "jitter",
            false,
            or_null(json!({ "enum": ["none", "full", "bounded", true, false],
                "description": "Whether delays are spread." })),
        ),
    ]);
    policy["description"] = json!("How it is tried again, in the words of Graflow.");
    policy
}

/// Dependencies of a stored task: by id, since names belong to the submission they came with.
fn changed_dependencies() -> Value {
    let entry = json!({
        "type": "object", "required": ["id"],
        "properties": {
            "id": id("The task."),
            "required": or_null(flag("It must complete; otherwise it only has to end.", true)),
        },
    });
    json!({ "type": "array", "maxItems": Limits::default().dependencies,
        "description": "Tasks that come first, by id.",
        "items": {"anyOf": [id("The task."), entry]} })
}

/// A task as it is read. Custom fields may stand beside these.
pub(in crate::api) fn task() -> Value {
    let null_text = |says: &str| or_null(text(says));
    let null_moment = |says: &str| or_null(moment(says));
    let any = |says: &str| json!({ "description": says });
    let number = |says: &str| json!({ "type": "integer", "minimum": 0, "description": says });
    let states = [
        "created",
        "blocked",
        "ready",
        "retrying",
        "running",
        "waiting",
        "completed",
        "failed",
        "skipped",
        "cancelled",
    ];
    let state = json!({
        "type": "object", "required": ["name"],
        "properties": {"name": word(&states, "Where it stands in detail.")},
        "description": "Where it stands in detail: `name`, and what goes with it.",
    });
    let shown = json!({
        "type": "array", "items": {"anyOf": [
            {"type": "string"},
            {"type": "object", "required": ["id", "required"],
                "properties": {"id": {"type": "string"}, "required": {"type": "boolean"}}},
        ]},
        "description": "Tasks that come first.",
    });
    let progress = json!({ "type": "number", "minimum": 0, "maximum": 1,
        "description": "How far it is." });
    let origins = ["create", "link", "copy", "archive"];
    let fields = [
        ("id", text("Its id.")),
        ("parent_id", null_text("The task it hangs under.")),
        ("task_tree_id", text("Its tree.")),
        ("user_id", null_text("Owner.")),
        ("name", text("Display name.")),
        ("status", status()),
        ("priority", priority()),
        ("dependencies", shown),
        (
            "inputs",
            map("What the executor is given; after a run, with what came from dependencies."),
        ),
        ("params", map("How the executor is built.")),
        ("result", any("What the executor returned.")),
        ("error", null_text("Why there is no result.")),
        ("schemas", map("`method` names the executor if `params` does not.")),
        ("progress", progress),
        ("created_at", moment("When it was stored.")),
        ("started_at", null_moment("When it began.")),
        ("updated_at", moment("When it last changed.")),
        ("completed_at", null_moment("When it ended.")),
        ("has_children", flag_out("Others hang under it.")),
        ("original_task_id", null_text("What it was copied from or links to.")),
        ("origin_type", word(&origins, "How it was made.")),
        ("has_references", flag_out("Other tasks link to it.")),
        ("schedule_type", null_text("How `schedule_expression` is read.")),
        ("schedule_expression", null_text("When it runs by itself.")),
        ("schedule_enabled", flag_out("Whether it runs by itself.")),
        ("schedule_start_at", null_moment("Not before.")),
        ("schedule_end_at", null_moment("Not after.")),
        ("next_run_at", null_moment("The next time it runs by itself.")),
        ("last_run_at", null_moment("The last time it ran by itself.")),
        ("max_runs", or_null(number("How often at most."))),
        ("run_count", number("How often so far.")),
        ("lease_id", null_text("The lease of the attempt that runs.")),
        ("lease_expires_at", null_moment("When that lease ends.")),
        ("placement_constraints", any("Where it may run.")),
        ("attempt_id", number("The number of the last attempt.")),
        ("idempotency_key", null_text("The author's key.")),
        ("last_assigned_node", null_text("Who ran it last.")),
        ("checkpoint_at", null_moment("When a checkpoint was written.")),
        ("resume_from", null_text("The checkpoint to go on from.")),
        ("attempt_count", number("Attempts so far.")),
        ("max_attempts", number("Attempts in total.")),
        ("backoff_strategy", text("How the delay between attempts grows.")),
        ("backoff_base_seconds", amount("Delay the strategy starts from.")),
        ("token_usage", any("Tokens counted so far.")),
        ("token_budget", or_null(number("Most tokens it may use."))),
        ("estimated_cost_usd", or_null(amount("What it is thought to cost."))),
        ("actual_cost_usd", or_null(amount("What it cost."))),
        ("cost_policy", null_text("Name of a policy.")),
        ("estimate_tokens", or_null(number("Tokens one attempt is thought to need."))),
        ("schedule_timezone", null_text("Its time zone.")),
        ("schedule_overlap", null_text("What a slot does while the last run goes on.")),
        ("schedule_misfire", null_text("What becomes of slots that were missed.")),
        ("schedule_misfire_window_seconds", or_null(amount("How late a slot may still fire."))),
        ("schedule_catch_up", or_null(number("Missed slots that are made up for, at most."))),
        ("schedule_jitter_seconds", or_null(amount("At most so long after its slot it begins."))),
        ("timeout_seconds", or_null(amount("Longest time one attempt may take."))),
        ("backoff_max_seconds", or_null(amount("The longest delay between attempts."))),
        ("backoff_factor", or_null(amount("By how much an exponential delay grows."))),
        ("jitter", word(&["none", "full", "bounded"], "How delays are spread.")),
        (
            "no_retry_on",
            json!({ "type": "array", "items": { "type": "string" },
                "description": "After what it is not tried again." }),
        ),
        ("retry_deadline_seconds", or_null(amount("Until when an attempt may begin."))),
        ("queue_timeout_seconds", or_null(amount("Longest time without a worker."))),
        ("heartbeat_timeout_seconds", or_null(amount("Longest time without progress."))),
        ("deadline_seconds", or_null(amount("Longest time over all attempts."))),
        ("join", word(&["all", "any"], "Waits for all dependencies, or for any one.")),
        ("state", state),
    ];
    let fields: Vec<_> =
        fields.iter().map(|(name, schema)| (*name, true, schema.clone())).collect();
    let mut task = object(&fields);
    task["additionalProperties"] = json!(true);
    task["title"] = json!("Task");
    task
}

/// A boolean that is always there.
pub(in crate::api) fn flag_out(description: &str) -> Value {
    json!({ "type": "boolean", "description": description })
}

/// A task and everything below it.
pub(in crate::api) fn tree() -> Value {
    let mut tree = object(&[
        ("task", true, task()),
        ("children", true, json!({"type": "array", "items": {"$ref": "#"}})),
    ]);
    tree["title"] = json!("Tree");
    tree
}

/// A part of a list, with the size of the whole.
pub(in crate::api) fn page_of_tasks() -> Value {
    let number = |says: &str| json!({ "type": "integer", "minimum": 0, "description": says });
    let mut page = object(&[
        ("tasks", true, list_of(&task())),
        ("total", true, number("How many there are in all.")),
        ("limit", true, number("At most so many are here.")),
        ("offset", true, number("So many were skipped.")),
    ]);
    page["title"] = json!("TaskPage");
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{Call, wire},
        submit::{Reading, TASK_FIELDS, read_tasks},
    };

    fn names(schema: &Value) -> Vec<&str> {
        schema["properties"].as_object().expect("an object").keys().map(String::as_str).collect()
    }

    #[test]
    fn every_field_an_author_may_write_stands_in_the_schema_and_no_other() {
        let schema = task_in();
        let mut fields = TASK_FIELDS.to_vec();
        fields.sort_unstable();
        let mut named = names(&schema);
        named.sort_unstable();
        assert_eq!(named, fields, "`task_in` and TASK_FIELDS must name the same fields");
    }

    #[test]
    fn a_task_that_is_read_fits_its_schema_and_every_key_is_named() {
        let read = wire::task(&wire::tests::record("a", None));
        assert_eq!(crate::schema::check(&task(), &read), Ok(()));
        let schema = task();
        let mut named = names(&schema);
        named.sort_unstable();
        let mut keys: Vec<_> = read.as_object().expect("an object").keys().collect();
        keys.sort_unstable();
        assert_eq!(named, keys, "`task` must name every key of wire::task");
    }

    #[test]
    fn the_schema_of_a_new_task_and_its_reader_agree() {
        let fits = |task: &Value| crate::schema::check(&task_in(), task).is_ok();
        let reads = |task: &Value| read_tasks(task, &Reading::Strict).is_ok();
        for (field, good, bad) in [
            ("name", json!("é".repeat(255)), json!("é".repeat(256))),
            ("name", json!("a"), json!("")),
            ("id", json!(null), json!(1)),
            ("parent_id", json!(null), json!("")),
            ("user_id", json!("u"), json!([])),
            ("priority", json!(3), json!(4)),
            ("priority", json!(2.0), json!(2.5)),
            ("priority", json!(null), json!("high")),
            ("dependencies", json!([]), json!("a")),
            ("dependencies", json!(null), json!([1])),
            ("dependencies", json!([]), json!([{"required": true}])),
            ("dependencies", json!([]), json!([{"id": 1, "name": "x"}])),
            ("join", json!("any"), json!("some")),
            ("inputs", json!({"a": [1]}), json!([])),
            ("params", json!(null), json!("x")),
            ("timeout_seconds", json!(0.5), json!(0)),
            ("timeout_seconds", json!(31_536_000), json!(31_536_001)),
            ("origin_type", json!("copy"), json!("link")),
            ("schedule_type", json!("cron"), json!("hourly")),
            ("schedule_expression", json!("x".repeat(256)), json!("x".repeat(257))),
            ("schedule_enabled", json!(false), json!("no")),
            ("max_runs", json!(1), json!(0)),
            ("idempotency_key", json!("k"), json!("")),
            ("max_attempts", json!(100), json!(101)),
            ("max_attempts", json!(1), json!(0)),
            ("backoff_strategy", json!("linear"), json!("square")),
            ("backoff_base_seconds", json!(0), json!(0.01)),
            ("backoff_base_seconds", json!(3600), json!(3601)),
            ("token_usage", json!({"input": 3, "output": null}), json!({"input": -1})),
            ("token_usage", json!({}), json!(3)),
            ("token_budget", json!(0), json!(-1)),
            ("estimated_cost_usd", json!(0.5), json!(-0.5)),
            ("cost_policy", json!("p"), json!("")),
            ("limits", json!([{"key": "k", "max": 1}, {"key": "l"}]), json!([{"max": 1}])),
            ("limits", json!(null), json!([{"key": "k", "max": 0}])),
            ("rate", json!([{"key": "k", "limit": 1, "per": "1m"}]), json!([{"key": "k"}])),
            ("breaker", json!(true), json!({"threshold": 0})),
            ("breaker", json!({"reset": "30s"}), json!({"colour": 1})),
        ] {
            let mut task = json!({ "name": "n" });
            task[field] = good;
            assert!(fits(&task) && reads(&task), "{task}");
            let mut task = json!({ "name": "n" });
            task[field] = bad;
            assert!(!fits(&task) && !reads(&task), "{task}");
        }
        let unknown = json!({"name": "n", "colour": 1});
        assert!(!fits(&unknown) && !reads(&unknown));
    }

    #[test]
    fn the_schema_of_a_change_and_its_reader_agree() {
        let schema =
            crate::api::Operation::find("tasks.update").expect("it is there").input_schema();
        let change = |field: &str, value: Value| {
            let mut params = json!({ "task_id": "a" });
            params[field] = value;
            params
        };
        let fits = |params: &Value| crate::schema::check(&schema, params).is_ok();
        let reads = |params: &Value| Call::read("tasks.update", params.clone()).is_ok();
        for (field, good, bad) in [
            ("name", json!("n"), json!(null)),
            ("name", json!("é".repeat(255)), json!("é".repeat(256))),
            ("status", json!("pending"), json!("done")),
            ("status", json!("failed"), json!(null)),
            ("priority", json!(0), json!(4)),
            ("priority", json!(3.0), json!(null)),
            ("inputs", json!(null), json!([])),
            ("params", json!({}), json!("x")),
            ("dependencies", json!(null), json!("a")),
            ("dependencies", json!(["a", {"id": "b"}]), json!([{"name": "b"}])),
            ("dependencies", json!([]), json!([""])),
            ("error", json!(null), json!(1)),
            ("progress", json!(1), json!(1.1)),
            ("progress", json!(0.5), json!(null)),
            ("timeout_seconds", json!(null), json!(0)),
            ("join", json!("any"), json!(null)),
            ("placement_constraints", json!(null), json!(1)),
            ("max_attempts", json!(null), json!(0)),
            ("max_attempts", json!(100), json!(101)),
            ("backoff_strategy", json!("fixed"), json!("square")),
            ("backoff_base_seconds", json!(0.1), json!(0)),
            ("token_budget", json!(1), json!(0)),
            ("schedule_type", json!("daily"), json!("hourly")),
            ("schedule_enabled", json!(null), json!("yes")),
            ("max_runs", json!(1), json!(0)),
            ("limits", json!(null), json!([{"key": ""}])),
            ("rate", json!([{"key": "k", "limit": 1, "per": 60}]), json!("1/s")),
            ("breaker", json!(false), json!({"half_open_max": 11})),
        ] {
            let (good, bad) = (change(field, good), change(field, bad));
            assert!(fits(&good) && reads(&good), "{good}");
            assert!(!fits(&bad) && !reads(&bad), "{bad}");
        }
    }
}
