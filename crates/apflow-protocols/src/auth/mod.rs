//! Who may call: one gate for every protocol.
//!
//! A caller shows a bearer token, which is a JWT or an API token. As soon as there is any secret, from
//! any source, whoever shows none is refused; an answer never says what was wrong with a token.
//!
//! * [`jwt`] reads and signs JWTs; pure.
//! * [`token`] makes API tokens and knows them again; pure.
//! * [`bearer`] takes the token out of the headers of a request; pure.

pub mod bearer;
pub mod jwt;
pub mod token;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use apflow_core::{
    api::{ApiError, Caller},
    code::Code,
    store::{AccessStore, ApiToken},
    time::{Clock, Timestamp},
};

pub use self::{
    bearer::{Presented, presented},
    jwt::{Jwt, JwtConfig, JwtKey},
    token::{ConfiguredToken, NewToken},
};

/// How long a token of the database is believed without asking again; so long it may still work after
/// it was taken back.
const BELIEVED: Duration = Duration::from_secs(2);

/// How long "there is no token" is believed.
const OPEN_FOR: Duration = Duration::from_secs(1);

/// Tokens that are remembered at the same time.
const REMEMBERED: usize = 1_000;

/// How exactly the last use of a token is noted.
const COARSE: Duration = Duration::from_mins(5);

/// The one place that says who a caller is.
pub struct Gate {
    jwt: Option<Jwt>,
    tokens: Vec<ConfiguredToken>,
    store: Option<Arc<dyn AccessStore>>,
    clock: Arc<dyn Clock>,
    /// Once there was a secret, the door stays shut until the process ends.
    shut: AtomicBool,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// When it was last seen that the database has no token.
    open_at: Option<Timestamp>,
    /// Tokens that worked, and when they were looked up.
    known: HashMap<String, (Timestamp, ApiToken)>,
    /// Tokens whose use was noted, and when.
    noted: HashMap<String, Timestamp>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("jwt", &self.jwt)
            .field("tokens", &self.tokens.len())
            .field("store", &self.store.is_some())
            .finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate without any secret: open until it gets one.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            jwt: None,
            tokens: Vec::new(),
            store: None,
            clock,
            shut: AtomicBool::new(false),
            memory: Mutex::default(),
        }
    }

    /// Takes JWTs as well.
    pub fn jwt(mut self, jwt: Jwt) -> Self {
        self.jwt = Some(jwt);
        *self.shut.get_mut() = true;
        self
    }

    /// Takes these API tokens as well.
    pub fn tokens(mut self, tokens: impl IntoIterator<Item = ConfiguredToken>) -> Self {
        self.tokens.extend(tokens);
        *self.shut.get_mut() |= !self.tokens.is_empty();
        self
    }

    /// Takes the API tokens of a database as well, also those that are made later.
    pub fn store(mut self, store: Arc<dyn AccessStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// The sources that hold a secret now, in words for the log.
    pub async fn sources(&self) -> Result<Vec<String>, ApiError> {
        let mut sources = Vec::new();
        if let Some(jwt) = &self.jwt {
            sources.push(format!("JWT ({})", jwt.algorithm()));
        }
        if !self.tokens.is_empty() {
            sources.push(format!("{} configured API tokens", self.tokens.len()));
        }
        if let Some(store) = &self.store
            && store.has_tokens().await?
        {
            self.shut.store(true, Ordering::Relaxed);
            sources.push("API tokens of the database".to_owned());
        }
        Ok(sources)
    }

    /// Whether callers have to show a credential.
    pub async fn is_shut(&self) -> Result<bool, ApiError> {
        if self.shut.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let Some(store) = &self.store else { return Ok(false) };
        let now = self.clock.now();
        if self.memory().open_at.is_some_and(|at| at <= now && now < at.after(OPEN_FOR)) {
            return Ok(false);
        }
        if store.has_tokens().await? {
            if !self.shut.swap(true, Ordering::Relaxed) {
                tracing::info!("the database has API tokens now; callers need one from here on");
            }
            return Ok(true);
        }
        self.memory().open_at = Some(now);
        Ok(false)
    }

    /// Who it is that shows this; without any secret it is whoever sits at the machine.
    pub async fn admit(&self, presented: &Presented<'_>) -> Result<Caller, ApiError> {
        if !self.is_shut().await? {
            return Ok(Caller::local());
        }
        match presented {
            Presented::Token(text) => self.known(text).await?.ok_or_else(unauthorized),
            Presented::Nothing | Presented::Malformed => Err(unauthorized()),
        }
    }

    async fn known(&self, text: &str) -> Result<Option<Caller>, ApiError> {
        let now = self.clock.now();
        let Some(digest) = token::digest(text) else {
            // What is no API token can only be a JWT.
            return Ok(self.jwt.as_ref().and_then(|jwt| jwt.caller(text, now)));
        };
        if let Some(caller) = token::among(&self.tokens, &digest, now) {
            return Ok(Some(caller));
        }
        let Some(store) = &self.store else { return Ok(None) };
        let Some(token) = self.stored(store.as_ref(), &digest, now).await? else { return Ok(None) };
        if !token.works(now) {
            return Ok(None);
        }
        self.note(store, &token, now);
        Ok(Some(token::caller(&token)))
    }

    /// A token of the database, believed for a moment once it was read.
    async fn stored(
        &self,
        store: &dyn AccessStore,
        digest: &str,
        now: Timestamp,
    ) -> Result<Option<ApiToken>, ApiError> {
        if let Some((at, token)) = self.memory().known.get(digest)
            && *at <= now
            && now < at.after(BELIEVED)
        {
            return Ok(Some(token.clone()));
        }
        let found = store.token(digest).await?;
        // The index found it; that it is the one is compared once more, in constant time.
        let found = found.filter(|token| token::same(&token.digest, digest));
        let mut memory = self.memory();
        match &found {
            Some(token) => {
                if memory.known.len() >= REMEMBERED {
                    memory.known.clear();
                }
                memory.known.insert(digest.to_owned(), (now, token.clone()));
            }
            None => drop(memory.known.remove(digest)),
        }
        drop(memory);
        Ok(found)
    }

    /// Notes the use beside the request; a note that is lost is made the next time.
    fn note(&self, store: &Arc<dyn AccessStore>, token: &ApiToken, now: Timestamp) {
        {
            let mut memory = self.memory();
            let last = memory.noted.get(&token.id).copied().max(token.last_used_at);
            if last.is_some_and(|at| now < at.after(COARSE)) {
                return;
            }
            if memory.noted.len() >= REMEMBERED {
                memory.noted.clear();
            }
            memory.noted.insert(token.id.clone(), now);
        }
        let (store, id) = (Arc::clone(store), token.id.clone());
        tokio::spawn(async move {
            if let Err(error) = store.use_token(&id, now).await {
                tracing::debug!(%error, "the use of a token could not be noted");
            }
        });
    }

    /// A panic elsewhere cannot have left it half changed: each change is one call.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one answer to everybody who is not let in.
pub fn unauthorized() -> ApiError {
    ApiError::new(Code::Unauthorized, Code::Unauthorized.title())
        .hint("send `Authorization: Bearer TOKEN`; `apflow token create` makes a token")
}
