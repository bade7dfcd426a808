//! Tasks that are a workflow, a map or a saga, from a workflow file to what comes of them.

use std::sync::{Arc, Mutex};

use apflow_core::{
    engine::Engine,
    executor::{Context, ExecuteError},
    id::Ids,
    registry::Registry,
    store::Store,
    submit::Order,
    task::{Outcome, Record, Status},
    workflow::{Format, Workflow},
};
use apflow_storage::{OpenOptions, open};
use serde_json::{Map, Value, json};

struct Counting(std::sync::atomic::AtomicU64);

impl Ids for Counting {
    fn next(&self) -> String {
        format!("id-{}", self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}

/// What was done, in the order in which it was.
type Log = Arc<Mutex<Vec<String>>>;

/// `echo` answers its inputs, `fail` fails, `sum` adds up `items`, `share` counts in its channel;
/// each writes down its name.
fn engine(store: Arc<dyn Store>, log: &Log) -> Engine {
    let mut registry = Registry::new();
    let noted = |log: &Log, context: &Context| {
        log.lock().expect("whole").push(context.name.clone());
    };
    let own = Arc::clone(log);
    registry.function("echo", "Answers its inputs.", move |inputs: Value, context: Context| {
        noted(&own, &context);
        async move { Ok(inputs) }
    });
    let own = Arc::clone(log);
    registry.function("fail", "Fails.", move |inputs: Value, context: Context| {
        noted(&own, &context);
        async move {
            if inputs["good"] == true {
                return Ok(Value::Null);
            }
            Err::<Value, _>(ExecuteError::permanent("boom"))
        }
    });
    let own = Arc::clone(log);
    registry.function("sum", "Adds up.", move |inputs: Value, context: Context| {
        noted(&own, &context);
        let items = inputs["items"].as_array().cloned().unwrap_or_default();
        let sum: i64 = items.iter().filter_map(|item| item["n"].as_i64()).sum();
        async move { Ok(json!({ "sum": sum })) }
    });
    let own = Arc::clone(log);
    registry.function("share", "Counts.", move |_: Value, context: Context| {
        noted(&own, &context);
        async move {
            let here = context.channel().add("n", 1).await?;
            let part = context.channel().space("part")?.add("n", 10).await?;
            Ok::<Value, ExecuteError>(json!({ "here": here, "part": part }))
        }
    });
    let ids = Arc::new(Counting(0.into()));
    Engine::builder(store, ids).registry(registry).build()
}

struct Ran {
    outcome: Option<Outcome>,
    tasks: Vec<Record>,
    log: Vec<String>,
}

impl Ran {
    fn task(&self, name: &str) -> &Record {
        self.tasks.iter().find(|task| task.definition.name == name).expect("there is such a task")
    }

    fn result(&self, name: &str) -> Value {
        self.task(name).result.clone().unwrap_or_default()
    }
}

async fn run_on(store: Arc<dyn Store>, file: &str, more: impl FnOnce(&mut Order)) -> Ran {
    let log = Log::default();
    let engine = engine(store, &log);
    let _worker = engine.work();
    let workflow = Workflow::parse(file, Format::Yaml).expect("a workflow");
    let mut order = workflow.order(Map::new(), "r").expect("its tasks");
    order.start = true;
    more(&mut order);
    let inserted = engine.submit(order).await.expect("it is stored");
    let mut outcome = None;
    let mut tasks = Vec::new();
    for (tree, root) in inserted.trees.iter().zip(&inserted.roots) {
        let run = engine.wait(tree).await.expect("it ends");
        if outcome.is_none() || run.outcome != Some(Outcome::Completed) {
            outcome = run.outcome;
        }
        tasks.extend(engine.store().subtree(root).await.expect("they are there"));
    }
    let log = log.lock().expect("whole").clone();
    Ran { outcome, tasks, log }
}

async fn stores() -> Vec<Arc<dyn Store>> {
    let addresses = [
        "sqlite::memory:".to_owned(),
        #[cfg(feature = "postgres")]
        crate::pg::fresh().await,
    ];
    let mut all = Vec::new();
    for address in addresses {
        all.push(open(&address, OpenOptions::default()).await.expect("opens"));
    }
    all
}

const NESTED: &str = r#"
tasks:
  load: {executor: echo, inputs: {order: 1000}}
  validation:
    needs: [load]
    workflow:
      inputs: {order: 0}
      tasks:
        schema: {executor: echo, inputs: {order: "${inputs.order}"}}
        values: {executor: echo, needs: [schema], inputs: {ok: true}}
    with: {order: "{{ results.load.order }}"}
    outputs: {order: "{{ results.schema.order }}", ok: "{{ results.values.ok }}"}
  transformation:
    needs: [validation]
    workflow:
      tasks:
        normalize: {executor: echo}
        enrich: {executor: echo, needs: [normalize], inputs: {rich: 1}}
  save: {executor: echo, needs: [transformation]}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s17_workflows_inside_run_in_order_and_map_inputs_and_outputs() {
    for store in stores().await {
        let ran = run_on(store, NESTED, |_| {}).await;
        assert_eq!(ran.outcome, Some(Outcome::Completed));
        assert_eq!(ran.log, ["load", "schema", "values", "normalize", "enrich", "save"]);
        assert_eq!(ran.result("validation"), json!({"order": 1000, "ok": true}));
        assert_eq!(ran.result("transformation")["enrich"]["rich"], 1);
        let tree = |name: &str| ran.task(name).tree_id.clone();
        assert_eq!(tree("schema"), tree("validation"), "one trace");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inner_failure_fails_the_outer_task_and_says_where_it_was() {
    let file = r"
tasks:
  outer:
    workflow:
      tasks:
        first: {executor: echo}
        middle:
          needs: [first]
          workflow:
            tasks:
              many:
                map: {over: [1, 2], each: {workflow: {tasks: {leaf: {executor: fail}}}}}
        never: {executor: echo, needs: [middle]}
  after: {executor: echo, needs: [outer]}
";
    for store in stores().await {
        let ran = run_on(store, file, |_| {}).await;
        assert_eq!(ran.outcome, Some(Outcome::Failed));
        let outer = ran.task("outer");
        assert_eq!(outer.task.state.status(), Status::Failed);
        let error = outer.error.as_deref().unwrap_or_default();
        assert_eq!(error, "in middle/many/[0]/leaf: boom (and 1 more failed)");
        assert!(!ran.log.iter().any(|name| name == "never" || name == "after"), "{:?}", ran.log);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workflows_inside_share_no_channel_and_what_is_in_one_does() {
    let file = r"
tasks:
  root: {executor: echo}
  one:
    parent: root
    workflow: {tasks: {a: {executor: share}, b: {executor: share, needs: [a]}}}
  two:
    parent: root
    needs: [one]
    workflow: {tasks: {c: {executor: share}}}
  open:
    parent: root
    needs: [two]
    params: {channel: shared}
    workflow: {tasks: {d: {executor: share}}}
  outside: {parent: root, executor: share, needs: [open]}
";
    for store in stores().await {
        let ran = run_on(store, file, |_| {}).await;
        assert_eq!(ran.outcome, Some(Outcome::Completed));
        let found =
            |name: &str| (ran.result(name)["here"].clone(), ran.result(name)["part"].clone());
        assert_eq!(found("b"), (json!(2), json!(20)));
        assert_eq!(found("c"), (json!(1), json!(10)));
        assert_eq!(found("d"), (json!(1), json!(10)));
        assert_eq!(found("outside"), (json!(2), json!(20)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_map_runs_each_element_and_brings_them_together_in_their_order() {
    let file = r#"
tasks:
  numbers: {executor: echo, inputs: {list: [3, 1, 2]}}
  total:
    needs: [numbers]
    map:
      over: "{{ results.numbers.list }}"
      max_parallel: 2
      each: {name: one, executor: echo, inputs: {n: "{{ times(item, 10) }}", at: "{{ index }}"}}
      reduce: {executor: sum}
  listed:
    needs: [numbers]
    map:
      over: "{{ results.numbers.list }}"
      each: {executor: echo, inputs: {n: "{{ item }}"}}
      reduce: "{{ items|map(attribute='n')|join('-') }}"
  none:
    map: {over: [], each: {executor: echo}}
"#;
    for store in stores().await {
        let ran = run_on(store, file, |_| {}).await;
        assert_eq!(ran.outcome, Some(Outcome::Completed));
        assert_eq!(ran.result("total"), json!({"sum": 60}));
        assert_eq!(ran.result("listed"), json!("3-1-2"));
        assert_eq!(ran.result("none"), json!({"results": [], "failed": []}));
        assert_eq!(ran.result("one[0]")["n"], 30);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_map_forgives_as_many_as_its_policy_says() {
    let file = |policy: &str| {
        format!(
            "tasks:\n  m:\n    map: {{over: [true, false, true], policy: {policy}, \
             each: {{executor: fail, inputs: {{good: '{{{{ item }}}}'}}}}}}\n"
        )
    };
    for store in stores().await {
        let ran = run_on(Arc::clone(&store), &file("{at_least: 2}"), |_| {}).await;
        assert_eq!(ran.outcome, Some(Outcome::Completed), "{:?}", ran.task("m").error);
        let failed = json!([{"index": 1, "error": "boom"}]);
        assert_eq!(ran.result("m")["failed"], failed);
    }
    for store in stores().await {
        let ran = run_on(store, &file("strict"), |_| {}).await;
        assert_eq!(ran.outcome, Some(Outcome::Failed));
        assert_eq!(ran.task("m").error.as_deref(), Some("in [1]: boom"));
    }
}

const ORDER: &str = r#"
tasks:
  order:
    inputs: {id: 7}
    saga:
      steps:
        - {name: reserve, executor: echo, inputs: {order: "{{ inputs.id }}"},
           compensate: {name: release, executor: echo, inputs: {of: "{{ result.order }}"}}}
        - {name: charge, executor: echo, inputs: {order: "{{ results.reserve.order }}"},
           compensate: {name: refund, executor: fail, retry: {max_attempts: 1}}}
        - {name: notify, executor: echo, compensate: {name: unsay, executor: echo}}
        - {name: ship, executor: fail, compensate: {name: recall, executor: echo}}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saga_undoes_what_was_done_the_last_step_first() {
    for store in stores().await {
        let ran = run_on(store, ORDER, |_| {}).await;
        assert_eq!(ran.outcome, Some(Outcome::Failed));
        let done = ["reserve", "charge", "notify", "ship", "unsay", "refund", "release"];
        assert_eq!(ran.log, done);
        let order = ran.task("order");
        let error = order.error.as_deref().unwrap_or_default();
        assert_eq!(error, "in ship: boom; could not be undone: charge");
        let result = ran.result("order");
        assert_eq!(result["compensated"], json!(["notify", "reserve"]));
        assert_eq!(result["not_compensated"], json!([{"step": "charge", "error": "boom"}]));
        assert_eq!(ran.result("release"), json!({"of": 7}));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saga_turns_back_also_where_the_tree_stops_at_the_first_failure() {
    for store in stores().await {
        let ran = run_on(store, ORDER, |order| {
            order.options.on_failure = apflow_core::task::OnFailure::FailFast;
        })
        .await;
        assert_eq!(ran.outcome, Some(Outcome::Failed));
        assert_eq!(ran.log.last().map(String::as_str), Some("release"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saga_that_goes_well_undoes_nothing() {
    let file = ORDER.replace("name: ship, executor: fail", "name: ship, executor: echo");
    for store in stores().await {
        let ran = run_on(store, &file, |_| {}).await;
        assert_eq!(ran.outcome, Some(Outcome::Completed));
        assert_eq!(ran.log, ["reserve", "charge", "notify", "ship"]);
        assert_eq!(ran.result("order")["results"]["charge"], json!({"order": 7}));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workflows_inside_one_another_end_at_a_depth_of_their_own_kind() {
    let file = r"
tasks:
  a: {workflow: {tasks: {b: {workflow: {tasks: {c: {workflow: {tasks: {d: {executor: echo}}}}}}}}}}
";
    for store in stores().await {
        let ran = run_on(store, file, |order| order.options.max_depth = Some(2)).await;
        assert_eq!(ran.outcome, Some(Outcome::Failed));
        assert!(ran.log.is_empty());
        let inner = ran.task("c").error.clone().unwrap_or_default();
        assert!(inner.contains("max_depth"), "{inner}");
        let outer = ran.task("a").error.clone().unwrap_or_default();
        assert!(outer.starts_with("in b/c: "), "{outer}");
    }
}
