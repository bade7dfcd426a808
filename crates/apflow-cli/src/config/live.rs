//! The configuration of a running server: read again on SIGHUP and through the operations `config.*`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use apflow::core::{
    api::{
        ApiError, Configuration,
        configuration::{Reloaded, Setting},
    },
    code::Code,
    problem::nearest,
};
use serde_json::Value;

use super::{
    key::Key,
    layer::Layer,
    overrides::{Given, Overrides},
    place::World,
    settings::Settings,
    table::KEYS,
    value::shown,
};
use crate::error::CliError;

/// Lets a part of the process take new settings, all or nothing.
type Taker = Box<dyn Fn(&Settings) -> Result<(), CliError> + Send + Sync>;

/// The configuration of a process that goes on.
pub(crate) struct Live {
    world: fn() -> World,
    overrides: Overrides,
    takers: Vec<Taker>,
    state: Mutex<State>,
}

struct State {
    /// What the process was started with.
    started: Arc<Settings>,
    /// What was read last.
    current: Arc<Settings>,
    /// What `config.set` says.
    set: Vec<Given>,
}

impl Live {
    /// Begins with what was read at the start.
    pub(crate) fn new(overrides: Overrides, settings: Settings) -> Self {
        let started = Arc::new(settings);
        let current = Arc::clone(&started);
        let state = Mutex::new(State { started, current, set: Vec::new() });
        Self { world: World::here, overrides, takers: Vec::new(), state }
    }

    /// Somebody who takes new settings; the first one is asked first.
    pub(crate) fn tell(
        mut self,
        taker: impl Fn(&Settings) -> Result<(), CliError> + Send + Sync + 'static,
    ) -> Self {
        self.takers.push(Box::new(taker));
        self
    }

    /// Reads everything again; if something is wrong, everything stays as it was.
    pub(crate) fn read_again(&self) -> Result<Reloaded, CliError> {
        self.change(&mut self.state())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Settings are replaced in one step, so a holder that panicked left whole ones behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, state: &mut State) -> Result<Reloaded, CliError> {
        let mut overrides = self.overrides.clone();
        overrides.given.extend(state.set.iter().cloned());
        let next = Settings::of(&(self.world)(), &overrides)?;
        for taker in &self.takers {
            if let Err(error) = taker(&next) {
                // Who took the new settings already gets the old ones back, which were good before.
                for taker in &self.takers {
                    let _ = taker(&state.current);
                }
                return Err(error);
            }
        }
        let differ =
            |key: &Key, old: &Settings| old.gathered.value(key) != next.gathered.value(key);
        let names = |list: Vec<&Key>| list.iter().map(|key| key.name.to_owned()).collect();
        let changed =
            KEYS.iter().filter(|key| key.reloads && differ(key, &state.current)).collect();
        let waits = KEYS.iter().filter(|key| !key.reloads && differ(key, &state.started)).collect();
        let reloaded = Reloaded {
            changed: names(changed),
            needs_restart: names(waits),
            warnings: next.warnings().to_vec(),
        };
        state.current = Arc::new(next);
        Ok(reloaded)
    }
}

impl Configuration for Live {
    fn list(&self) -> Vec<Setting> {
        let state = self.state();
        KEYS.iter()
            .map(|key| {
                let counts = if key.reloads { &state.current } else { &state.started };
                let value = counts.gathered.value(key);
                let needs_restart = !key.reloads && value != state.current.gathered.value(key);
                Setting {
                    key: key.name.to_owned(),
                    value: shown(key, &value),
                    origin: counts.gathered.origin(key).to_string(),
                    description: key.sentence.to_owned(),
                    secret: key.secret,
                    reloadable: key.reloads,
                    needs_restart,
                }
            })
            .collect()
    }

    fn set(&self, name: &str, value: &Value) -> Result<Setting, ApiError> {
        let key = Key::meant(name).ok_or_else(|| unknown(name))?;
        refuse(key)?;
        let mut state = self.state();
        let before = state.set.clone();
        state.set.retain(|given| given.key != key.name);
        if !value.is_null() {
            let value = key
                .kind
                .take(value.clone())
                .map_err(|expected| ApiError::invalid("value", expected, "something else"))?;
            state.set.push(Given {
                key: key.name,
                value,
                layer: Layer::Running,
                name: "config.set",
            });
        }
        if let Err(error) = self.change(&mut state) {
            state.set = before;
            return Err(broken(&error));
        }
        drop(state);
        self.get(key.name)
    }

    fn reload(&self) -> Result<Reloaded, ApiError> {
        self.read_again().map_err(|error| broken(&error))
    }
}

fn unknown(name: &str) -> ApiError {
    let error = ApiError::invalid("key", "a key of the configuration", "an unknown one");
    match nearest(name, KEYS.iter().map(|key| key.name)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`config.list` lists the keys"),
    }
}

/// Refuses keys that no call may change.
fn refuse(key: &Key) -> Result<(), ApiError> {
    let write = format!("`apflow config set {} VALUE` on the machine of the server", key.name);
    if key.secret {
        let detail = format!("`{}` holds a secret, which no call may change", key.name);
        return Err(ApiError::new(Code::SettingRefused, detail).hint(write));
    }
    if key.grants {
        let detail = format!("`{}` says what tasks may do, which no call may change", key.name);
        let hint = format!("{write} writes it, and `config.reload` takes it");
        return Err(ApiError::new(Code::SettingRefused, detail).hint(hint));
    }
    if !key.reloads {
        let detail = format!("`{}` is settled when the server starts", key.name);
        let hint = format!("{write} writes it, and the next start takes it");
        return Err(ApiError::new(Code::SettingRefused, detail).hint(hint));
    }
    Ok(())
}

/// What is wrong with the files, in words that may leave the process.
fn broken(error: &CliError) -> ApiError {
    let mut told = ApiError::new(Code::Config, "the configuration cannot be used; nothing changed");
    if let CliError::Problems { problems, .. } = error {
        told.problems.clone_from(problems);
    }
    told.hint("`apflow config validate` on the machine of the server says more")
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        sync::{Arc, Mutex as Shared},
    };

    use serde_json::json;

    use super::*;
    use crate::config::bed::Bed;

    thread_local! {
        /// The world of the test that runs in this thread.
        static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
    }

    fn world() -> World {
        WORLD.with_borrow(|world| world.clone().expect("a test put it there"))
    }

    fn live(bed: &Bed) -> Live {
        WORLD.set(Some(bed.world.clone()));
        let settings = bed.settings().expect("good settings");
        Live { world, ..Live::new(bed.over.clone(), settings) }
    }

    #[test]
    fn what_a_running_server_can_take_it_takes_and_the_rest_waits() {
        let mut bed = Bed::new();
        bed.file("here/apflow.toml", "log.level = \"info\"\nserver.port = 1\n");
        let heard = Arc::new(Shared::new(Vec::new()));
        let taker = Arc::clone(&heard);
        let live = live(&bed).tell(move |settings| {
            taker.lock().expect("nobody panics").push(settings.log.level.clone());
            Ok(())
        });
        bed.file("here/apflow.toml", "log.level = \"debug\"\nserver.port = 2\n");
        let told = live.read_again().expect("good settings");
        assert_eq!(
            (told.changed, told.needs_restart),
            (vec!["log.level".to_owned()], vec!["server.port".to_owned()])
        );
        assert_eq!(*heard.lock().expect("nobody panics"), ["debug"]);
        let port = live.get("server.port").expect("a key");
        assert_eq!((port.value, port.needs_restart), (json!(1), true));
        bed.file("here/apflow.toml", "log.level = \"debug\"\nserver.port = 1\n");
        assert_eq!(live.read_again().expect("good settings"), Reloaded::default());
        assert!(!live.get("server.port").expect("a key").needs_restart);
    }

    #[test]
    fn a_broken_file_and_a_refusing_taker_leave_everything_as_it_was() {
        let mut bed = Bed::new();
        bed.file("here/apflow.toml", "log.level = \"info\"\n");
        let heard = Arc::new(Shared::new(Vec::new()));
        let taker = Arc::clone(&heard);
        let live = live(&bed)
            .tell(move |settings| {
                taker.lock().expect("nobody panics").push(settings.log.level.clone());
                Ok(())
            })
            .tell(|settings| match settings.log.level.as_str() {
                "trace" => Err(CliError::usage("not that")),
                _ => Ok(()),
            });
        for text in ["log.level = \"loud\"\n", "log.level = \n", "log.level = \"trace\"\n"] {
            bed.file("here/apflow.toml", text);
            assert!(live.read_again().is_err(), "{text}");
            assert_eq!(live.get("log.level").expect("a key").value, json!("info"), "{text}");
        }
        assert_eq!(*heard.lock().expect("nobody panics"), ["trace", "info"]);
        let error = live.reload().expect_err("still broken");
        assert_eq!(error.code, Code::Config);
    }

    #[test]
    fn a_call_changes_what_may_change_until_it_takes_it_back() {
        let mut bed = Bed::new();
        bed.set("APFLOW_LOG_LEVEL", "warn");
        let live = live(&bed);
        let set = live.set("log.level", &json!("debug")).expect("it may");
        assert_eq!(
            (set.value, set.origin.as_str()),
            (json!("debug"), "running server: config.set")
        );
        assert!(live.read_again().expect("good settings").changed.is_empty(), "it stays");
        let back = live.set("log.level", &Value::Null).expect("it may");
        assert_eq!(
            (back.value, back.origin.as_str()),
            (json!("warn"), "environment: APFLOW_LOG_LEVEL")
        );
        let refused = |key: &str, value: Value| live.set(key, &value).expect_err("refused");
        assert_eq!(refused("server.port", json!(1)).code, Code::SettingRefused);
        assert!(refused("auth.jwt_secret", json!("CANARY")).detail.contains("secret"));
        assert!(refused("executors.extension_ids", json!([])).detail.contains("tasks may do"));
        assert!(refused("log.levle", json!("info")).hint.expect("a hint").contains("log.level"));
        assert_eq!(refused("log.level", json!(7)).code, Code::InvalidParams);
    }

    #[test]
    fn l3_no_call_reads_a_secret() {
        let mut bed = Bed::new();
        bed.set("APFLOW_JWT_SECRET", "CANARY1-CANARY1-CANARY1-CANARY1-");
        bed.set("DATABASE_URL", "postgres://me:CANARY2@db/x");
        bed.file("here/apflow.toml", "webhook.old_secrets = [\"CANARY3\"]\n");
        let all: Vec<String> = live(&bed).list().iter().map(|it| it.json().to_string()).collect();
        assert!(all.iter().any(|it| it.contains("auth.jwt_secret") && it.contains("***")));
        assert!(!all.concat().contains("CANARY"), "{all:#?}");
    }
}
