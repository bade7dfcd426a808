//! Reading and changing the configuration; for administrators alone.

use std::sync::Arc;

use crate::api::{
    ApiError, Caller, Gateway, Reply,
    call::ConfigSet,
    configuration::{self, Configuration},
};

pub(crate) fn list(gateway: &Gateway, caller: &Caller) -> Result<Reply, ApiError> {
    Ok(Reply::Settings(allowed(gateway.configuration.as_ref(), caller)?.list()))
}

pub(crate) fn get(gateway: &Gateway, caller: &Caller, key: &str) -> Result<Reply, ApiError> {
    Ok(Reply::Setting(Box::new(allowed(gateway.configuration.as_ref(), caller)?.get(key)?)))
}

pub(crate) fn set(gateway: &Gateway, caller: &Caller, set: &ConfigSet) -> Result<Reply, ApiError> {
    let configuration = allowed(gateway.configuration.as_ref(), caller)?;
    Ok(Reply::Setting(Box::new(configuration.set(&set.key, &set.value)?)))
}

pub(crate) fn reload(gateway: &Gateway, caller: &Caller) -> Result<Reply, ApiError> {
    Ok(Reply::Reloaded(allowed(gateway.configuration.as_ref(), caller)?.reload()?))
}

fn allowed<'a>(
    configuration: Option<&'a Arc<dyn Configuration>>,
    caller: &Caller,
) -> Result<&'a Arc<dyn Configuration>, ApiError> {
    if !caller.admin {
        return Err(configuration::not_yours());
    }
    configuration.ok_or_else(configuration::none)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        api::configuration::{Reloaded, Setting},
        code::Code,
    };

    struct Fixed;

    impl Configuration for Fixed {
        fn list(&self) -> Vec<Setting> {
            vec![Setting {
                key: "log.level".to_owned(),
                value: json!("info"),
                origin: "default".to_owned(),
                description: "How much is logged.".to_owned(),
                secret: false,
                reloadable: true,
                needs_restart: false,
            }]
        }

        fn set(&self, key: &str, _: &Value) -> Result<Setting, ApiError> {
            self.get(key)
        }

        fn reload(&self) -> Result<Reloaded, ApiError> {
            Ok(Reloaded::default())
        }
    }

    #[test]
    fn a_key_that_is_not_there_names_the_nearest_one() {
        let error = Fixed.get("log.levle").expect_err("no such key");
        assert_eq!(error.hint.as_deref(), Some("did you mean `log.level`?"));
        assert_eq!(Fixed.get("log.level").expect("a key").value, json!("info"));
    }

    #[test]
    fn only_administrators_may_ask_and_only_where_there_is_a_configuration() {
        let with: Option<Arc<dyn Configuration>> = Some(Arc::new(Fixed));
        let bound = Caller { user_id: Some("ann".to_owned()), ..Caller::default() };
        let code = |configuration, caller: &Caller| {
            allowed(configuration, caller).err().map(|error| error.code)
        };
        assert_eq!(code(with.as_ref(), &Caller::local()), None);
        for caller in [&bound, &Caller::default()] {
            assert_eq!(code(with.as_ref(), caller), Some(Code::SettingRefused));
        }
        assert_eq!(code(None, &Caller::local()), Some(Code::SettingRefused));
    }
}
