//! Parked tasks: questions, events and pauses.

use serde_json::{Value, json};

use super::{
    Annotations, Category, Operation, READS, REPLACES, WRITES,
    words::{brief, flag, id, limit, list_of, number, object, owner, text},
};
use crate::{
    api::call::MAX_WHY,
    executor::MAX_TOPIC_CHARS,
    id::MAX_ID_CHARS,
    store::{Page, WaitState},
    task::WaitFor,
};

fn question() -> Value {
    id("The question.")
}

fn wait() -> Value {
    let words = |words: &[&str]| json!({ "type": "string", "enum": words });
    let moment = || json!({ "type": ["string", "null"], "format": "date-time" });
    let maybe = || json!({ "type": ["string", "null"] });
    object(&[
        ("id", true, text("The name it is answered under.")),
        ("task_id", true, text("The task that waits.")),
        ("tree_id", true, text("Its tree.")),
        ("name", true, text("The display name of the task.")),
        ("user_id", true, maybe()),
        ("run", true, number("Which run of the tree.")),
        ("key", true, text("Which wait of its task.")),
        ("for", true, words(&WaitFor::ALL.map(WaitFor::as_str))),
        ("state", true, words(&WaitState::ALL.map(WaitState::as_str))),
        ("detail", true, json!({ "description": "The question, the topic, or the run." })),
        ("on_timeout", true, json!({ "description": "What happens if nothing comes in time." })),
        ("escalated_to", true, maybe()),
        ("answer", true, json!({ "description": "What came, or why it was withdrawn." })),
        ("answered_by", true, maybe()),
        ("asked_at", true, text("When the task parked.")),
        ("until", true, moment()),
        ("answered_at", true, moment()),
        ("page", true, maybe()),
    ])
}

fn paused() -> Value {
    object(&[
        ("task_id", true, text("The task.")),
        ("tree_id", true, text("Its tree.")),
        ("paused", true, json!({ "type": "boolean" })),
        ("tasks", true, number("Ready tasks that are held back now, or were let go.")),
        ("changed", true, json!({ "type": "boolean" })),
    ])
}

fn pause() -> Value {
    object(&[("task_id", true, id("The task.")), ("tree", false, flag("Its whole tree.", false))])
}

const ANSWERS: Annotations = WRITES;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "tasks.pause",
        module: "apflow.task.pause",
        mcp: None,
        name: "Pause a task or a tree",
        description: "Holds a task or its whole tree back whenever it is ready; what runs is not stopped.",
        category: Category::AgentAction,
        tags: &["task", "pause", "hold"],
        annotations: REPLACES,
        examples: &[r#"{"task_id":"report"}"#, r#"{"task_id":"report","tree":true}"#],
        input: pause,
        output: paused,
    },
    Operation {
        id: "tasks.resume",
        module: "apflow.task.resume",
        mcp: None,
        name: "Resume a task or a tree",
        description: "Lets a paused task or tree go on.",
        category: Category::AgentAction,
        tags: &["task", "resume", "pause"],
        annotations: REPLACES,
        examples: &[r#"{"task_id":"report"}"#],
        input: pause,
        output: paused,
    },
    Operation {
        id: "feedback.list",
        module: "apflow.feedback.list",
        mcp: None,
        name: "List questions",
        description: "Reads the questions that tasks ask and that can be answered, oldest first.",
        category: Category::AgentAction,
        tags: &["feedback", "question", "list", "wait"],
        annotations: READS,
        examples: &["{}", r#"{"task_id":"approve","state":"answered"}"#],
        input: || {
            let words = |words: &[&str]| json!({ "type": "string", "enum": words });
            object(&[
                ("for", false, words(&WaitFor::ALL.map(WaitFor::as_str))),
                ("state", false, words(&WaitState::ALL.map(WaitState::as_str))),
                ("task_id", false, id("Only of this task.")),
                ("tree_id", false, id("Only of this tree.")),
                ("user_id", false, owner()),
                ("limit", false, limit(Page::default().limit)),
                ("offset", false, number("After so many.")),
            ])
        },
        output: || list_of(&wait()),
    },
    Operation {
        id: "feedback.get",
        module: "apflow.feedback.get",
        mcp: None,
        name: "Read a question",
        description: "Reads one question and its answer.",
        category: Category::AgentAction,
        tags: &["feedback", "question", "get"],
        annotations: READS,
        examples: &[r#"{"id":"0199aa"}"#],
        input: || object(&[("id", true, question())]),
        output: wait,
    },
    Operation {
        id: "feedback.respond",
        module: "apflow.feedback.respond",
        mcp: None,
        name: "Answer a question",
        description: "Answers a question of a task, which then goes on; the first answer counts.",
        category: Category::AgentAction,
        tags: &["feedback", "question", "answer", "approve"],
        annotations: ANSWERS,
        examples: &[
            r#"{"id":"0199aa","answer":true}"#,
            r#"{"id":"0199aa","approved":false,"reason":"too early"}"#,
        ],
        input: || {
            object(&[
                ("id", true, question()),
                (
                    "answer",
                    false,
                    json!({ "description": "The answer, as the question wants it." }),
                ),
                ("approved", false, json!({ "type": "boolean" })),
                ("reason", false, text("Why, with an approval.")),
                ("text", false, text("The answer to a question for a text.")),
                ("selected", false, text("The option that was chosen.")),
                ("selected_multiple", false, list_of(&json!({ "type": "string" }))),
                ("custom_data", false, json!({ "description": "JSON that fits the schema." })),
                ("responded_by", false, brief("Who says so.", MAX_ID_CHARS)),
            ])
        },
        output: wait,
    },
    Operation {
        id: "feedback.cancel",
        module: "apflow.feedback.cancel",
        mcp: None,
        name: "Withdraw a question",
        description: "Withdraws what a task waits for; the task goes on at once and is told so.",
        category: Category::AgentAction,
        tags: &["feedback", "question", "cancel"],
        annotations: ANSWERS,
        examples: &[r#"{"id":"0199aa","reason":"not needed"}"#],
        input: || {
            object(&[
                ("id", true, question()),
                ("reason", false, json!({ "type": "string", "maxLength": MAX_WHY })),
            ])
        },
        output: wait,
    },
    Operation {
        id: "events.publish",
        module: "apflow.event.publish",
        mcp: None,
        name: "Publish an event",
        description: "Wakes every task that waits for an event on this topic, and keeps the event for \
                      those who look back.",
        category: Category::AgentAction,
        tags: &["event", "publish", "topic", "wait"],
        annotations: WRITES,
        examples: &[r#"{"topic":"order.paid","payload":{"order":7},"key":"order-7-paid"}"#],
        input: || {
            object(&[
                ("topic", true, brief("What it is about.", MAX_TOPIC_CHARS)),
                ("payload", false, json!({ "description": "What goes with it." })),
                ("key", false, id("The same key on a topic is the same event.")),
            ])
        },
        output: || {
            object(&[
                ("id", true, text("The event, or the same one before.")),
                ("woken", true, number("Tasks that go on.")),
                ("replayed", true, json!({ "type": "boolean" })),
            ])
        },
    },
];
