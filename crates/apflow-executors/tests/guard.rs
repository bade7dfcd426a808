//! The egress guard from outside: a canary on this machine that nobody may reach.

#![expect(clippy::expect_used, reason = "a helper of tests may panic")]

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use apflow_core::task::FailureKind;
use apflow_executors::{
    guard::{Looking, Lookup},
    rest::{RestConfig, RestExecutor},
};
use axum::{
    Router,
    http::{StatusCode, Uri, header::LOCATION},
    routing::any,
};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{failed_as, failure, rest::serve, run};

/// Counts who connects.
struct Canary {
    port: u16,
    hits: Arc<AtomicUsize>,
}

impl Canary {
    async fn sit() -> Self {
        let perch = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let port = perch.local_addr().expect("bound").port();
        let hits = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&hits);
        tokio::spawn(async move {
            while perch.accept().await.is_ok() {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { port, hits }
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    /// A configuration in which the port is no obstacle, so that the address has to be one.
    fn config(&self) -> RestConfig {
        RestConfig { ports: vec![self.port], ..RestConfig::default() }
    }
}

/// Names and where they lead to.
struct Phonebook(HashMap<&'static str, Vec<IpAddr>>);

impl Lookup for Phonebook {
    fn addresses(&self, name: String) -> Looking {
        let found = self.0.get(name.as_str()).cloned();
        Box::pin(async move { found.ok_or_else(|| io::Error::other("no such name")) })
    }
}

fn phonebook(entries: &[(&'static str, &[&str])]) -> Arc<dyn Lookup> {
    let book = entries.iter().map(|(name, addresses)| {
        (*name, addresses.iter().map(|text| text.parse().expect("an address")).collect())
    });
    Arc::new(Phonebook(book.collect()))
}

#[tokio::test]
async fn s1_no_spelling_of_an_internal_address_reaches_the_canary() {
    let canary = Canary::sit().await;
    let executor = RestExecutor::new(&canary.config());
    let hosts = [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "127.0.0.2",
        "127.255.255.254",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0x7f.0x0.0x0.0x1",
        "0X7F.0.0.1",
        "0177.0.0.1",
        "0177.1",
        "017700000001",
        "0",
        "0.0.0.0",
        "0x0",
        "00000",
        "①②⑦.⓪.⓪.①",
        "１２７.０.０.１",
        "127。0。0。1",
        "127．0．0．1",
        "127｡0｡0｡1",
        "%31%32%37.0.0.1",
        "127%2e0%2e0%2e1",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[0000::0001]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::FFFF:7F00:0001]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2002:7f00:1::1]",
        "[2001:0:7f00:1::]",
        "[fe80::1]",
        "[fec0::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "[2001:db8::1]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "a.b.localhost.",
        "ｌｏｃａｌｈｏｓｔ",
        "localhost.localdomain",
        "printer.local",
        "metadata.google.internal",
        "metadata.google.internal.",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[2002:a9fe:a9fe::]",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
    ];
    let port = canary.port;
    let mut urls: Vec<String> =
        hosts.iter().map(|host| format!("http://{host}:{port}/latest")).collect();
    urls.extend([
        format!("http:127.0.0.1:{port}"),
        format!("http:/127.0.0.1:{port}"),
        format!("http:///127.0.0.1:{port}"),
        format!(r"http:\\127.0.0.1:{port}"),
        format!(" http://127.0.0.1:{port}"),
        format!("ht\ntp://127.0\t.0.1:{port}"),
        format!("HTTP://127.0.0.1:{port}#@example.com"),
        format!("http://127.0.0.1:{port}?@example.com"),
        format!("https://127.0.0.1:{port}"),
        format!("http://@127.0.0.1:{port}"),
    ]);
    assert!(urls.len() >= 55, "{}", urls.len());
    for url in &urls {
        let text = failed_as(run(&executor, json!({"url": url})).await, FailureKind::NotAllowed);
        assert!(text.contains("targets a private/reserved address: "), "{url}: {text}");
    }
    for url in [
        format!("http://example.com@127.0.0.1:{port}"),
        format!("http://example.com:80@127.0.0.1:{port}"),
        format!("http://127.0.0.1%00.example.com:{port}"),
        format!("http://127.0.0.1 :{port}"),
        format!("http://256.0.0.1:{port}"),
        format!("http://[::1%25lo]:{port}"),
        format!("http://:{port}"),
    ] {
        failed_as(run(&executor, json!({"url": url})).await, FailureKind::InvalidInput);
    }
    assert_eq!(canary.hits(), 0);
}

#[tokio::test]
async fn s3_a_name_that_leads_inside_is_not_called() {
    let canary = Canary::sit().await;
    let book = phonebook(&[
        ("rebind.example.com", &["127.0.0.1"]),
        ("mapped.example.com", &["::ffff:127.0.0.1"]),
        ("all.example.com", &["10.0.0.1", "169.254.169.254", "::1"]),
    ]);
    let executor = RestExecutor::with_lookup(&canary.config(), book);
    for (name, first) in [
        ("rebind.example.com", "127.0.0.1"),
        ("mapped.example.com", "::ffff:127.0.0.1"),
        ("all.example.com", "10.0.0.1"),
    ] {
        let url = format!("http://{name}:{}/", canary.port);
        let text = failed_as(run(&executor, json!({"url": url})).await, FailureKind::NotAllowed);
        assert!(
            text.starts_with(&format!(
                "[rest_executor] URL targets a private/reserved address: {name} -> {first}"
            )),
            "{text}"
        );
    }
    let nowhere =
        json!({"url": format!("http://nowhere.example.com:{}/?token=CANARY", canary.port)});
    let text = failure(run(&executor, nowhere).await).message;
    assert!(text.contains("Cannot resolve hostname: nowhere.example.com"), "{text}");
    assert!(!text.contains("CANARY"), "{text}");
    assert_eq!(canary.hits(), 0);
}

#[tokio::test]
async fn a_name_the_operator_allows_may_lead_inside() {
    let port = serve(Router::new().route("/", any(|| async { "inside" }))).await;
    let book = phonebook(&[("intranet.example.com", &["127.0.0.1"])]);
    let rule = format!("intranet.example.com:{port}").parse().expect("a rule");
    let config = RestConfig { allow_hosts: vec![rule], ..RestConfig::default() };
    let executor = RestExecutor::with_lookup(&config, book);
    let url = format!("http://intranet.example.com:{port}/");
    assert_eq!(run(&executor, json!({"url": url})).await.expect("called")["text"], "inside");
}

#[tokio::test]
async fn the_name_localhost_works_once_it_is_allowed_with_its_port() {
    let port = serve(Router::new().route("/", any(|| async { "home" }))).await;
    let rule = format!("localhost:{port}").parse().expect("a rule");
    let executor =
        RestExecutor::new(&RestConfig { allow_hosts: vec![rule], ..RestConfig::default() });
    let url = format!("http://localhost:{port}/");
    assert_eq!(run(&executor, json!({"url": url})).await.expect("called")["text"], "home");
}

#[tokio::test]
async fn s5_a_redirect_leads_nowhere_a_call_may_not() {
    let canary = Canary::sit().await;
    let targets = [
        format!("http://127.0.0.1:{}/", canary.port),
        format!("//127.0.0.1:{}/", canary.port),
        format!("http://localhost:{}/", canary.port),
        format!("http://2130706433:{}/", canary.port),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1:70/".to_owned(),
        "http://me:secret@example.com/".to_owned(),
        "http://[::1/".to_owned(),
    ];
    for status in [301_u16, 302, 303, 307, 308] {
        for target in &targets {
            let to = target.clone();
            let app = Router::new().route(
                "/",
                any(move || async move {
                    (StatusCode::from_u16(status).expect("a status"), [(LOCATION, to)])
                }),
            );
            let port = serve(app).await;
            let rule = format!("127.0.0.1:{port}").parse().expect("a rule");
            let config = RestConfig { allow_hosts: vec![rule], ..canary.config() };
            let url = format!("http://127.0.0.1:{port}/");
            let outcome = run(&RestExecutor::new(&config), json!({"url": url})).await;
            assert!(outcome.is_err(), "{status} {target}: {outcome:?}");
        }
    }
    assert_eq!(canary.hits(), 0);
}

#[tokio::test]
async fn s7_other_schemes_are_refused() {
    let executor = RestExecutor::new(&RestConfig::default());
    for url in [
        "file:///etc/passwd",
        "gopher://example.com/",
        "ftp://example.com/",
        "unix:/run/docker.sock",
        "http+unix://%2Frun%2Fdocker.sock/info",
        "data:text/plain,hi",
        "javascript:alert(1)",
        "ws://example.com/",
        "example.com",
        "/etc/passwd",
    ] {
        failed_as(run(&executor, json!({"url": url})).await, FailureKind::InvalidInput);
    }
}

/// Started by the test below with a proxy in its environment.
#[tokio::test]
async fn a_call_goes_straight_to_its_target() {
    let app = Router::new().route("/", any(|uri: Uri| async move { uri.to_string() }));
    let port = serve(app).await;
    let rule = format!("127.0.0.1:{port}").parse().expect("a rule");
    let executor =
        RestExecutor::new(&RestConfig { allow_hosts: vec![rule], ..RestConfig::default() });
    let url = format!("http://127.0.0.1:{port}/");
    // A proxy would be sent the whole URL.
    assert_eq!(run(&executor, json!({"url": url})).await.expect("called")["text"], "/");
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_not_asked() {
    let canary = Canary::sit().await;
    let proxy = format!("http://127.0.0.1:{}", canary.port);
    let mut child = tokio::process::Command::new(std::env::current_exe().expect("this test"));
    child.args(["--exact", "guard::a_call_goes_straight_to_its_target"]);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
        child.env(name, &proxy);
    }
    let output = child.output().await.expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(canary.hits(), 0);
}
