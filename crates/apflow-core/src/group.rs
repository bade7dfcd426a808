//! Groups: a task whose children are its members, and a policy that says how many of them must complete.
//!
//! A group is a task of the executor [`EXECUTOR`]; `params.policy` is its policy. It waits for all its
//! members, whatever becomes of them, and then decides once. What a member fails is no failure of the
//! run: the group is, if too few complete.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use crate::{
    code::Code,
    condition::{self, AS},
    executor::{Context, ExecuteError, Executor, Manifest},
    flow::{self, Limit},
    id::TaskId,
    problem::Problem,
    store::NeedResult,
    submit::{Reference, TaskSpec},
    task::{Definition, Dependency, Failure, FailureKind, OriginType, StateName},
};

/// The executor of groups.
pub const EXECUTOR: &str = "group";

/// What marks a dependency of a group as one of its members.
const MEMBER: &str = "member";

/// So many names are told in one sentence.
const MAX_TOLD: usize = 20;

/// How many members must complete.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Policy {
    /// All of them.
    #[default]
    Strict,
    /// It does not matter.
    BestEffort,
    /// So many.
    AtLeast(u64),
    /// So many of a hundred.
    Percent(u64),
    /// These.
    Critical(Vec<String>),
    /// As the function of this name says, see [`Group::policy`].
    Custom(String),
}

/// A member, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// What it is called in the group.
    pub name: String,
    /// The task.
    pub id: TaskId,
    /// Where it stands.
    pub state: StateName,
    /// Its result, if it completed.
    pub result: Option<Arc<Value>>,
}

impl Policy {
    /// What `params.policy` says; nothing is [`Policy::Strict`].
    pub fn read(params: &Map<String, Value>) -> Result<Self, Box<Problem>> {
        const EXPECTED: &str = "strict, best_effort, {at_least: 2}, {percent: 50}, \
            {critical: [names]} or {custom: name}";
        let refuse = |why: &str, found: &Value| {
            let problem = Problem::new(Code::InvalidGroup, why).in_field("params.policy");
            Err(Box::new(problem.expecting(EXPECTED).found(found.to_string())))
        };
        let value = match params.get("policy") {
            None | Some(Value::Null) => return Ok(Self::Strict),
            Some(value) => value,
        };
        if let Some(word) = value.as_str() {
            return match word {
                "strict" => Ok(Self::Strict),
                "best_effort" => Ok(Self::BestEffort),
                _ => refuse("there is no policy of that name", value),
            };
        }
        let mut entries = value.as_object().into_iter().flatten();
        let (Some((word, of)), None) = (entries.next(), entries.next()) else {
            return refuse("a policy is one word, or one word with what goes with it", value);
        };
        let policy = match word.as_str() {
            "at_least" => of.as_u64().map(Self::AtLeast),
            "percent" => of.as_u64().filter(|percent| *percent <= 100).map(Self::Percent),
            "critical" => of.as_array().and_then(|names| {
                let names = names.iter().map(|name| name.as_str().map(str::to_owned));
                names.collect::<Option<Vec<_>>>().map(Self::Critical)
            }),
            "custom" => of.as_str().map(|name| Self::Custom(name.to_owned())),
            _ => return refuse("there is no policy of that name", value),
        };
        policy.map_or_else(|| refuse("that does not go with the policy", value), Ok)
    }

    /// Whether the members that completed are enough; a custom policy is not judged here.
    ///
    /// Members that a condition passed over do not belong to the group in this run.
    pub fn is_met(&self, members: &[Member]) -> bool {
        self.holds(members, |state| state == StateName::Completed)
    }

    /// Whether it will be met if everything that has not ended completes.
    pub fn can_be_met(&self, members: &[Member]) -> bool {
        self.holds(members, |state| state == StateName::Completed || !state.is_terminal())
    }

    fn holds(&self, members: &[Member], counts: impl Fn(StateName) -> bool) -> bool {
        let of_the_run = || members.iter().filter(|member| member.state != StateName::Skipped);
        let all = of_the_run().count() as u64;
        let good = of_the_run().filter(|member| counts(member.state)).count() as u64;
        match self {
            Self::Strict => good == all,
            Self::BestEffort | Self::Custom(_) => true,
            Self::AtLeast(least) => good >= *least,
            Self::Percent(percent) => good * 100 >= percent * all,
            Self::Critical(names) => of_the_run()
                .filter(|member| names.contains(&member.name))
                .all(|member| counts(member.state)),
        }
    }

    fn in_words(&self) -> String {
        match self {
            Self::Strict => "all must complete".to_owned(),
            Self::BestEffort => "none must complete".to_owned(),
            Self::AtLeast(least) => format!("at least {least} must complete"),
            Self::Percent(percent) => format!("{percent} percent must complete"),
            Self::Critical(names) => format!("these must complete: {}", listed(names)),
            Self::Custom(name) => format!("the policy `{name}` decides"),
        }
    }
}

/// Whether the group asked to stop the rest as soon as its policy cannot be met any more.
pub fn is_fail_fast(definition: &Definition) -> bool {
    definition.params.get("fail_fast") == Some(&Value::Bool(true))
}

/// How many members of a group run at the same time, if it says so.
fn max_parallel(params: &Map<String, Value>) -> Result<Option<u32>, Box<Problem>> {
    let said = match params.get("max_parallel") {
        None | Some(Value::Null) => return Ok(None),
        Some(said) => said,
    };
    let fits = |most: &u32| flow::wrong_count(*most).is_none();
    match said.as_u64().and_then(|most| u32::try_from(most).ok()).filter(fits) {
        Some(most) => Ok(Some(most)),
        None => Err(Box::new(
            Problem::new(Code::InvalidGroup, "that is no number of members")
                .in_field("params.max_parallel")
                .expecting(format!("a whole number from 1 to {}", flow::MAX_COUNT))
                .found(said.to_string()),
        )),
    }
}

/// The limit that the members of a group share.
pub(crate) fn key_of(group: &str) -> String {
    format!("{EXECUTOR}:{group}")
}

/// Gives the members of every group that bounds them a limit of its own.
pub(crate) fn bound(specs: &mut [TaskSpec], parents: &[Option<usize>], ids: &[TaskId]) {
    for index in 0..specs.len() {
        let Some(parent) = parents[index].filter(|parent| is_group(&specs[*parent])) else {
            continue;
        };
        // What is wrong with it was told before.
        let Ok(Some(most)) = max_parallel(&specs[parent].params) else { continue };
        let key = key_of(ids[parent].as_str());
        let limits = &mut specs[index].flow.limits;
        limits.retain(|limit| limit.key != key);
        limits.push(Limit { key, max: Some(most) });
    }
}

fn is_group(spec: &TaskSpec) -> bool {
    let named = spec.params.get("executor_id").or_else(|| spec.schemas.get("method"));
    named.and_then(Value::as_str) == Some(EXECUTOR) && spec.origin.kind != OriginType::Link
}

/// The members of a group, from what it needs.
pub fn members(definition: &Definition, needs: &[NeedResult]) -> Vec<Member> {
    // A group may need others besides; they come before it and are none of its members.
    let entries = definition.dependencies.iter().filter(|entry| entry.extra.contains_key(MEMBER));
    let entries: HashMap<&TaskId, &Dependency> = entries.map(|entry| (&entry.id, entry)).collect();
    let member = |need: &NeedResult| {
        let entry = entries.get(&need.id)?;
        Some(Member {
            name: condition::name_of(entry).to_owned(),
            id: need.id.clone(),
            state: need.state,
            result: need.result.clone(),
        })
    };
    needs.iter().filter_map(member).collect()
}

/// What a task says that is skipped because the member `name` failed.
pub fn why_skipped(name: &str) -> String {
    format!("{name} failed, and the group goes on without what requires it")
}

/// What a member says that a group stopped.
pub fn why_stopped(name: &str) -> String {
    format!("too many members of the group {name} failed")
}

/// Makes the children of every group what it waits for.
pub(crate) fn gather(specs: &mut [TaskSpec], problems: &mut Vec<Problem>) {
    let mut groups: BTreeMap<String, usize> = BTreeMap::new();
    for (index, spec) in specs.iter().enumerate().filter(|(_, spec)| is_group(spec)) {
        groups.entry(spec.name.clone()).or_insert(index);
    }
    for (index, spec) in specs.iter().enumerate().filter(|(_, spec)| is_group(spec)) {
        groups.extend(spec.id.clone().map(|id| (id, index)));
    }
    if groups.is_empty() {
        return;
    }
    let mut members: BTreeMap<usize, Vec<(String, String)>> =
        groups.values().map(|group| (*group, Vec::new())).collect();
    for spec in specs.iter() {
        let group = spec.parent.as_ref().and_then(|parent| groups.get(parent));
        if let Some(list) = group.and_then(|group| members.get_mut(group)) {
            list.push((spec.id.clone().unwrap_or_else(|| spec.name.clone()), spec.name.clone()));
        }
    }
    for (group, list) in members {
        let spec = &mut specs[group];
        let mut refuse = |problem: Problem| problems.push(problem.of_task(&spec.name));
        if let Err(problem) = max_parallel(&spec.params) {
            refuse(*problem);
        }
        match Policy::read(&spec.params) {
            Err(problem) => refuse(*problem),
            Ok(_) if list.is_empty() => refuse(
                Problem::new(Code::InvalidGroup, "the group has no members")
                    .in_field("params.executor_id")
                    .expecting("a task that names the group as its parent"),
            ),
            Ok(Policy::AtLeast(least)) if least > list.len() as u64 => refuse(
                Problem::new(Code::InvalidGroup, "the group has fewer members")
                    .in_field("params.policy")
                    .expecting(format!("at most {}", list.len()))
                    .found(least.to_string()),
            ),
            Ok(Policy::Critical(names)) => {
                let known = |name: &&String| list.iter().any(|(_, member)| member == *name);
                if let Some(stranger) = names.iter().find(|name| !known(name)) {
                    let known: Vec<String> = list.iter().map(|(_, name)| name.clone()).collect();
                    refuse(
                        Problem::new(Code::InvalidGroup, "the group has no member of that name")
                            .in_field("params.policy")
                            .expecting(format!("one of {}", listed(&known)))
                            .found(stranger.clone()),
                    );
                }
            }
            Ok(_) => {}
        }
        for (to, name) in list {
            let known = |entry: &&mut Reference| entry.to == to || entry.to == name;
            if let Some(entry) = spec.dependencies.iter_mut().find(known) {
                entry.optional = true;
                entry.extra.entry(AS).or_insert(Value::String(name));
                entry.extra.insert(MEMBER.to_owned(), Value::Bool(true));
                continue;
            }
            let mut member = Reference::optional(to);
            member.extra.insert(AS.to_owned(), Value::String(name));
            member.extra.insert(MEMBER.to_owned(), Value::Bool(true));
            spec.dependencies.push(member);
        }
    }
}

fn listed(names: &[String]) -> String {
    let more = names.len().saturating_sub(MAX_TOLD);
    let told = names[..names.len() - more].join(", ");
    match (names.len(), more) {
        (0, _) => "none".to_owned(),
        (_, 0) => told,
        _ => format!("{told} and {more} more"),
    }
}

/// Says whether the members of a group are enough, or why they are not.
pub type Judge = dyn Fn(&[Member]) -> Result<(), String> + Send + Sync;

/// The executor that decides what became of a group.
pub struct Group {
    manifest: Manifest,
    custom: BTreeMap<String, Arc<Judge>>,
}

impl Default for Group {
    fn default() -> Self {
        let mut manifest =
            Manifest::new(EXECUTOR, "Decides whether enough of its children completed.");
        manifest.tags = vec!["flow".to_owned()];
        // What the members return is no input; they come beside it.
        manifest.aggregates = true;
        Self { manifest, custom: BTreeMap::new() }
    }
}

impl Group {
    /// Adds a policy for `policy: {custom: name}`.
    pub fn policy(
        mut self,
        name: impl Into<String>,
        judge: impl Fn(&[Member]) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.custom.insert(name.into(), Arc::new(judge));
        self
    }

    fn decide(&self, policy: &Policy, members: &[Member]) -> Result<(), String> {
        match policy {
            Policy::Custom(name) => match self.custom.get(name) {
                Some(judge) => judge(members),
                None => Err(format!("there is no policy `{name}` here")),
            },
            policy if policy.is_met(members) => Ok(()),
            policy => Err(policy.in_words()),
        }
    }
}

#[async_trait]
impl Executor for Group {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn execute(
        &self,
        _: Map<String, Value>,
        context: &Context,
    ) -> Result<Value, ExecuteError> {
        let members = &context.given.members;
        let policy = Policy::read(&context.params)
            .map_err(|problem| ExecuteError::invalid_input(problem.reason))?;
        let named = |wanted: &dyn Fn(StateName) -> bool| -> Vec<String> {
            let chosen = members.iter().filter(|member| wanted(member.state));
            chosen.map(|member| member.name.clone()).collect()
        };
        let succeeded = named(&|state| state == StateName::Completed);
        let skipped = named(&|state| state == StateName::Skipped);
        let failed = named(&|state| !matches!(state, StateName::Completed | StateName::Skipped));
        let results: Map<String, Value> = members
            .iter()
            .filter_map(|member| Some((member.name.clone(), member.result.as_deref()?.clone())))
            .collect();
        let decided = self.decide(&policy, members);
        let message = decided.err().map(|why| {
            let (failed, succeeded) = (listed(&failed), listed(&succeeded));
            format!("{why}; failed: {failed}; succeeded: {succeeded}")
        });
        let result = json!({
            "succeeded": succeeded, "failed": failed, "skipped": skipped, "results": results,
        });
        match message {
            None => Ok(result),
            Some(message) => Err(ExecuteError::Permanent {
                failure: Failure::new(FailureKind::Group, message),
                result,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn member(name: usize, state: StateName) -> Member {
        Member {
            name: format!("m{name}"),
            id: format!("m{name}").as_str().into(),
            state,
            result: None,
        }
    }

    fn policy(value: Value) -> Result<Policy, Box<Problem>> {
        Policy::read(&Map::from_iter([("policy".to_owned(), value)]))
    }

    #[test]
    fn a_policy_is_read_or_refused_with_what_would_have_been_one() {
        assert_eq!(Policy::read(&Map::new()), Ok(Policy::Strict));
        assert_eq!(policy(json!({"at_least": 2})), Ok(Policy::AtLeast(2)));
        assert_eq!(policy(json!({"critical": ["a"]})), Ok(Policy::Critical(vec!["a".into()])));
        for wrong in [
            json!("lenient"),
            json!({"at_least": -1}),
            json!({"percent": 101}),
            json!({"percent": 1, "at_least": 1}),
            json!({"critical": [1]}),
            json!(3),
        ] {
            let problem = policy(wrong.clone()).expect_err("it is no policy");
            assert_eq!(problem.code, Code::InvalidGroup, "{wrong}");
        }
    }

    #[test]
    fn members_of_a_bounded_group_share_a_limit_of_their_own() {
        use crate::{
            submit::{Limits, Order, compile, spawned},
            testing::SeededIds,
        };
        let tasks = |most: Value| {
            let mut group = TaskSpec::new("g");
            group.params.insert("executor_id".to_owned(), json!(EXECUTOR));
            group.params.insert("max_parallel".to_owned(), most);
            let member =
                |name: &str| TaskSpec { parent: Some("g".to_owned()), ..TaskSpec::new(name) };
            vec![group, member("a"), member("b"), TaskSpec::new("r")]
        };
        let order = |most: Value| {
            let mut tasks = tasks(most);
            tasks[0].parent = Some("r".to_owned());
            Order { tasks, ..Order::default() }
        };
        let stored = compile(order(json!(2)), &SeededIds::new("n"), &Limits::default());
        let stored = stored.expect("it works out");
        let limit = |index: usize| stored.tasks[index].definition.flow.limits.clone();
        let key = key_of(stored.tasks[0].id.as_str());
        assert_eq!(limit(1), [Limit { key, max: Some(2) }]);
        assert_eq!((limit(2), limit(0).len(), limit(3).len()), (limit(1), 0, 0));
        for wrong in [json!(0), json!("two"), json!(-1)] {
            let told = compile(order(wrong), &SeededIds::new("n"), &Limits::default());
            let told = told.expect_err("it is no number of members");
            assert_eq!(told.0[0].field.as_deref(), Some("params.max_parallel"));
        }

        let mut spawn = spawned(tasks(json!(1)), None, false).expect("it works out");
        spawn.name(&SeededIds::new("s"));
        let key = key_of(spawn.tasks[0].id.as_str());
        assert_eq!(spawn.tasks[1].definition.flow.limits[0].key, key, "two groups share nothing");
    }

    #[test]
    fn members_that_were_passed_over_do_not_count() {
        let members = [
            member(0, StateName::Completed),
            member(1, StateName::Skipped),
            member(2, StateName::Failed),
        ];
        assert!(!Policy::Strict.is_met(&members) && Policy::Strict.is_met(&members[..2]));
        assert!(Policy::Percent(50).is_met(&members) && !Policy::Percent(51).is_met(&members));
        assert!(Policy::Critical(vec!["m0".into(), "m1".into()]).is_met(&members));
    }

    fn states() -> impl Strategy<Value = Vec<StateName>> {
        let state = prop_oneof![
            Just(StateName::Completed),
            Just(StateName::Failed),
            Just(StateName::Cancelled),
            Just(StateName::Skipped),
            Just(StateName::Running),
        ];
        proptest::collection::vec(state, 0..8)
    }

    fn policies() -> impl Strategy<Value = Policy> {
        prop_oneof![
            Just(Policy::Strict),
            Just(Policy::BestEffort),
            (0..9_u64).prop_map(Policy::AtLeast),
            (0..101_u64).prop_map(Policy::Percent),
            proptest::collection::vec(0..8_usize, 0..3)
                .prop_map(|list| Policy::Critical(list.iter().map(|n| format!("m{n}")).collect())),
        ]
    }

    proptest! {
        #[test]
        fn no_policy_asks_who_came_first(policy in policies(), states in states(), turn in 0..8_usize) {
            let members: Vec<Member> =
                states.into_iter().enumerate().map(|(at, state)| member(at, state)).collect();
            let mut turned = members.clone();
            turned.reverse();
            let by = turn % turned.len().max(1);
            turned.rotate_left(by);
            prop_assert_eq!(policy.is_met(&members), policy.is_met(&turned));
            prop_assert_eq!(policy.can_be_met(&members), policy.can_be_met(&turned));
        }

        #[test]
        fn what_cannot_be_met_any_more_is_not_met_in_the_end(policy in policies(), states in states(), ends in states()) {
            let begun: Vec<Member> =
                states.iter().enumerate().map(|(at, state)| member(at, *state)).collect();
            let ended: Vec<Member> = begun
                .iter()
                .enumerate()
                .map(|(at, open)| {
                    let end = ends.get(at).filter(|end| end.is_terminal() && **end != StateName::Skipped);
                    let end = end.copied().unwrap_or(StateName::Completed);
                    Member { state: if open.state.is_terminal() { open.state } else { end }, ..open.clone() }
                })
                .collect();
            prop_assert!(policy.can_be_met(&begun) || !policy.is_met(&ended));
        }
    }
}
