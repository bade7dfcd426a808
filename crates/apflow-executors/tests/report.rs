//! `report_executor` from outside.

#![expect(clippy::expect_used, reason = "a helper of tests may panic")]

use apflow_core::{executor::Executor as _, task::FailureKind};
use apflow_executors::report::Report;
use serde_json::{Value, json};

use crate::{failed_as, run};

async fn page(inputs: Value) -> String {
    let result = run(&Report::new(), inputs).await.expect("a report");
    result["markdown"].as_str().expect("a text").to_owned()
}

async fn section(section: Value, result: Value) -> String {
    let page = page(json!({"title": "T", "sections": [section], "r/t": result})).await;
    page.strip_prefix("# T\n\n## H\n\n").expect("a heading").to_owned()
}

#[tokio::test]
async fn a_section_finds_its_result_by_key_and_says_if_there_is_none() {
    let sections = json!([
        {"heading": "A", "from": "a"},
        {"heading": "B", "from": "run/b"},
        {"heading": "C", "from": "c"},
    ]);
    let inputs = json!({"title": "T", "sections": sections, "run/a": "one", "run/b": "two"});
    let result = run(&Report::new(), inputs).await.expect("a report");
    assert_eq!(
        result["markdown"],
        "# T\n\n## A\n\none\n\n## B\n\ntwo\n\n## C\n\n_Not available: `c` has no result._\n"
    );
    assert_eq!((&result["sections"], &result["missing"]), (&json!(3), &json!(["c"])));
    assert!(Report::new().manifest().aggregates, "results must come under their ids");
}

#[tokio::test]
async fn an_input_of_the_report_itself_is_no_result() {
    let inputs = json!({"title": "T", "sections": [{"heading": "H", "from": "title"}]});
    assert!(page(inputs).await.contains("Not available"));
}

#[tokio::test]
async fn the_greatest_numbers_come_first_wherever_they_stand_in_the_line() {
    let top =
        json!({"heading": "H", "from": "t", "style": "top", "limit": 2, "columns": ["what", "n"]});
    let expected = "| what | n |\n|---|---|\n| b c | 12 |\n| a | 3 |\n\n… and 1 more.\n";
    let front = json!({"stdout": "   3\ta\n  12\tb c\n   1\tz\nno number\n"});
    assert_eq!(section(top.clone(), front).await, expected);
    let back = json!({"stdout": "a:3\nb c:12\nz:1"});
    assert_eq!(section(top, back).await, expected);
}

#[tokio::test]
async fn paths_are_counted_by_extension() {
    let top = json!({"heading": "H", "from": "t", "style": "top", "by": "extension"});
    let text = "src/a.rs\nb.rs\nx/Makefile\n.gitignore\nc.tar.gz";
    assert_eq!(
        section(top, json!(text)).await,
        "|  |  |\n|---|---|\n| (none) | 2 |\n| .rs | 2 |\n| .gz | 1 |\n"
    );
}

#[tokio::test]
async fn an_object_is_a_table_of_its_fields_and_many_lines_are_a_block() {
    let table =
        json!({"heading": "H", "from": "t", "style": "table", "columns": ["fact", "value"]});
    let facts = json!({"cpu": {"cores": 2}, "name": "x"});
    assert_eq!(
        section(table, facts).await,
        "| fact | value |\n|---|---|\n| cpu.cores | 2 |\n| name | x |\n"
    );
    let text = json!({"heading": "H", "from": "t"});
    assert_eq!(section(text.clone(), json!("a\n```\nb")).await, "````text\na\n```\nb\n````\n");
    assert_eq!(section(text, json!({"stdout": ""})).await, "Nothing.\n");
    let count = json!({"heading": "H", "from": "t", "style": "count"});
    assert_eq!(section(count, json!("a\n\nb\n")).await, "2\n");
}

#[tokio::test]
async fn a_result_cannot_break_out_of_its_cell() {
    let table = json!({"heading": "H", "from": "t", "style": "table"});
    let text = section(table, json!({"a|b": "<script>\n# x\u{1b}[31m"})).await;
    assert_eq!(text, "|  |  |\n|---|---|\n| a\\|b | \\<script> # x \\[31m |\n");
}

#[tokio::test]
async fn what_a_section_cannot_be_is_named() {
    for (section, why) in [
        (json!({"from": "a"}), "sections[0].heading"),
        (json!({"heading": "A", "from": "a", "style": "pie"}), "text, table, top, count, json"),
        (json!({"heading": "A", "from": "a", "limit": 0}), "sections[0].limit"),
    ] {
        let outcome = run(&Report::new(), json!({"title": "T", "sections": [section]})).await;
        let message = failed_as(outcome, FailureKind::InvalidInput);
        assert!(message.contains(why), "{message}");
    }
}
