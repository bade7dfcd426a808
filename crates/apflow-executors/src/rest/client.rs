//! One call: the clients, the redirects followed by hand, and the body read up to its cap.

use std::{
    collections::HashMap,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, LOCATION},
    redirect::Policy,
};
use rustls::crypto::ring;
use url::Url;

use super::{
    RestConfig,
    request::{Content, Request},
    secret,
};
use crate::guard::{Guard, GuardedResolver, Lookup, Refusal, Route, Unresolved};

/// Headers of an answer that are kept; the others may hold what others should not read.
const KEPT: [&str; 20] = [
    "age",
    "allow",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "deprecation",
    "etag",
    "expires",
    "last-modified",
    "link",
    "location",
    "retry-after",
    "sunset",
    "vary",
    "x-request-id",
];

/// Families of such headers.
const KEPT_PREFIXES: [&str; 3] = ["ratelimit", "x-ratelimit-", "x-total-"];

/// Characters kept of one header.
const LONGEST_HEADER: usize = 2000;

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) truncated: bool,
}

/// Why nothing came back.
pub(crate) enum Trouble {
    /// The guard refused a URL.
    Refused(Refusal),
    /// A name led to what may not be called.
    Blocked(String),
    /// The same call will not go better.
    Final(String),
    /// The same call may go better.
    Passing(String),
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// How certificates are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Certificates {
    /// Not at all: the call is not encrypted.
    None,
    Checked,
    Unchecked,
}

/// Clients by how far they trust, each made when it is first needed.
///
/// Reading the certificates of the system costs milliseconds, and on a machine without any it
/// fails; neither should happen to a process that calls nobody.
pub(crate) struct Clients {
    guard: Arc<Guard>,
    lookup: Arc<dyn Lookup>,
    connect_timeout: Duration,
    made: Mutex<HashMap<(Route, Certificates), Client>>,
}

impl Clients {
    pub(crate) fn new(
        guard: Arc<Guard>,
        lookup: Arc<dyn Lookup>,
        connect_timeout: Duration,
    ) -> Self {
        Self { guard, lookup, connect_timeout, made: Mutex::default() }
    }

    /// The client for URLs of this route; it follows no redirects.
    pub(crate) fn get(&self, route: Route, certificates: Certificates) -> Result<Client, Trouble> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(&(route, certificates)) {
            return Ok(client.clone());
        }
        let client = self.make(route, certificates)?;
        made.insert((route, certificates), client.clone());
        Ok(client)
    }

    fn make(&self, route: Route, certificates: Certificates) -> Result<Client, Trouble> {
        // reqwest asks for the provider of the process; if there is one already, it will do.
        let _ = ring::default_provider().install_default();
        let resolver =
            GuardedResolver::new(Arc::clone(&self.guard), Arc::clone(&self.lookup), route);
        let client = Client::builder()
            .user_agent(concat!("apflow/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .dns_resolver(Arc::new(resolver));
        match certificates {
            Certificates::None => client.tls_certs_only([]),
            Certificates::Checked => client,
            Certificates::Unchecked => client.tls_danger_accept_invalid_certs(true),
        }
        .build()
        .map_err(|error| {
            Trouble::Final(format!("no encrypted call can be made here: {}", causes(&error)))
        })
    }
}

/// Makes the call and follows its redirects, each judged like a first call.
pub(super) async fn call(
    clients: &Clients,
    guard: &Guard,
    config: &RestConfig,
    request: &Request,
) -> Result<Answer, Trouble> {
    let mut hop = Hop {
        url: request.sent_url(),
        method: request.method.clone(),
        content: request.content.clone(),
        at_home: true,
    };
    let mut followed = 0;
    loop {
        let route = guard.admit(&hop.url)?;
        let certificates = match (hop.url.scheme(), request.verify) {
            ("https", true) => Certificates::Checked,
            ("https", false) => Certificates::Unchecked,
            _ => Certificates::None,
        };
        let client = clients.get(route, certificates)?;
        let response = hop.request(&client, request).send().await.map_err(trouble)?;
        let Some(next) = redirect(&hop.url, &response)? else {
            // The first URL is shown as it was before a key went into its query.
            let shown = if followed == 0 { request.url.clone() } else { hop.url };
            return read(response, shown, config.max_body).await;
        };
        if followed == config.max_redirects {
            return Err(Trouble::Final(format!("more than {followed} redirects")));
        }
        followed += 1;
        hop = hop.on(next, response.status())?;
    }
}

/// One of the calls a redirect makes necessary.
struct Hop {
    url: Url,
    method: Method,
    content: Option<Content>,
    /// Still at the origin the task named; what it proves itself with goes nowhere else.
    at_home: bool,
}

impl Hop {
    fn request(&self, client: &Client, request: &Request) -> RequestBuilder {
        let mut headers = if self.at_home { request.headers.clone() } else { HeaderMap::new() };
        let mut sent = client.request(self.method.clone(), self.url.clone());
        if let Some(content) = &self.content {
            let said = request.headers.get(CONTENT_TYPE).or(content.kind.as_ref());
            if let Some(kind) = said {
                headers.insert(CONTENT_TYPE, kind.clone());
            }
            sent = sent.body(content.bytes.clone());
        }
        sent.headers(headers)
    }

    fn on(self, url: Url, status: StatusCode) -> Result<Self, Trouble> {
        if self.url.scheme() == "https" && url.scheme() == "http" {
            return Err(Refusal::Downgrade.into());
        }
        let at_home = self.at_home && self.url.origin() == url.origin();
        let becomes_get = status == StatusCode::SEE_OTHER && self.method != Method::HEAD
            || matches!(status, StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND)
                && self.method == Method::POST;
        Ok(if becomes_get {
            Self { url, method: Method::GET, content: None, at_home }
        } else {
            Self { url, at_home, ..self }
        })
    }
}

/// Where the answer sends us, if it does.
fn redirect(from: &Url, response: &Response) -> Result<Option<Url>, Trouble> {
    let redirects = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(to) = response.headers().get(LOCATION).filter(|_| redirects) else { return Ok(None) };
    let url = to.to_str().ok().and_then(|to| from.join(to).ok());
    url.map(Some).ok_or_else(|| Trouble::Final("a redirect leads to what is no URL".to_owned()))
}

async fn read(mut response: Response, url: Url, most: usize) -> Result<Answer, Trouble> {
    let status = response.status();
    let headers = kept(response.headers(), &url);
    let mut body = Vec::new();
    let mut truncated = false;
    while let Some(chunk) = response.chunk().await.map_err(trouble)? {
        let room = most - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            // The response is dropped, and with it the connection: an endless body ends here.
            truncated = true;
            break;
        }
    }
    Ok(Answer { status, url, headers, body, truncated })
}

/// The headers that may be kept, several of one name joined.
fn kept(headers: &HeaderMap, from: &Url) -> Vec<(String, String)> {
    let mut kept = Vec::new();
    for name in headers.keys() {
        let known = KEPT.contains(&name.as_str())
            || KEPT_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix));
        if !known {
            continue;
        }
        let values: Vec<String> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        let mut value: String = values.join(", ").chars().take(LONGEST_HEADER).collect();
        if *name == LOCATION
            && let Ok(url) = from.join(&value)
        {
            value = secret::shown(&url);
        }
        kept.push((name.as_str().to_owned(), value));
    }
    kept
}

/// What went wrong on the way; the URL is left out, for it may hold a key.
pub(crate) fn trouble(error: reqwest::Error) -> Trouble {
    let error = error.without_url();
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(at) = cause {
        match at.downcast_ref::<Unresolved>() {
            Some(Unresolved::Blocked { .. }) => {
                return Trouble::Blocked(format!(
                    "{at}. The operator may allow the name with --allow-host ({})",
                    apflow_core::code::Code::EgressRefused
                ));
            }
            Some(Unresolved::Unknown { .. }) => return Trouble::Passing(at.to_string()),
            None => cause = at.source(),
        }
    }
    let why = causes(&error);
    if error.is_builder() {
        return Trouble::Final(format!("the request cannot be made: {why}"));
    }
    Trouble::Passing(if error.is_timeout() {
        format!("no connection in time: {why}")
    } else if error.is_connect() {
        format!("no connection: {why}")
    } else {
        why
    })
}

/// The error with everything behind it, each said once.
fn causes(error: &dyn Error) -> String {
    let mut said: Vec<String> = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(at) = cause {
        let text = at.to_string();
        if !said.iter().any(|before| before.contains(&text)) {
            said.push(text);
        }
        cause = at.source();
    }
    said.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(url: &str) -> Hop {
        let url = Url::parse(url).expect("a URL");
        Hop { url, method: Method::GET, content: None, at_home: true }
    }

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn s5_a_redirect_never_gives_up_encryption() {
        let down = hop("https://a.example/").on(url("http://a.example/"), StatusCode::FOUND);
        assert!(matches!(down, Err(Trouble::Refused(Refusal::Downgrade))));
        let up = hop("http://a.example/").on(url("https://a.example/"), StatusCode::FOUND);
        assert!(up.is_ok_and(|hop| !hop.at_home), "another scheme is another origin");
    }

    #[test]
    fn who_has_left_home_does_not_return() {
        let home = "https://a.example/";
        let away = hop(home).on(url("https://b.example/"), StatusCode::FOUND).ok();
        let back = away.and_then(|hop| hop.on(url(home), StatusCode::FOUND).ok());
        assert!(back.is_some_and(|hop| !hop.at_home), "the path back was chosen by another");
        let stayed = hop(home).on(url("https://a.example:443/x"), StatusCode::FOUND);
        assert!(stayed.is_ok_and(|hop| hop.at_home));
    }

    #[test]
    fn headers_are_kept_by_list_and_cut() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("set-cookie", "sid=1"),
            ("www-authenticate", "Basic"),
            ("x-ratelimit-left", "3"),
            ("link", "<a>"),
            ("link", "<b>"),
            ("location", "/next?token=CANARY"),
        ] {
            headers.append(name, value.parse().expect("a value"));
        }
        headers.insert("etag", "x".repeat(5000).parse().expect("a value"));
        let kept: HashMap<String, String> =
            kept(&headers, &url("https://a.example/")).into_iter().collect();
        assert_eq!(kept.len(), 4, "{:?}", kept.keys());
        assert_eq!(kept["link"], "<a>, <b>");
        assert_eq!(kept["location"], "https://a.example/next?token=***");
        assert_eq!(kept["etag"].len(), LONGEST_HEADER);
    }
}
