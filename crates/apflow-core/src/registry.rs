//! The executors a process has, and which of them it may use.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    marker::PhantomData,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::executor::{Context, ExecuteError, Executor, Manifest};

/// Executors by id, with the allow-list that decides which may run; copies share that list.
#[derive(Clone, Default)]
pub struct Registry {
    executors: BTreeMap<String, Arc<dyn Executor>>,
    allowed: Arc<RwLock<Option<Allowed>>>,
}

#[derive(Clone, Default)]
struct Allowed {
    families: BTreeSet<String>,
    ids: BTreeSet<String>,
}

/// Why no executor can be had for a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoExecutor {
    /// The task names none.
    #[error("Executor ID not specified for task {task}")]
    Unnamed {
        /// The task.
        task: String,
    },
    /// None of that name is compiled in or registered.
    #[error("Unknown executor: {id}")]
    Unknown {
        /// The name.
        id: String,
        /// What is registered.
        known: Vec<String>,
    },
    /// It exists, and the allow-list does not name it.
    #[error("Executor '{id}' is not allowed by APFLOW_EXTENSIONS configuration for task {task}")]
    NotAllowed {
        /// The name.
        id: String,
        /// The task.
        task: String,
        /// What is allowed.
        allowed: Vec<String>,
    },
}

impl Registry {
    /// A registry without executors and without restriction.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an executor; one of the same id is replaced.
    pub fn register(&mut self, executor: impl Executor + 'static) -> &mut Self {
        self.register_shared(Arc::new(executor))
    }

    /// Adds an executor that is shared with others.
    pub fn register_shared(&mut self, executor: Arc<dyn Executor>) -> &mut Self {
        self.executors.insert(executor.manifest().id.clone(), executor);
        self
    }

    /// Adds an executor that is made when the first task asks for it, and only once.
    ///
    /// If `make` fails, every task of it fails with what it said.
    pub fn register_lazily(
        &mut self,
        manifest: Manifest,
        make: impl Fn() -> Result<Arc<dyn Executor>, String> + Send + Sync + 'static,
    ) -> &mut Self {
        self.register(Lazy { manifest, make, made: OnceLock::new() })
    }

    /// Adds the executors of another registry; those of the same id are replaced.
    pub fn extend(&mut self, other: Self) -> &mut Self {
        self.executors.extend(other.executors);
        self
    }

    /// Adds an async function as an executor; its schemas come from its types.
    ///
    /// Inputs that do not fit `I` fail the task with the field that is wrong, before `function` runs.
    pub fn function<I, O, F, R>(&mut self, id: &str, description: &str, function: F) -> &mut Self
    where
        I: DeserializeOwned + JsonSchema + Send + 'static,
        O: Serialize + JsonSchema + 'static,
        F: Fn(I, Context) -> R + Send + Sync + 'static,
        R: Future<Output = Result<O, ExecuteError>> + Send + 'static,
    {
        let mut manifest = Manifest::new(id, description);
        manifest.tags = vec!["function".to_owned()];
        manifest.input_schema = schemars::schema_for!(I).to_value();
        manifest.output_schema = schemars::schema_for!(O).to_value();
        self.register(Function { manifest, call: function, types: PhantomData })
    }

    /// Restricts the registry to executors of these families and ids, together.
    ///
    /// Two empty lists lift the restriction; names that match nothing allow nothing (fails closed).
    pub fn allow_only(&mut self, families: &[String], ids: &[String]) -> &mut Self {
        self.restrict(families, ids);
        self
    }

    /// The same while the registry is in use; what runs already goes on.
    pub fn restrict(&self, families: &[String], ids: &[String]) {
        let clean = |list: &[String]| -> BTreeSet<String> {
            list.iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
        };
        let allowed = Allowed { families: clean(families), ids: clean(ids) };
        let restricted = !allowed.families.is_empty() || !allowed.ids.is_empty();
        // The list is replaced in one step, so a holder that panicked left a whole one behind.
        *self.allowed.write().unwrap_or_else(PoisonError::into_inner) =
            restricted.then_some(allowed);
    }

    /// Whether there is an allow-list at all.
    pub fn is_restricted(&self) -> bool {
        self.allowed.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The executor a task asks for, if it exists and is allowed.
    pub fn find(&self, id: Option<&str>, task: &str) -> Result<&Arc<dyn Executor>, NoExecutor> {
        let Some(id) = id else { return Err(NoExecutor::Unnamed { task: task.to_owned() }) };
        let Some(executor) = self.executors.get(id) else {
            return Err(NoExecutor::Unknown {
                id: id.to_owned(),
                known: self.executors.keys().cloned().collect(),
            });
        };
        if self.allows(executor.manifest()) {
            return Ok(executor);
        }
        Err(NoExecutor::NotAllowed {
            id: id.to_owned(),
            task: task.to_owned(),
            allowed: self.allowed_ids(),
        })
    }

    /// What the executor of this id says of itself, allowed or not.
    pub fn manifest(&self, id: &str) -> Option<&Manifest> {
        self.executors.get(id).map(|executor| executor.manifest())
    }

    /// All manifests in order of id, each with whether it may run here.
    pub fn manifests(&self) -> impl Iterator<Item = (&Manifest, bool)> {
        self.executors.values().map(|executor| {
            let manifest = executor.manifest();
            (manifest, self.allows(manifest))
        })
    }

    /// The ids that may run here.
    pub fn allowed_ids(&self) -> Vec<String> {
        self.manifests()
            .filter(|(_, allowed)| *allowed)
            .map(|(manifest, _)| manifest.id.clone())
            .collect()
    }

    fn allows(&self, manifest: &Manifest) -> bool {
        let allowed = self.allowed.read().unwrap_or_else(PoisonError::into_inner);
        allowed.as_ref().is_none_or(|allowed| {
            allowed.ids.contains(&manifest.id) || allowed.families.contains(&manifest.family)
        })
    }
}

struct Function<I, O, F> {
    manifest: Manifest,
    call: F,
    types: PhantomData<fn(I) -> O>,
}

#[async_trait]
impl<I, O, F, R> Executor for Function<I, O, F>
where
    I: DeserializeOwned + Send + 'static,
    O: Serialize + 'static,
    F: Fn(I, Context) -> R + Send + Sync,
    R: Future<Output = Result<O, ExecuteError>> + Send + 'static,
{
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn execute(
        &self,
        inputs: Map<String, Value>,
        context: &Context,
    ) -> Result<Value, ExecuteError> {
        let typed = serde_json::from_value(Value::Object(inputs)).map_err(|error| {
            ExecuteError::invalid_input(format!("[{}] {error}", self.manifest.id))
        })?;
        let output = (self.call)(typed, context.clone()).await?;
        serde_json::to_value(output).map_err(|error| {
            ExecuteError::permanent(format!(
                "[{}] the result is not JSON: {error}",
                self.manifest.id
            ))
        })
    }
}

/// An executor that is made at its first use.
struct Lazy<F> {
    manifest: Manifest,
    make: F,
    made: OnceLock<Result<Arc<dyn Executor>, String>>,
}

#[async_trait]
impl<F> Executor for Lazy<F>
where
    F: Fn() -> Result<Arc<dyn Executor>, String> + Send + Sync,
{
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn execute(
        &self,
        inputs: Map<String, Value>,
        context: &Context,
    ) -> Result<Value, ExecuteError> {
        match self.made.get_or_init(&self.make) {
            Ok(executor) => executor.execute(inputs, context).await,
            Err(why) => Err(ExecuteError::permanent(format!(
                "[{}] it could not be made: {why}",
                self.manifest.id
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> Registry {
        let mut registry = Registry::new();
        registry.function("double", "Doubles n.", |n: Doubled, _| async move {
            Ok(Doubled { n: n.n * 2 })
        });
        registry
    }

    #[derive(Debug, PartialEq, JsonSchema, serde::Serialize, serde::Deserialize)]
    struct Doubled {
        n: i64,
    }

    #[test]
    fn an_allow_list_of_unknown_names_allows_nothing() {
        let mut registry = registry();
        assert!(registry.find(Some("double"), "t").is_ok());
        registry.allow_only(&[], &["nothing_like_it".to_owned()]);
        let refused = registry.find(Some("double"), "t").err();
        assert!(matches!(refused, Some(NoExecutor::NotAllowed { .. })), "{refused:?}");
        registry.allow_only(&["core".to_owned()], &[]);
        assert!(registry.find(Some("double"), "t").is_ok());
        registry.allow_only(&[" ".to_owned()], &[]);
        assert!(!registry.is_restricted(), "a blank list is no list");
    }

    #[test]
    fn a_registry_in_use_can_be_restricted_through_any_copy() {
        let (one, other) = {
            let registry = registry();
            (registry.clone(), registry)
        };
        one.restrict(&[], &["nothing_like_it".to_owned()]);
        assert!(other.is_restricted() && other.find(Some("double"), "t").is_err());
        other.restrict(&[], &[]);
        assert!(one.find(Some("double"), "t").is_ok());
    }

    #[test]
    fn an_unknown_executor_lists_what_there_is() {
        let refused = registry().find(Some("tripple"), "t").err();
        assert!(
            matches!(&refused, Some(NoExecutor::Unknown { known, .. }) if known == &["double"]),
            "{refused:?}"
        );
        assert!(matches!(registry().find(None, "t").err(), Some(NoExecutor::Unnamed { .. })));
    }

    #[tokio::test]
    async fn an_executor_is_made_once_and_not_before_it_is_asked() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let count = Arc::new(AtomicUsize::new(0));
        let (seen, mut lazy) = (Arc::clone(&count), Registry::new());
        lazy.register_lazily(Manifest::new("later", "Doubles n."), move || {
            seen.fetch_add(1, Ordering::Relaxed);
            let found = registry().find(Some("double"), "t").cloned();
            found.map_err(|error| error.to_string())
        });
        lazy.register_lazily(Manifest::new("never", "Is not there."), || Err("no disk".to_owned()));
        let context = Context::detached("t");
        let inputs = || Map::from_iter([("n".to_owned(), Value::from(2))]);
        assert_eq!(count.load(Ordering::Relaxed), 0);
        for _ in 0..2 {
            let later = lazy.find(Some("later"), "t").expect("it is registered");
            let made = later.execute(inputs(), &context).await.expect("it runs");
            assert_eq!(made["n"], 4);
        }
        assert_eq!(count.load(Ordering::Relaxed), 1);
        let never = lazy.find(Some("never"), "t").expect("it is registered");
        let error = never.execute(inputs(), &context).await.expect_err("it cannot be made");
        assert_eq!(error.to_string(), "[never] it could not be made: no disk");
    }

    #[tokio::test]
    async fn a_function_gets_typed_inputs_or_a_clear_refusal() {
        let registry = registry();
        let double = registry.find(Some("double"), "t").expect("registered");
        let context = Context::detached("t");
        let inputs = |value: Value| value.as_object().cloned().unwrap_or_default();
        let ok = double.execute(inputs(serde_json::json!({"n": 21})), &context).await;
        assert_eq!(ok, Ok(serde_json::json!({"n": 42})));
        let bad = double.execute(inputs(serde_json::json!({"n": "x"})), &context).await;
        let text = bad.expect_err("a text is no number").to_string();
        assert!(text.contains("[double]") && text.contains("invalid type"), "{text}");
    }
}
