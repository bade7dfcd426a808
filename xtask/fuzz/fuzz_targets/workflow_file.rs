//! Any text becomes a workflow, or problems that are named; never a panic.
#![no_main]

use apflow_core::workflow::{Format, Workflow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for format in [Format::Yaml, Format::Json] {
        match Workflow::parse(text, format) {
            Ok(workflow) => match workflow.order(serde_json::Map::new(), "run") {
                Ok(order) => assert!(!order.tasks.is_empty()),
                Err(problems) => assert!(!problems.0.is_empty()),
            },
            Err(problems) => assert!(!problems.0.is_empty()),
        }
    }
});
