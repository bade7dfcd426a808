//! Which place it is: a database or a server, its token, and whether the token may go there.

use std::{fmt, fs, path::Path, time::Duration};

use apflow::core::code::Code;
use url::{Host, Url};

use crate::{
    args::Connection,
    config::{Secret, Settings, said_by},
    error::{CliError, Exit},
    show,
};

/// Where the tasks are.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// In a database that this process opens.
    Database,
    /// Behind a server.
    Server(Server),
}

/// A server, and how to speak with it.
#[derive(Clone)]
pub(crate) struct Server {
    /// Its address, with a path that ends in `/`.
    pub(crate) base: Url,
    /// What was typed; none if the environment said it.
    pub(crate) flag: Option<String>,
    /// Proves who we are.
    pub(super) token: Option<Token>,
    /// How long one answer may take.
    pub(super) timeout: Duration,
    /// How often a call is tried again.
    pub(super) retries: u32,
    /// How long until the first of these tries; each next one takes twice as long.
    pub(super) backoff: Duration,
}

/// A secret; it is never shown.
#[derive(Clone)]
pub(super) struct Token(pub(super) String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.base)
    }
}

/// The longest a token may be, as the server sees it.
const TOKEN_BYTES: usize = 8 << 10;
/// The longest time one may wait for an answer.
const PATIENCE: f64 = 86_400.0;

impl Place {
    /// What was typed wins over the rest of the configuration, and `--local-only` over everything.
    pub(crate) fn choose(connection: &Connection, settings: &Settings) -> Result<Self, CliError> {
        if connection.db.is_some() && connection.server.is_some() {
            return Err(
                CliError::usage("--db and --server name two places").help("leave one of them out")
            );
        }
        if connection.local_only && connection.server.is_some() {
            return Err(CliError::usage("--local-only and --server contradict each other")
                .help("leave one of them out"));
        }
        if connection.local_only || connection.db.is_some() {
            return Ok(Self::Database);
        }
        let flag = connection.server.clone();
        if settings.api.local_only && flag.is_none() {
            return Ok(Self::Database);
        }
        let Some(address) = &settings.api.server_url else { return Ok(Self::Database) };
        let base = address_of(address.whole(), &said_by(settings, "api.server_url"))?;
        let token = token(connection.token_file.as_deref(), settings)?;
        if token.is_some() {
            Server::may_have_a_token(&base, connection.insecure)?;
        }
        Ok(Self::Server(Server {
            base,
            flag,
            token,
            timeout: patience(connection.api_timeout, settings.api.timeout)?,
            retries: settings.api.retry_attempts,
            backoff: settings.api.retry_backoff,
        }))
    }
}

fn address_of(text: &str, said_by: &str) -> Result<Url, CliError> {
    let wrong = |why: &str| {
        // A password in it must not end up on the screen.
        CliError::usage(format!("{said_by} is no address of a server"))
            .because(why)
            .help("write it like http://127.0.0.1:8000 or https://apflow.example.org")
    };
    let mut url = Url::parse(text.trim()).map_err(|error| wrong(&error.to_string()))?;
    if !["http", "https"].contains(&url.scheme()) || url.host().is_none() {
        return Err(wrong("it begins with neither http:// nor https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it carries a password; a token goes into APFLOW_API_TOKEN"));
    }
    url.set_query(None);
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// The token: from the file that is named, else from the configuration.
fn token(file: Option<&Path>, settings: &Settings) -> Result<Option<Token>, CliError> {
    let text = match file {
        Some(file) => {
            warn_of_readers(file);
            fs::read_to_string(file).map(Some).map_err(|error| {
                CliError::usage(format!("--token-file {} cannot be read", file.display()))
                    .because(error.to_string())
            })?
        }
        None => settings.api.token.as_ref().map(Secret::reveal).transpose()?,
    };
    let Some(text) = text else { return Ok(None) };
    let text = text.lines().next().unwrap_or_default().trim();
    let text = text.strip_prefix("Bearer ").unwrap_or(text).trim();
    if text.is_empty() || text.len() > TOKEN_BYTES || !text.bytes().all(|it| it.is_ascii_graphic())
    {
        return Err(CliError::usage("the token for the server is none")
            .because("a token is one line of letters, digits and signs")
            .help("see APFLOW_API_TOKEN, or the first line of the file of --token-file"));
    }
    Ok(Some(Token(text.to_owned())))
}

fn warn_of_readers(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let open =
        fs::metadata(file).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o077 != 0);
    if open {
        let file = file.display();
        show::warn(&format!("{file} can be read by others; chmod 600 {file}"));
    }
}

impl Server {
    /// Refuses to send a token where everybody on the way can read it.
    fn may_have_a_token(to: &Url, insecure: bool) -> Result<(), CliError> {
        if to.scheme() == "https" || insecure || is_loopback(to) {
            return Ok(());
        }
        let host = to.host_str().unwrap_or_default();
        Err(CliError::new(Code::Config, format!("the token is not sent to {host} in the clear"))
            .because("the address begins with http://, so everybody on the way could read it")
            .help("use https://, or a tunnel to a loopback address,")
            .help("or say --insecure if the way is yours alone")
            .exiting(Exit::Usage))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => {
            ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|it| it.is_loopback())
        }
        None => false,
    }
}

/// How long to wait: as typed, else as configured.
fn patience(typed: Option<f64>, configured: Duration) -> Result<Duration, CliError> {
    let Some(typed) = typed else { return Ok(configured) };
    if typed > 0.0 && typed <= PATIENCE {
        return Ok(Duration::from_secs_f64(typed));
    }
    Err(CliError::usage("--api-timeout takes seconds above 0 and up to a day"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        address_of(text, "--server").expect("an address")
    }

    #[test]
    fn addresses_get_a_path_and_lose_what_does_not_belong_there() {
        assert_eq!(url("http://h:8000").as_str(), "http://h:8000/");
        assert_eq!(url(" https://h/api?x=1#y ").as_str(), "https://h/api/");
        for wrong in ["h:8000", "ftp://h", "http://", "", "http://me:CANARY@h/"] {
            let error = address_of(wrong, "--server").expect_err(wrong);
            assert_eq!(error.exit(), Exit::Usage, "{wrong}");
            assert!(!format!("{error:?}").contains("CANARY"), "{error:?}");
        }
    }

    #[test]
    fn n3_a_token_goes_in_the_clear_to_this_machine_alone() {
        let here = [
            "http://127.0.0.1:1",
            "http://localhost",
            "http://[::1]:9",
            "http://127.9.9.9",
            "http://[::ffff:127.0.0.1]",
            "https://far.example.org",
        ];
        for near in here {
            assert!(Server::may_have_a_token(&url(near), false).is_ok(), "{near}");
        }
        let far = [
            "http://far.example.org",
            "http://10.0.0.1",
            "http://localhost.example.org",
            "http://[fe80::1]",
            "http://0.0.0.0",
        ];
        for far in far {
            let error = Server::may_have_a_token(&url(far), false).expect_err(far);
            assert_eq!(error.exit(), Exit::Usage);
            assert!(Server::may_have_a_token(&url(far), true).is_ok(), "{far}");
        }
    }

    #[test]
    fn l3_a_token_is_not_in_the_debug_text() {
        let server = Server {
            base: url("http://h"),
            flag: None,
            token: Some(Token("CANARY".to_owned())),
            timeout: Duration::ZERO,
            retries: 0,
            backoff: Duration::ZERO,
        };
        let shown = format!("{server:?} {:?} {:?}", server.token, Place::Server(server.clone()));
        assert!(!shown.contains("CANARY"), "{shown}");
    }
}
