//! Whether a task is to be tried: its own condition, and those on the edges that lead to it.
//!
//! A task asks when all it waits for has ended and a worker has taken it, so every result is there. The
//! answer depends on nothing else, so whoever asks again hears the same.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::{
    code::Code,
    dataflow,
    executor::Manifest,
    expression::Expression,
    problem::Problem,
    store::{Claimed, NeedResult},
    submit::TaskSpec,
    task::{Definition, Dependency, Failure, FailureKind, Join, StateName},
};

/// The key of a dependency's condition.
pub const WHEN: &str = "when";
/// The key of the name by which expressions call a dependency.
pub const AS: &str = "as";

/// What the conditions say.
#[derive(Debug, Clone, PartialEq)]
pub enum Judged<'a> {
    /// It is tried, with the results of these needs.
    Run(Cow<'a, [NeedResult]>),
    /// It is not, because of this.
    PassOver(String),
}

/// Whether a dependency of the task has a condition.
pub fn on_edges(spec: &TaskSpec) -> bool {
    spec.dependencies.iter().any(|reference| reference.extra.contains_key(WHEN))
}

/// Adds what is wrong with the conditions of one task.
pub(crate) fn check(spec: &TaskSpec, task: &str, problems: &mut Vec<Problem>) {
    let mut read = |field: String, text: &str| {
        if let Err(problem) = Expression::compile(text) {
            problems.push(problem.of_task(task).in_field(field));
        }
    };
    if let Some(when) = &spec.when {
        read(WHEN.to_owned(), when);
    }
    if let Some(edge) = &spec.loop_edge {
        read("loop.while".to_owned(), &edge.condition);
    }
    let mut wrong = Vec::new();
    for (place, reference) in spec.dependencies.iter().enumerate() {
        for key in [WHEN, AS] {
            let field = format!("dependencies[{place}].{key}");
            match reference.extra.get(key) {
                Some(Value::String(text)) if key == WHEN => read(field, text),
                None | Some(Value::String(_)) => {}
                Some(other) => wrong.push((field, other.to_string())),
            }
        }
    }
    problems.extend(wrong.into_iter().map(|(field, found)| {
        Problem::new(Code::InvalidExpression, "it is no text")
            .of_task(task)
            .in_field(field)
            .expecting("a text")
            .found(found)
    }));
}

/// Asks the conditions of a task that a worker has taken.
pub fn judge<'a>(
    claimed: &'a Claimed,
    manifests: &dyn Fn(&str) -> Option<Manifest>,
) -> Result<Judged<'a>, Failure> {
    let definition = &claimed.definition;
    let all = || Judged::Run(Cow::Borrowed(claimed.needs.as_slice()));
    let edges = definition.dependencies.iter().any(|entry| entry.extra.contains_key(WHEN));
    // A loop that goes round was let in already.
    if claimed.given.cycle > 0 {
        return Ok(all());
    }
    if definition.join == Join::Any && !edges && none_came_about(definition, &claimed.needs) {
        return Ok(Judged::PassOver("none of what it waits for came about".to_owned()));
    }
    if definition.when.is_none() && !edges {
        return Ok(all());
    }
    let mut context = context(claimed);
    let mut taken = Cow::Borrowed(claimed.needs.as_slice());
    if edges {
        match take_edges(claimed, &mut context)? {
            Ok(kept) => taken = Cow::Owned(kept),
            Err(why) => return Ok(Judged::PassOver(why)),
        }
    }
    if let Some(when) = &definition.when {
        context["inputs"] = Value::Object(dataflow::resolve(definition, &taken, manifests));
        context["result"] = Value::Null;
        if !expression(when)?.is_true(&context)? {
            return Ok(Judged::PassOver(format!("its condition `{when}` does not hold")));
        }
    }
    Ok(Judged::Run(taken))
}

/// Whether the loop of a task goes round once more after a pass with this result.
pub fn goes_round(
    claimed: &Claimed,
    inputs: &Map<String, Value>,
    result: &Value,
) -> Result<bool, Failure> {
    let Some(edge) = &claimed.definition.loop_edge else { return Ok(false) };
    let mut context = context(claimed);
    context["inputs"] = Value::Object(inputs.clone());
    context["result"] = result.clone();
    Ok(expression(&edge.condition)?.is_true(&context)?)
}

/// The needs whose edges are taken, or why the task is passed over.
fn take_edges(
    claimed: &Claimed,
    context: &mut Value,
) -> Result<Result<Vec<NeedResult>, String>, Failure> {
    let definition = &claimed.definition;
    let mut kept = Vec::with_capacity(claimed.needs.len());
    let mut one = false;
    for need in &claimed.needs {
        let entry = definition.dependencies.iter().find(|entry| entry.id == need.id);
        let when = entry.and_then(|entry| entry.extra.get(WHEN)).and_then(Value::as_str);
        let holds = match when {
            Some(when) if need.completed => {
                context["result"] = need.result.as_deref().cloned().unwrap_or_default();
                expression(when)?.is_true(context)?
            }
            _ => need.completed,
        };
        one |= holds;
        if holds || !need.completed {
            kept.push(need.clone());
        } else if definition.join == Join::All && entry.is_some_and(|entry| entry.required) {
            let why =
                format!("the condition `{}` on {} does not hold", when.unwrap_or(""), need.id);
            return Ok(Err(why));
        }
    }
    if definition.join == Join::Any && !one {
        return Ok(Err("no condition on what it waits for holds".to_owned()));
    }
    Ok(Ok(kept))
}

/// Nothing completed, and something that had to was passed over.
fn none_came_about(definition: &Definition, needs: &[NeedResult]) -> bool {
    let required = |need: &NeedResult| {
        definition.dependencies.iter().any(|entry| entry.id == need.id && entry.required)
    };
    needs.iter().all(|need| !need.completed)
        && needs.iter().any(|need| need.state == StateName::Skipped && required(need))
}

fn expression(text: &str) -> Result<Expression, Failure> {
    Expression::compile(text).map_err(|problem| {
        let why = format!("the condition `{text}` cannot be read: {}", problem.reason);
        Failure::new(FailureKind::Expression, why)
    })
}

/// How expressions call a dependency.
pub fn name_of(entry: &Dependency) -> &str {
    entry.extra.get(AS).and_then(Value::as_str).unwrap_or(entry.id.as_str())
}

/// What the names in an expression mean.
pub(crate) fn context(claimed: &Claimed) -> Value {
    let definition = &claimed.definition;
    let (mut results, mut states) = (Map::new(), Map::new());
    for need in &claimed.needs {
        let entry = definition.dependencies.iter().find(|entry| entry.id == need.id);
        let result = need.result.as_deref().cloned().unwrap_or_default();
        for name in [Some(need.id.as_str()), entry.map(name_of)].into_iter().flatten() {
            if need.completed {
                results.insert(name.to_owned(), result.clone());
            }
            states.insert(name.to_owned(), json!(need.state));
        }
    }
    json!({
        "inputs": definition.inputs,
        "results": results,
        "states": states,
        "result": null,
        "task": {"id": claimed.id, "name": definition.name, "user_id": definition.user_id},
        "run": {"tree": claimed.tree_id, "number": claimed.run},
        "cycle": claimed.given.cycle,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        executor::Given,
        id::{LeaseToken, Seq},
        time::Timestamp,
    };

    fn need(id: &str, state: StateName, result: Value) -> NeedResult {
        let completed = state == StateName::Completed;
        let result = completed.then(|| Arc::new(result));
        NeedResult { id: id.into(), executor: None, result, completed, state }
    }

    fn claimed(definition: Definition, needs: Vec<NeedResult>) -> Claimed {
        Claimed {
            seq: Seq(1),
            id: "t".into(),
            tree_id: crate::id::TreeId::new("t"),
            tree: Seq(1),
            lease: LeaseToken(1),
            run: 2,
            attempt: 1,
            demo: false,
            definition: Arc::new(definition),
            needs,
            given: Given::default(),
            tree_deadline: None,
            now: Timestamp(0),
        }
    }

    fn edge(id: &str, required: bool, when: Option<&str>) -> Dependency {
        let mut extra = Map::new();
        if let Some(when) = when {
            extra.insert(WHEN.to_owned(), when.into());
        }
        extra.insert(AS.to_owned(), format!("the_{id}").into());
        Dependency { id: id.into(), required, plain: false, extra }
    }

    fn runs(definition: Definition, needs: Vec<NeedResult>) -> Result<usize, String> {
        match judge(&claimed(definition, needs), &|_| None) {
            Ok(Judged::Run(taken)) => Ok(taken.len()),
            Ok(Judged::PassOver(why)) => Err(why),
            Err(failure) => panic!("{failure:?}"),
        }
    }

    fn with(join: Join, dependencies: Vec<Dependency>, when: Option<&str>) -> Definition {
        let when = when.map(str::to_owned);
        Definition { name: "t".into(), join, dependencies, when, ..Definition::default() }
    }

    #[test]
    fn a_condition_sees_inputs_results_states_and_the_run() {
        let needs = || vec![need("a", StateName::Completed, json!({"n": 3, "ok": true}))];
        let of = |when| with(Join::All, vec![edge("a", true, None)], Some(when));
        for holds in [
            "results.the_a.n == 3",
            "results['a'].ok and inputs.n == 3",
            "states.the_a == 'completed'",
            "run.number == 2 and cycle == 0 and task.name == 't'",
        ] {
            assert_eq!(runs(of(holds), needs()), Ok(1), "{holds}");
        }
        let why = runs(of("results.the_a.n > 3"), needs()).expect_err("3 is not above 3");
        assert!(why.contains("`results.the_a.n > 3`"), "{why}");
        let broken = claimed(of("results.the_b.n > 3"), needs());
        let failure = judge(&broken, &|_| None).expect_err("there is no b");
        assert_eq!(failure.kind, FailureKind::Expression);
    }

    #[test]
    fn a_required_edge_that_is_not_taken_passes_the_task_over_and_an_optional_one_only_itself() {
        let needs = || vec![need("a", StateName::Completed, json!({"arm": "b"}))];
        let of = |required, when| with(Join::All, vec![edge("a", required, Some(when))], None);
        assert_eq!(runs(of(true, "result.arm == 'b'"), needs()), Ok(1));
        assert!(runs(of(true, "result.arm == 'a'"), needs()).is_err());
        assert_eq!(runs(of(false, "result.arm == 'a'"), needs()), Ok(0));
    }

    #[test]
    fn any_one_edge_that_is_taken_is_enough_and_none_is_not() {
        let needs = vec![
            need("a", StateName::Completed, json!(1)),
            need("b", StateName::Skipped, json!(null)),
            need("c", StateName::Completed, json!(3)),
        ];
        let of = |a, c| {
            let edges = vec![edge("a", true, Some(a)), edge("b", true, None), edge("c", true, c)];
            with(Join::Any, edges, None)
        };
        assert_eq!(runs(of("false", Some("result == 3")), needs.clone()), Ok(2));
        assert!(runs(of("false", Some("false")), needs).is_err());
        let plain = with(Join::Any, vec![edge("b", true, None)], None);
        assert!(runs(plain.clone(), vec![need("b", StateName::Skipped, json!(null))]).is_err());
        assert_eq!(runs(plain, vec![need("b", StateName::Completed, json!(1))]), Ok(1));
    }
}
