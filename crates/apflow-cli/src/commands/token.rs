//! `apflow token`: making, listing and taking back what callers prove themselves with.

#![expect(clippy::doc_markdown, reason = "clap shows the comments word for word")]

use std::{io::Read as _, time::Duration};

use apflow::{
    App,
    core::{
        code::Code,
        id::{Ids as _, check_id},
        store::{AccessStore, ApiToken},
        time::{Clock as _, Timestamp},
    },
    protocols::auth::{NewToken, jwt, token::digest},
    system::{self, SystemClock, SystemIds},
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    access,
    args::{DatabaseArgs, RunOutput},
    config::{Database, Flags, Overrides, Settings},
    error::{CliError, Exit},
    show::{self, data, table},
};

#[derive(Debug, Args)]
pub(crate) struct Token {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make an API token and print it, once; the database keeps only its hash.
    Create(Create),
    /// Show the API tokens of the database; the tokens themselves cannot be shown.
    List {
        /// How to write it.
        #[arg(short, long, value_enum, default_value_t)]
        output: RunOutput,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Take API tokens back; a server that runs refuses them within seconds.
    Revoke {
        /// Their ids or names.
        #[arg(required = true)]
        tokens: Vec<String>,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Remove API tokens that were taken back or have expired.
    Forget {
        /// Their ids or names.
        #[arg(required = true)]
        tokens: Vec<String>,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Sign a JWT with APFLOW_JWT_SECRET and print it.
    Jwt(Sign),
    /// Say whether a token is good, and whose; it is read from standard input.
    Verify(Check),
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The token; others can see it in the list of processes.
    token: Option<String>,
    /// How to write it.
    #[arg(short, long, value_enum, default_value_t)]
    output: RunOutput,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

#[derive(Debug, Args)]
struct Create {
    /// What to call it [default: the user and a number]
    #[arg(long)]
    name: Option<String>,
    /// Only tasks of this owner.
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// Everybody's tasks, and apflow itself.
    #[arg(long)]
    admin: bool,
    /// Nothing that changes anything.
    #[arg(long)]
    read_only: bool,
    /// Until it stops working: 30d, 12h, 90m, 45s.
    #[arg(long, value_name = "TIME")]
    expires_in: Option<String>,
    /// Store nothing; print the hash for a configuration to standard error.
    #[arg(long)]
    hash_only: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// Whose tasks it may see.
    #[arg(short = 's', short_alias = 'u', long, alias = "subject", default_value = "apflow-user")]
    user: String,
    /// What it is besides a user: `admin` sees everybody's tasks. May be repeated.
    #[arg(short, long, value_name = "ROLE")]
    role: Vec<String>,
    /// Nothing that changes anything.
    #[arg(long)]
    read_only: bool,
    /// Until it stops working: 30d, 12h, 90m, 45s.
    #[arg(short, long, value_name = "TIME", default_value = "365d")]
    expires_in: String,
}

impl Flags for Token {
    fn say(&self, over: &mut Overrides) {
        match &self.command {
            TokenCommand::Create(Create { database, .. })
            | TokenCommand::List { database, .. }
            | TokenCommand::Revoke { database, .. }
            | TokenCommand::Forget { database, .. }
            | TokenCommand::Verify(Check { database, .. }) => database.say(over),
            TokenCommand::Jwt(_) => {}
        }
    }
}

pub(crate) async fn token(args: Token, settings: &Settings) -> Result<Exit, CliError> {
    match args.command {
        TokenCommand::Create(create) => make(create, settings).await,
        TokenCommand::List { output, .. } => list(output, settings).await,
        TokenCommand::Revoke { tokens, .. } => take_back(&tokens, settings, false).await,
        TokenCommand::Forget { tokens, .. } => take_back(&tokens, settings, true).await,
        TokenCommand::Jwt(args) => sign(&args, settings),
        TokenCommand::Verify(check) => verify(check, settings).await,
    }
}

async fn make(args: Create, settings: &Settings) -> Result<Exit, CliError> {
    if args.user.is_none() && !args.admin {
        return Err(CliError::usage("a token speaks for somebody")
            .help("say --user NAME for the tasks of one owner, or --admin for everybody's"));
    }
    for (flag, text) in [("--user", &args.user), ("--name", &args.name)] {
        if let Some(why) = text.as_deref().and_then(check_id) {
            return Err(CliError::usage(format!("{flag} takes a name")).because(why));
        }
    }
    let now = SystemClock.now();
    let expires_at = match &args.expires_in {
        Some(text) => Some(now.after(span("--expires-in", text)?)),
        None => None,
    };
    let random = system::random().map_err(|error| {
        CliError::internal("there is no randomness to be had").because(error.to_string())
    })?;
    let made = NewToken::of(random);
    if args.hash_only {
        show::say(&format!("its hash, for a configuration: {}", made.digest));
        show::data(made.token.reveal())?;
        return Ok(Exit::Ok);
    }
    let id = SystemIds.next();
    // The end of a UUID v7 is its random half.
    let tail = id.get(id.len().saturating_sub(6)..).unwrap_or_default();
    let whose = args.user.as_deref().unwrap_or("admin");
    let token = ApiToken {
        name: args.name.unwrap_or_else(|| format!("{whose}-{tail}")),
        id,
        digest: made.digest,
        user_id: args.user,
        admin: args.admin,
        read_only: args.read_only,
        created_at: now,
        expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    let database = Database::find(settings);
    database.prepare()?;
    let app = App::builder().database(&database.address).open().await?;
    app.access().add_token(token.clone()).await?;
    show::say(&format!(
        "{} made; whoever has it {}. It is shown this once:",
        show::plain(&token.name),
        may(&token)
    ));
    show::data(made.token.reveal())?;
    let _ = app.shutdown(Duration::ZERO).await;
    Ok(Exit::Ok)
}

/// What a token is good for, in words.
fn may(token: &ApiToken) -> String {
    let does = if token.read_only { "may read" } else { "may read and change" };
    let whose = match (&token.user_id, token.admin) {
        (Some(user), false) => format!("the tasks of {}", show::plain(user)),
        _ => "everybody's tasks".to_owned(),
    };
    let until = token.expires_at.map_or_else(String::new, |at| format!(" until {at}"));
    format!("{does} {whose}{until}")
}

async fn list(output: RunOutput, settings: &Settings) -> Result<Exit, CliError> {
    let app = crate::config::reader(&Database::find(settings)).open().await?;
    let now = SystemClock.now();
    let tokens: Vec<Value> =
        app.access().tokens().await?.iter().map(|token| described(token, now)).collect();
    let text = match output {
        RunOutput::Json => data::json(&Value::Array(tokens)),
        RunOutput::Yaml => data::yaml(&Value::Array(tokens))?,
        RunOutput::Table => {
            const FIELDS: [&str; 7] =
                ["id", "name", "user_id", "rights", "state", "expires_at", "last_used_at"];
            let cells = |token: &Value| FIELDS.map(|field| data::brief(&token[field])).to_vec();
            table::table(
                &["id", "name", "user", "rights", "state", "expires", "last used"],
                tokens.iter().map(cells),
            )
        }
    };
    show::data(&text)?;
    Ok(Exit::Ok)
}

/// A token without anything that opens a door.
fn described(token: &ApiToken, now: Timestamp) -> Value {
    let state = match token {
        _ if token.works(now) => "works",
        ApiToken { revoked_at: Some(_), .. } => "revoked",
        _ => "expired",
    };
    let rights = match (token.admin, token.read_only) {
        (false, false) => "user",
        (false, true) => "user, read-only",
        (true, false) => "admin",
        (true, true) => "admin, read-only",
    };
    json!({
        "id": token.id, "name": token.name, "user_id": token.user_id, "rights": rights,
        "admin": token.admin, "read_only": token.read_only, "state": state,
        "created_at": token.created_at, "expires_at": token.expires_at,
        "last_used_at": token.last_used_at, "revoked_at": token.revoked_at,
    })
}

async fn take_back(named: &[String], settings: &Settings, forget: bool) -> Result<Exit, CliError> {
    let app = App::builder().database(&Database::find(settings).address).open().await?;
    let access = app.access();
    let known = access.tokens().await?;
    for name in named {
        let is_it = |token: &&ApiToken| token.id == *name || token.name == *name;
        let token = known.iter().find(is_it).ok_or_else(|| {
            CliError::new(Code::NotFound, format!("there is no token `{}`", show::plain(name)))
                .help("`apflow token list` shows those there are")
        })?;
        one_back(access.as_ref(), token, forget).await?;
    }
    if forget && !access.has_tokens().await? {
        show::warn("the database has no token any more; servers started on it now ask nobody");
    }
    let _ = app.shutdown(Duration::ZERO).await;
    Ok(Exit::Ok)
}

async fn one_back(
    access: &dyn AccessStore,
    token: &ApiToken,
    forget: bool,
) -> Result<(), CliError> {
    let (now, name) = (SystemClock.now(), show::plain(&token.name));
    if !forget {
        let was = access.revoke_token(&token.id, now).await?;
        let said = if was { "is revoked" } else { "was revoked before" };
        show::say(&format!("{name} {said}"));
        return Ok(());
    }
    if !access.forget_token(&token.id, now).await? {
        return Err(CliError::usage(format!("{name} still works"))
            .exiting(Exit::Conflict)
            .help(format!("first `apflow token revoke {}`", show::quoted(&token.name))));
    }
    show::say(&format!("{name} is forgotten"));
    Ok(())
}

pub(crate) fn sign(args: &Sign, settings: &Settings) -> Result<Exit, CliError> {
    let Some(secret) = access::jwt_secret(settings)? else {
        return Err(CliError::new(Code::Config, format!("{} is not set", access::JWT_SECRET))
            .help("set it to the secret of the server, for instance from `openssl rand -hex 32`"));
    };
    if let Some(why) = check_id(&args.user) {
        return Err(CliError::usage("--user takes a name").because(why));
    }
    let lasts = span("--expires-in", &args.expires_in)?;
    let claims = jwt::claims(&args.user, SystemClock.now(), lasts, &args.role, args.read_only);
    let signed = jwt::sign(&secret, &settings.auth.jwt_algorithm, &claims)
        .map_err(|why| CliError::new(Code::Config, "no JWT can be signed").because(why))?;
    show::data(signed.reveal())?;
    Ok(Exit::Ok)
}

pub(crate) async fn verify(check: Check, settings: &Settings) -> Result<Exit, CliError> {
    let text = match check.token.filter(|text| text != "-") {
        Some(text) => text,
        None => read_token()?,
    };
    let now = SystemClock.now();
    let found = if let Some(digest) = digest(text.trim()) {
        let app = crate::config::reader(&Database::find(settings)).open().await?;
        let found = app.access().token(&digest).await?;
        found.filter(|token| token.works(now)).map(|token| described(&token, now))
    } else {
        let Some(jwt) = access::jwt(settings)? else {
            return Err(CliError::new(Code::Config, "no key to check a JWT with")
                .help(format!("set {}", access::JWT_SECRET)));
        };
        jwt.claims(text.trim(), now).map(Value::Object)
    };
    let Some(found) = found else {
        return Err(CliError::new(Code::Unauthorized, "the token opens nothing").because(
            "it is unknown, over, not yet valid, taken back, or signed with another key",
        ));
    };
    let text = match check.output {
        RunOutput::Json => data::json(&found),
        RunOutput::Yaml => data::yaml(&found)?,
        RunOutput::Table => table::fields(&found),
    };
    show::data(&text)?;
    Ok(Exit::Ok)
}

fn read_token() -> Result<String, CliError> {
    const MOST: u64 = 64 << 10;
    let mut text = String::new();
    std::io::stdin().lock().take(MOST).read_to_string(&mut text).map_err(|error| {
        CliError::usage("standard input cannot be read").because(error.to_string())
    })?;
    Ok(text)
}

/// A hundred years, in seconds; nothing overflows.
const LONGEST: u64 = 36_525 * 86_400;

/// A time as people write it: `30d`, `12h`, `90m`, `45s`; v1's bare number is days.
fn span(flag: &str, text: &str) -> Result<Duration, CliError> {
    let (number, seconds) = match text.trim().split_at_checked(text.trim().len().max(1) - 1) {
        Some((number, "d")) => (number, 86_400),
        Some((number, "h")) => (number, 3_600),
        Some((number, "m")) => (number, 60),
        Some((number, "s")) => (number, 1),
        _ => (text.trim(), 86_400),
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let seconds =
        number.parse::<u64>().ok().filter(|_| digits).and_then(|n| n.checked_mul(seconds));
    match seconds {
        Some(seconds @ 1..=LONGEST) => Ok(Duration::from_secs(seconds)),
        _ => Err(CliError::usage(format!("{flag} takes a time like 30d, 12h, 90m or 45s"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_nonsense_is_not() {
        let read = |text| span("-e", text).ok().map(|time| time.as_secs());
        for (text, seconds) in
            [("30d", 2_592_000), ("12h", 43_200), ("90m", 5_400), ("45s", 45), ("2", 172_800)]
        {
            assert_eq!(read(text), Some(seconds), "{text}");
        }
        for text in
            ["", "d", "0d", "-1d", "+1d", "1w", "1.5h", "99999999999999999999d", "40000d", "é"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
