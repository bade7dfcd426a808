//! The egress guard: which addresses a task may make this process call.
//!
//! An address is judged three times: the URL as it was parsed, every address its name leads to, and
//! every hop of a redirect. What decides is [`Guard::admit`] for the first and the last, and
//! [`GuardedResolver`] for the second; the connection goes to the very address that was judged, so a
//! name cannot lead elsewhere in between.

mod address;

use std::{
    error::Error,
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    str::FromStr,
    sync::Arc,
};

use apflow_core::code::Code;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, ParseError, Url};

pub use address::reserved;

/// Characters a URL may have.
const LONGEST: usize = 8 * 1024;

/// Names that mean this machine or its network wherever they are asked.
const LOCAL_SUFFIXES: [&str; 4] = ["localhost", "internal", "local", "localdomain"];

/// A place the operator lets tasks call although it is private, local or at an unusual port.
///
/// As text: `host`, `host:port`, `address`, `address:port`, `[v6]:port` or `network/bits`. Without a
/// port the rule lifts the ban on the place, not the list of ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostRule {
    /// A name; where it leads to is the operator's affair.
    Name {
        /// In lower case, without a dot at the end.
        name: String,
        /// This port alone, though it be an unusual one.
        port: Option<u16>,
    },
    /// A network, or one address.
    Net {
        /// Its first address, or any other.
        net: IpAddr,
        /// How many bits of it count.
        bits: u8,
        /// This port alone, though it be an unusual one.
        port: Option<u16>,
    },
}

impl HostRule {
    fn port(&self) -> Option<u16> {
        match self {
            Self::Name { port, .. } | Self::Net { port, .. } => *port,
        }
    }

    fn covers(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Self::Name { name, .. }, Host::Domain(asked)) => {
                asked.trim_end_matches('.').eq_ignore_ascii_case(name)
            }
            (Self::Net { .. }, Host::Ipv4(asked)) => self.covers_address(IpAddr::V4(*asked)),
            (Self::Net { .. }, Host::Ipv6(asked)) => self.covers_address(IpAddr::V6(*asked)),
            _ => false,
        }
    }

    fn covers_address(&self, asked: IpAddr) -> bool {
        let Self::Net { net, bits, .. } = self else { return false };
        match (net.to_canonical(), asked.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(asked)) => {
                let differ = net.to_bits() ^ asked.to_bits();
                differ.leading_zeros() >= u32::from(*bits)
            }
            (IpAddr::V6(net), IpAddr::V6(asked)) => {
                let differ = net.to_bits() ^ asked.to_bits();
                differ.leading_zeros() >= u32::from(*bits)
            }
            _ => false,
        }
    }
}

impl FromStr for HostRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            Err(format!(
                "`{text}` {why}; write a host, host:port, an address, or a network like 10.0.0.0/8"
            ))
        };
        let single = |net: IpAddr, port| {
            let net = net.to_canonical();
            Self::Net { net, bits: if net.is_ipv4() { 32 } else { 128 }, port }
        };
        if text.contains("://") {
            return wrong("is a URL, not a host");
        }
        if let Some((net, bits)) = text.split_once('/') {
            let (Ok(net), Ok(bits)) = (net.parse::<IpAddr>(), bits.parse::<u8>()) else {
                return wrong("is no network");
            };
            if bits > if net.is_ipv4() { 32 } else { 128 } {
                return wrong("has more bits than its address");
            }
            return Ok(Self::Net { net, bits, port: None });
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(single(address, None));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(single(address.ip(), Some(address.port())));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !text.ends_with(']') => match port.parse() {
                Ok(port) => (host, Some(port)),
                Err(_) => return wrong("has no port after the colon"),
            },
            _ => (text, None),
        };
        // The same reading as a URL gets, so that one host is one host.
        match Host::parse(host) {
            Ok(Host::Ipv4(address)) => Ok(single(IpAddr::V4(address), port)),
            Ok(Host::Ipv6(address)) => Ok(single(IpAddr::V6(address), port)),
            Ok(Host::Domain(name)) if !name.contains('*') => {
                Ok(Self::Name { name: name.trim_end_matches('.').to_owned(), port })
            }
            Ok(Host::Domain(_)) => wrong("has a star, and there are no wildcards here"),
            Err(_) => wrong("is no host"),
        }
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { name, .. } => f.write_str(name)?,
            Self::Net { net, bits, port } => match (net, bits, port) {
                (IpAddr::V6(net), 128, Some(_)) => write!(f, "[{net}]")?,
                (IpAddr::V4(_), 32, _) | (IpAddr::V6(_), 128, None) => write!(f, "{net}")?,
                _ => write!(f, "{net}/{bits}")?,
            },
        }
        self.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// How far a URL is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// Every address its name leads to is still to be judged.
    Checked,
    /// The operator named this host; where it leads to is not judged.
    Trusted,
}

/// Why an address is not called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no URL.
    #[error("URL cannot be read: {0}")]
    Unreadable(String),
    /// It has no host.
    #[error("URL has no hostname: {0}")]
    NoHost(String),
    /// It is not HTTP.
    #[error("URL scheme is {0}, expected http or https")]
    Scheme(String),
    /// A password would end up in logs and results.
    #[error("URL carries a user name or password; use `auth` for that")]
    UserInfo,
    /// It is not encrypted, and has to be.
    #[error("URL is not encrypted, and only https is allowed here ({})", Code::EgressRefused)]
    Plain,
    /// The port is an unusual one.
    #[error(
        "URL targets port {port}, which is not among those allowed; the operator may allow it \
         with --allow-host {host}:{port} ({})",
        Code::EgressRefused
    )]
    Port {
        /// Where to.
        host: String,
        /// The port.
        port: u16,
    },
    /// It is private, local or reserved.
    #[error(
        "URL targets a private/reserved address: {host} -> {what}. The operator may allow it \
         with --allow-host {host}:{port} ({})",
        Code::EgressRefused
    )]
    Address {
        /// Where to.
        host: String,
        /// The address, or why the name cannot be a public one.
        what: String,
        /// The port.
        port: u16,
    },
    /// A redirect gives up encryption.
    #[error("redirect from https to http refused ({})", Code::EgressRefused)]
    Downgrade,
}

impl Refusal {
    /// The URL itself is no good; otherwise it is, and calling it is not allowed.
    pub fn is_malformed(&self) -> bool {
        matches!(self, Self::Unreadable(_) | Self::NoHost(_) | Self::Scheme(_) | Self::UserInfo)
    }
}

/// Decides which URLs and addresses may be called.
#[derive(Debug, Clone)]
pub struct Guard {
    /// What the operator allows beyond the public.
    pub rules: Vec<HostRule>,
    /// The ports that may be called without being named in a rule.
    pub ports: Vec<u16>,
    /// Unencrypted calls are allowed.
    pub plain: bool,
}

impl Default for Guard {
    fn default() -> Self {
        Self { rules: Vec::new(), ports: vec![80, 443, 8080, 8443], plain: true }
    }
}

impl Guard {
    /// Reads a URL the way the call will, and judges it.
    pub fn read(&self, text: &str) -> Result<Url, Refusal> {
        if text.len() > LONGEST {
            return Err(Refusal::Unreadable(format!("it is longer than {LONGEST} bytes")));
        }
        let url = Url::parse(text).map_err(|error| match error {
            ParseError::EmptyHost => Refusal::NoHost(without_query(text).to_owned()),
            other => Refusal::Unreadable(other.to_string()),
        })?;
        self.admit(&url)?;
        Ok(url)
    }

    /// Judges a URL; a name in it is judged again when it is resolved.
    pub fn admit(&self, url: &Url) -> Result<Route, Refusal> {
        match url.scheme() {
            "https" => {}
            "http" if self.plain => {}
            "http" => return Err(Refusal::Plain),
            other => return Err(Refusal::Scheme(other.chars().take(20).collect())),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::UserInfo);
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(Refusal::NoHost(without_query(url.as_str()).to_owned()));
        };
        let rules = || self.rules.iter().filter(|rule| rule.covers(&host));
        let exact = rules().any(|rule| rule.port() == Some(port));
        if !exact && !self.ports.contains(&port) {
            return Err(Refusal::Port { host: host.to_string(), port });
        }
        if exact || rules().any(|rule| rule.port().is_none()) {
            return Ok(Route::Trusted);
        }
        let refused = match host {
            Host::Ipv4(address) => reserved(IpAddr::V4(address)).map(|_| address.to_string()),
            Host::Ipv6(address) => reserved(IpAddr::V6(address)).map(|_| address.to_string()),
            Host::Domain(name) => local(name).map(str::to_owned),
        };
        match refused {
            Some(what) => Err(Refusal::Address { host: host.to_string(), what, port }),
            None => Ok(Route::Checked),
        }
    }

    /// Whether a name may lead to this address.
    pub fn allows_address(&self, address: IpAddr) -> bool {
        reserved(address).is_none()
            || self.rules.iter().any(|rule| rule.port().is_none() && rule.covers_address(address))
    }
}

/// Why a name means something local, if it does.
fn local(name: &str) -> Option<&'static str> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if name.is_empty() {
        return Some("an empty name");
    }
    LOCAL_SUFFIXES
        .iter()
        .any(|suffix| {
            name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
        .then_some("a local name")
}

/// The URL up to what may hold a secret.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// The answer to a [`Lookup`], once it is there.
pub type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Who says to which addresses a name leads.
pub trait Lookup: Send + Sync {
    /// All addresses of `name`.
    fn addresses(&self, name: String) -> Looking;
}

/// The resolver of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn addresses(&self, name: String) -> Looking {
        Box::pin(async move {
            Ok(tokio::net::lookup_host((name, 0)).await?.map(|found| found.ip()).collect())
        })
    }
}

/// Why a name gave no address to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unresolved {
    /// It leads nowhere.
    Unknown {
        /// The name.
        host: String,
    },
    /// It leads to addresses that may not be called, and to no other.
    Blocked {
        /// The name.
        host: String,
        /// The first of them.
        address: IpAddr,
    },
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { host } => write!(f, "Cannot resolve hostname: {host}"),
            Self::Blocked { host, address } => {
                write!(f, "URL targets a private/reserved address: {host} -> {address}")
            }
        }
    }
}

impl Error for Unresolved {}

/// Resolves names for a client, and drops the addresses that may not be called.
pub struct GuardedResolver {
    guard: Arc<Guard>,
    lookup: Arc<dyn Lookup>,
    route: Route,
}

impl GuardedResolver {
    /// A resolver for a client that serves URLs of this route alone.
    pub fn new(guard: Arc<Guard>, lookup: Arc<dyn Lookup>, route: Route) -> Self {
        Self { guard, lookup, route }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let looking = self.lookup.addresses(host.clone());
        let guard = Arc::clone(&self.guard);
        let route = self.route;
        Box::pin(async move {
            let found = looking.await.map_err(|error| {
                tracing::debug!(%host, %error, "a name could not be resolved");
                Unresolved::Unknown { host: host.clone() }
            })?;
            let kept = callable(&guard, route, host, &found)?;
            let kept: Addrs = Box::new(kept.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(kept)
        })
    }
}

/// Those of the addresses that may be called; never none.
fn callable(
    guard: &Guard,
    route: Route,
    host: String,
    found: &[IpAddr],
) -> Result<Vec<IpAddr>, Unresolved> {
    let kept: Vec<IpAddr> = found
        .iter()
        .copied()
        .filter(|address| route == Route::Trusted || guard.allows_address(*address))
        .collect();
    match (kept.is_empty(), found.first()) {
        (false, _) => Ok(kept),
        (true, None) => Err(Unresolved::Unknown { host }),
        (true, Some(first)) => Err(Unresolved::Blocked { host, address: *first }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowing(rules: &[&str]) -> Guard {
        let rules = rules.iter().map(|rule| rule.parse().expect("a rule")).collect();
        Guard { rules, ..Guard::default() }
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    }

    #[test]
    fn a_rule_is_read_as_people_write_it() {
        for (text, shown) in [
            ("LocalHost", "localhost"),
            ("db.corp.:5432", "db.corp:5432"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3"),
            ("10.1.2.3:9000", "10.1.2.3:9000"),
            ("0x7f.1", "127.0.0.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("[::1]:80", "[::1]:80"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("fd00::/8", "fd00::/8"),
            ("bücher.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(text.parse::<HostRule>().map(|rule| rule.to_string()), Ok(shown.to_owned()));
        }
        for text in [
            "",
            "http://a",
            "*.corp",
            "a:",
            "a:b",
            "a:99999",
            "10.0.0.0/33",
            "::/129",
            "a/8",
            "a b",
            "10.0.0.0/",
            "[::1",
            "a/b",
        ] {
            let refused = text.parse::<HostRule>().expect_err(text);
            assert!(refused.starts_with(&format!("`{text}` ")), "{refused}");
        }
    }

    #[test]
    fn a_rule_opens_its_place_and_no_other() {
        let admit = |rules: &[&str], url: &str| {
            allowing(rules).admit(&Url::parse(url).expect("a URL")).ok()
        };
        let local = "http://127.0.0.1:9000/";
        assert_eq!(admit(&[], local), None);
        assert_eq!(admit(&["127.0.0.1:9000"], local), Some(Route::Trusted));
        assert_eq!(admit(&["127.0.0.1:9001"], local), None);
        assert_eq!(admit(&["127.0.0.1"], local), None, "a place does not open a port");
        assert_eq!(admit(&["127.0.0.1"], "http://127.0.0.1:8080/"), Some(Route::Trusted));
        assert_eq!(admit(&["localhost:9000"], local), None, "a name is not its address");
        assert_eq!(admit(&["127.0.0.1:9000"], "http://127.0.0.2:9000/"), None);
        let mapped = "http://[::ffff:127.0.0.1]:9000/";
        assert_eq!(admit(&["127.0.0.1:9000"], mapped), Some(Route::Trusted), "one address");
        assert_eq!(admit(&["10.0.0.0/8"], "http://10.200.0.1/"), Some(Route::Trusted));
        assert_eq!(admit(&["10.0.0.0/8"], "http://11.0.0.1/"), Some(Route::Checked));
        assert_eq!(admit(&["10.0.0.0/8"], "http://192.168.0.1/"), None);
        assert_eq!(admit(&["0.0.0.0/0"], "http://[::1]/"), None, "four is not six");
        assert_eq!(admit(&["fd00::/8"], "http://[fd12::1]/"), Some(Route::Trusted));
        assert_eq!(admit(&["localhost"], "http://localhost./"), Some(Route::Trusted));
        assert_eq!(admit(&["localhost"], "http://a.localhost/"), None);
    }

    #[test]
    fn public_urls_pass_and_others_say_why_not() {
        let guard = Guard::default();
        for url in
            ["https://example.com/", "http://93.184.216.34:8080/x", "https://[2606:4700::1]/"]
        {
            assert!(guard.read(url).is_ok(), "{url}");
        }
        for (url, why) in [
            (
                "http://127.0.0.1/",
                "URL targets a private/reserved address: 127.0.0.1 -> 127.0.0.1.",
            ),
            ("https://db.internal/", "private/reserved address: db.internal -> a local name"),
            ("http://", "URL has no hostname: http://"),
            ("https://?token=CANARY", "URL has no hostname: https://"),
            ("not a url", "URL cannot be read: relative URL without a base"),
            ("file:///etc/passwd", "URL scheme is file, expected http or https"),
            ("http://me:CANARY@example.com/", "URL carries a user name or password"),
            ("http://example.com:22/", "port 22, which is not among those allowed"),
        ] {
            let refused = guard.read(url).expect_err(url).to_string();
            assert!(refused.contains(why) && !refused.contains("CANARY"), "{refused}");
        }
        let strict = Guard { plain: false, ..Guard::default() };
        assert_eq!(strict.read("http://example.com/"), Err(Refusal::Plain));
        assert!(strict.read("https://example.com/").is_ok());
        assert!(guard.read(&format!("https://example.com/{}", "x".repeat(LONGEST))).is_err());
    }

    #[test]
    fn s3_of_mixed_addresses_only_the_public_ones_are_called() {
        let found = addresses(&["10.0.0.1", "93.184.216.34", "::1", "2606:4700::1"]);
        let host = || "mixed.test".to_owned();
        let public = callable(&Guard::default(), Route::Checked, host(), &found);
        assert_eq!(public, Ok(addresses(&["93.184.216.34", "2606:4700::1"])));
        let with_net = callable(&allowing(&["10.0.0.0/8"]), Route::Checked, host(), &found[..1]);
        assert_eq!(with_net, Ok(addresses(&["10.0.0.1"])));
        let one_port = callable(&allowing(&["10.0.0.1:80"]), Route::Checked, host(), &found[..1]);
        assert!(one_port.is_err(), "a rule with a port is for URLs that show both");
        let trusted = callable(&Guard::default(), Route::Trusted, host(), &found);
        assert_eq!(trusted, Ok(found.clone()));
        assert_eq!(
            callable(&Guard::default(), Route::Checked, host(), &found[..1]),
            Err(Unresolved::Blocked { host: host(), address: found[0] })
        );
        assert_eq!(
            callable(&Guard::default(), Route::Trusted, host(), &[]),
            Err(Unresolved::Unknown { host: host() })
        );
    }
}
