//! Making up tasks, and the keys that pay for it.

use std::sync::Arc;

use serde_json::Value;

use super::{author, owner};
use crate::{
    api::{
        ApiError, Caller, Gateway, Reply,
        call::{Create, Generate, LlmKey, LlmKeyWish},
        reply::{Generated, LlmKeyAnswer},
    },
    code::Code,
    generate::{Ask, Generator, NotGenerated},
    task::TreeOptions,
};

/// Asks the generator, checks what it made up like anybody's tasks, and stores it if that is wished.
pub(crate) async fn generate(
    gateway: &Gateway,
    caller: &Caller,
    wish: Generate,
) -> Result<Reply, ApiError> {
    let user_id = owner(caller, wish.user_id, "generate")?.or_else(|| caller.user_id.clone());
    let Some(generator) = gateway.generator.as_ref().map(Arc::clone) else {
        return Err(ApiError::new(Code::NoGenerator, "no generator is configured")
            .hint("write the tasks yourself and send them to tasks.create"));
    };
    let whose = user_id.as_deref().unwrap_or_default();
    let key = wish.key.or_else(|| gateway.keys.of(whose, wish.provider.as_deref()));
    let ask = Ask {
        requirement: wish.requirement,
        provider: wish.provider,
        model: wish.model,
        temperature: wish.temperature,
        max_tokens: wish.max_tokens,
        key,
    };
    let tasks = made_up(generator.as_ref(), ask).await?;
    let tasks = gateway.backend.check(tasks, user_id.clone())?;
    let count = tasks.as_array().map_or(0, Vec::len);
    let mut root = None;
    if wish.save {
        let options = TreeOptions::default();
        let create = Create { tasks: tasks.clone(), options, idempotency_key: None };
        let (inserted, _) = author::submit(gateway, caller, create).await?;
        root = inserted.roots.into_iter().next();
    }
    Ok(Reply::Generated(Box::new(Generated { tasks, count, root })))
}

async fn made_up(generator: &dyn Generator, ask: Ask) -> Result<Value, ApiError> {
    let secret = ask.key.clone();
    generator.generate(ask).await.map_err(|refused| match refused {
        NotGenerated::NoKey => ApiError::new(Code::NoLlmKey, refused.to_string())
            .hint("config.llm_key.set keeps a key until the process ends"),
        NotGenerated::Failed(mut why) => {
            // A provider may repeat what it was sent.
            if let Some(secret) = secret {
                why = why.replace(secret.reveal(), "***");
            }
            ApiError::new(Code::NoGenerator, why)
        }
    })
}

/// Keeps, forgets or asks for a key; the key itself never comes back.
pub(crate) fn key(gateway: &Gateway, caller: &Caller, wish: LlmKey) -> Result<Reply, ApiError> {
    let LlmKey { user_id, provider, wish } = wish;
    let user_id = owner(caller, user_id, "manage")?.or_else(|| caller.user_id.clone());
    let whose = user_id.as_deref().unwrap_or_default();
    let mut changed = None;
    match wish {
        LlmKeyWish::Get => {}
        LlmKeyWish::Set(key) => {
            if !gateway.keys.set(whose, provider.as_deref().unwrap_or_default(), key) {
                let detail = "this process keeps as many keys as it can";
                return Err(ApiError::new(Code::RateLimited, detail));
            }
            changed = Some(1);
        }
        LlmKeyWish::Delete => changed = Some(gateway.keys.delete(whose, provider.as_deref())),
    }
    let providers = gateway.keys.providers(whose);
    Ok(Reply::LlmKey(Box::new(LlmKeyAnswer { user_id, provider, providers, changed })))
}
