//! Reading the parameters of generate, and of the keys it uses.

use serde_json::Value;

use super::{Call, Read};
use crate::{
    api::{
        ApiError,
        params::{Params, describe},
    },
    id::check_id,
    secret::Secret,
};

/// The most characters a requirement may have.
pub(in crate::api) const MAX_REQUIREMENT: usize = 100_000;
/// The most characters a key may have.
const MAX_KEY: usize = 1000;
/// The most characters the name of a provider or model may have.
const MAX_NAME: usize = 100;

/// Tasks to be made up.
#[derive(Debug, Clone, PartialEq)]
pub struct Generate {
    /// What they are to do, in plain words.
    pub requirement: String,
    /// Who is to own them.
    pub user_id: Option<String>,
    /// Which provider to ask.
    pub provider: Option<String>,
    /// Which of its models.
    pub model: Option<String>,
    /// How freely it may answer, from 0 to 2.
    pub temperature: Option<f64>,
    /// How much it may say.
    pub max_tokens: Option<u32>,
    /// Store the tasks; they are never run.
    pub save: bool,
    /// The key that came with the request, beside its parameters; it is kept nowhere.
    pub key: Option<Secret>,
}

/// What to do with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LlmKey {
    /// Whose.
    pub user_id: Option<String>,
    /// Of which provider.
    pub provider: Option<String>,
    /// What.
    pub wish: LlmKeyWish,
}

/// What to do with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LlmKeyWish {
    /// Say whether there is one.
    Get,
    /// Keep this one.
    Set(Secret),
    /// Forget it.
    Delete,
}

fn name(params: &mut Params, field: &'static str) -> Result<Option<String>, ApiError> {
    let Some(text) = params.text(field)?.filter(|text| !text.trim().is_empty()) else {
        return Ok(None);
    };
    if text.chars().count() > MAX_NAME || text.chars().any(char::is_control) {
        let expected = format!("a name of at most {MAX_NAME} plain characters");
        return Err(ApiError::invalid(field, expected, "something else"));
    }
    Ok(Some(text))
}

fn owner(params: &mut Params) -> Result<Option<String>, ApiError> {
    let owner = params.text("user_id")?;
    match owner.as_deref().and_then(check_id) {
        Some(why) => Err(ApiError::invalid("user_id", "1 to 255 plain characters", why)),
        None => Ok(owner),
    }
}

pub(super) fn generate(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.generate", params)?;
    let requirement = params.text("requirement")?.filter(|text| !text.trim().is_empty());
    let Some(requirement) = requirement else {
        return Err(ApiError::missing("requirement", "a text", "Requirement is required"));
    };
    if requirement.chars().count() > MAX_REQUIREMENT {
        let expected = format!("at most {MAX_REQUIREMENT} characters");
        return Err(ApiError::invalid("requirement", expected, "longer"));
    }
    let temperature = match params.take(&["temperature"]) {
        None => None,
        Some((_, value)) => {
            let number = value.as_f64().filter(|it| (0.0..=2.0).contains(it));
            let wrong =
                || ApiError::invalid("temperature", "a number from 0 to 2", describe(&value));
            Some(number.ok_or_else(wrong)?)
        }
    };
    let max_tokens = params.number("max_tokens", 0, 1_000_000)?;
    let generate = Generate {
        requirement,
        user_id: owner(&mut params)?,
        provider: name(&mut params, "llm_provider")?,
        model: name(&mut params, "model")?,
        temperature,
        max_tokens: (max_tokens > 0).then_some(max_tokens),
        save: params.flag("save", false)?,
        key: None,
    };
    Ok(Read { call: Call::Generate(Box::new(generate)), warnings: params.warnings() })
}

pub(super) fn key(method: &'static str, params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new(method, params)?;
    let user_id = owner(&mut params)?;
    let provider = name(&mut params, "provider")?;
    let wish = match method {
        "config.llm_key.set" => {
            let key = params.text("api_key")?.filter(|key| !key.trim().is_empty());
            let Some(key) = key else {
                return Err(ApiError::missing("api_key", "a key", "api_key is required"));
            };
            // What is wrong with a secret is said without it.
            if key.len() > MAX_KEY || !key.chars().all(|sign| sign.is_ascii_graphic()) {
                let expected = format!("at most {MAX_KEY} visible ASCII characters");
                return Err(ApiError::invalid("api_key", expected, "something else"));
            }
            if provider.is_none() {
                let expected = "a provider, for example `openai`";
                return Err(ApiError::missing("provider", expected, "provider is required"));
            }
            LlmKeyWish::Set(Secret::new(key))
        }
        "config.llm_key.delete" => LlmKeyWish::Delete,
        _ => LlmKeyWish::Get,
    };
    let key = LlmKey { user_id, provider, wish };
    Ok(Read { call: Call::LlmKey(Box::new(key)), warnings: params.warnings() })
}
