//! Callbacks on their way out, against servers on this machine.

#![expect(clippy::expect_used, reason = "a helper of tests may panic")]

use std::{
    collections::BTreeMap,
    io,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use apflow_core::{
    code::Code,
    courier::{Courier, Delivery, NotCallable, Outcome, Target},
    testing::ManualClock,
    time::Timestamp,
};
use apflow_executors::{
    courier::{CourierConfig, CourierSecret, HttpCourier, SigningKey},
    guard::{Looking, Lookup},
};
use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, header},
    response::IntoResponse,
    routing::any,
};

use crate::rest::serve;

const SECRET: &str = "a secret of some length";
const NOON: Timestamp = Timestamp(1_763_640_000_250_000);

/// What a receiver was sent.
#[derive(Debug, Clone)]
struct Came {
    method: Method,
    headers: HeaderMap,
    body: String,
}

type Inbox = Arc<Mutex<Vec<Came>>>;

/// A receiver that answers like this, and what it was sent.
async fn receiver(answer: impl IntoResponse + Clone + Send + Sync + 'static) -> (u16, Inbox) {
    let inbox = Inbox::default();
    let kept = Arc::clone(&inbox);
    let app =
        Router::new().fallback(any(move |method: Method, headers: HeaderMap, body: Bytes| {
            let body = String::from_utf8_lossy(&body).into_owned();
            kept.lock().expect("no panic").push(Came { method, headers, body });
            let answer = answer.clone();
            async move { answer }
        }));
    (serve(app).await, inbox)
}

fn config(port: u16) -> CourierConfig {
    let mut config = CourierConfig::default();
    config.allow_hosts.push(format!("127.0.0.1:{port}").parse().expect("a rule"));
    config
}

fn courier(config: &CourierConfig) -> HttpCourier {
    HttpCourier::new(config, Arc::new(ManualClock::new(NOON)))
}

fn keyed(port: u16) -> HttpCourier {
    let mut config = config(port);
    config.key = Some(SigningKey::new(SECRET).expect("long enough"));
    courier(&config)
}

fn target(url: &str, headers: &[(&str, &str)]) -> Target {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Target { url: url.to_owned(), put: false, headers }
}

fn at(port: u16) -> String {
    format!("http://127.0.0.1:{port}/hook")
}

fn delivery(packed: String) -> Delivery {
    Delivery {
        id: "msg_cb_7".to_owned(),
        callback: "cb".to_owned(),
        target: packed,
        timeout: Duration::from_secs(5),
        body: r#"{"type":"final"}"#.to_owned(),
    }
}

async fn send(courier: &HttpCourier, target: &Target) -> Outcome {
    let packed = courier.pack("cb", target).expect("may be called");
    courier.deliver(delivery(packed)).await
}

#[tokio::test]
async fn a_delivery_carries_its_id_its_moment_and_both_signatures() {
    let (port, inbox) = receiver("thanks").await;
    let mut target = target(&at(port), &[("X-Tenant", "blue"), ("Authorization", "Bearer abc")]);
    target.put = true;
    assert_eq!(send(&keyed(port), &target).await, Outcome::Delivered);
    let came = inbox.lock().expect("no panic").remove(0);
    let header = |name: &str| came.headers[name].to_str().expect("text").to_owned();
    assert_eq!((came.method.as_str(), came.body.as_str()), ("PUT", r#"{"type":"final"}"#));
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(
        (header("webhook-id"), header("webhook-timestamp")),
        ("msg_cb_7".into(), "1763640000".into())
    );
    let key = SigningKey::new(SECRET).expect("long enough");
    assert_eq!(header("webhook-signature"), key.standard("msg_cb_7", "1763640000", &came.body));
    assert_eq!(header("x-webhook-signature"), key.own("1763640000", &came.body));
    assert_eq!(header("x-webhook-timestamp"), "1763640000");
    assert_eq!((header("x-tenant"), header("authorization")), ("blue".into(), "Bearer abc".into()));

    let (port, inbox) = receiver("thanks").await;
    let unsigned = send(&courier(&config(port)), &self::target(&at(port), &[])).await;
    assert_eq!(unsigned, Outcome::Delivered);
    let came = inbox.lock().expect("no panic").remove(0);
    assert!(came.headers.get("webhook-signature").is_none(), "there is no secret to sign with");
    assert_eq!(came.headers["webhook-id"], "msg_cb_7");
}

#[tokio::test]
async fn a18_the_status_decides_how_it_goes_on() {
    let failed = |why: &str, again, after: Option<u64>| Outcome::Failed {
        why: why.to_owned(),
        again,
        after: after.map(Duration::from_secs),
    };
    for (status, outcome) in [
        (204, Outcome::Delivered),
        (410, Outcome::Gone),
        (400, failed("HTTP status 400", false, None)),
        (404, failed("HTTP status 404", false, None)),
        (408, failed("HTTP status 408", true, None)),
        (429, failed("HTTP status 429", true, None)),
        (500, failed("HTTP status 500", true, None)),
    ] {
        let (port, _) = receiver(StatusCode::from_u16(status).expect("a status")).await;
        assert_eq!(send(&keyed(port), &target(&at(port), &[])).await, outcome, "{status}");
    }
    let (port, _) = receiver((StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "7")])).await;
    let asked = send(&keyed(port), &target(&at(port), &[])).await;
    assert_eq!(asked, failed("HTTP status 503", true, Some(7)));
}

#[tokio::test]
async fn s5_a_redirect_is_not_followed() {
    let (inner, inbox) = receiver("secret").await;
    let (port, _) = receiver((StatusCode::FOUND, [(header::LOCATION, at(inner))])).await;
    let outcome = send(&keyed(port), &target(&at(port), &[])).await;
    assert!(matches!(outcome, Outcome::Failed { again: false, .. }), "{outcome:?}");
    assert!(inbox.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_costs_no_more_than_its_time() {
    let app = Router::new().fallback(any(|| async {
        tokio::time::sleep(Duration::from_mins(1)).await;
    }));
    let port = serve(app).await;
    let courier = keyed(port);
    let packed = courier.pack("cb", &target(&at(port), &[])).expect("may be called");
    let began = Instant::now();
    let short = Delivery { timeout: Duration::from_millis(200), ..delivery(packed) };
    let outcome = courier.deliver(short).await;
    assert!(matches!(outcome, Outcome::Failed { again: true, .. }), "{outcome:?}");
    assert!(began.elapsed() < Duration::from_secs(3));
    // Nobody listens there at all.
    let closed = at(1);
    let mut config = CourierConfig::default();
    config.allow_hosts.push("127.0.0.1:1".parse().expect("a rule"));
    let outcome = send(&self::courier(&config), &target(&closed, &[])).await;
    assert!(matches!(outcome, Outcome::Failed { again: true, .. }), "{outcome:?}");
}

/// Says that every name leads here.
struct Inward(&'static str);

impl Lookup for Inward {
    fn addresses(&self, _: String) -> Looking {
        let address: IpAddr = self.0.parse().expect("an address");
        Box::pin(async move { Ok::<_, io::Error>(vec![address]) })
    }
}

#[tokio::test]
async fn s13_an_internal_address_is_refused_when_it_is_asked_for_and_when_it_is_called() {
    let strict = courier(&CourierConfig::default());
    for url in [
        "http://127.0.0.1/hook",
        "http://2130706433/hook",
        "http://[::ffff:127.0.0.1]/hook",
        "http://169.254.169.254/latest/meta-data",
        "http://100.100.100.200/",
        "http://localhost:8000/tasks",
        "http://metadata.google.internal/",
        "https://example.com:22/",
    ] {
        let refused = strict.pack("cb", &target(url, &[])).expect_err(url);
        assert_eq!(refused.code, Code::EgressRefused, "{url}");
        assert_eq!(refused.field, "webhook_config.url");
    }
    for url in ["ftp://example.com/", "nonsense", "https://me:pw@example.com/"] {
        let refused = strict.pack("cb", &target(url, &[])).expect_err(url);
        assert_eq!(refused.code, Code::InvalidParams, "{url}");
    }
    // It was allowed when it was stored, and is not any more.
    let (port, inbox) = receiver("hello").await;
    let packed = courier(&config(port)).pack("cb", &target(&at(port), &[])).expect("allowed");
    let outcome = strict.deliver(delivery(packed)).await;
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    // A name that is judged when it is resolved.
    let clock = Arc::new(ManualClock::new(NOON));
    for inward in ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1"] {
        let lookup = Arc::new(Inward(inward));
        let courier = HttpCourier::with_lookup(&CourierConfig::default(), clock.clone(), lookup);
        let outcome = send(&courier, &target("http://hooks.example.com/", &[])).await;
        let Outcome::Refused(why) = outcome else { panic!("{inward}: {outcome:?}") };
        assert!(why.contains("private/reserved"), "{why}");
    }
    assert!(inbox.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn no_secret_lies_in_what_is_stored() {
    let (port, inbox) = receiver("thanks").await;
    let url = format!("{}?token=CANARY", at(port));
    let secret = target(&url, &[("Authorization", "Bearer CANARY"), ("X-Plain", "CANARY")]);
    let keyed = keyed(port);
    let packed = keyed.pack("cb", &secret).expect("sealed");
    assert!(!packed.contains("CANARY"), "{packed}");
    assert!(matches!(keyed.deliver(delivery(packed.clone())).await, Outcome::Delivered));
    let came = inbox.lock().expect("no panic").remove(0);
    assert_eq!(came.headers["authorization"], "Bearer CANARY");
    // Moved to another row, or under another secret, it opens no more.
    let moved = Delivery { callback: "other".to_owned(), ..delivery(packed.clone()) };
    for (courier, delivery) in [(&keyed, moved), (&courier(&config(port)), delivery(packed))] {
        let outcome = courier.deliver(delivery).await;
        assert!(matches!(outcome, Outcome::Failed { again: false, .. }), "{outcome:?}");
    }
    // Without a secret to seal with it is not taken at all.
    let open = courier(&config(port));
    for target in [
        target(&url, &[]),
        target(&at(port), &[("Authorization", "Bearer CANARY")]),
        target(&at(port), &[("X-Api-Key", "CANARY")]),
        target(&at(port), &[("Cookie", "sid=CANARY")]),
    ] {
        let NotCallable { code, reason, hint, .. } = open.pack("cb", &target).expect_err("refused");
        assert_eq!(code, Code::InvalidParams);
        assert!(!reason.contains("CANARY") && hint.is_some(), "{reason}");
    }
    assert!(open.pack("cb", &target(&at(port), &[("X-Tenant", "blue")])).is_ok());
}

#[tokio::test]
async fn a_named_secret_goes_only_to_its_hosts() {
    let (port, inbox) = receiver("thanks").await;
    let mut config = config(port);
    config.secrets = BTreeMap::from([
        (
            "crm".to_owned(),
            CourierSecret { value: "CANARY".into(), hosts: vec!["127.0.0.1".into()] },
        ),
        ("db".to_owned(), CourierSecret { value: "CANARY".into(), hosts: vec!["db.corp".into()] }),
    ]);
    let courier = courier(&config);
    let named = target(&at(port), &[("Authorization", "Bearer secret://crm")]);
    let packed = courier.pack("cb", &named).expect("may be named");
    assert!(packed.contains("secret://crm") && !packed.contains("CANARY"));
    assert_eq!(courier.deliver(delivery(packed)).await, Outcome::Delivered);
    let came = inbox.lock().expect("no panic").remove(0);
    assert_eq!(came.headers["authorization"], "Bearer CANARY");
    let error = |name: &str| {
        let value = format!("secret://{name}");
        courier.pack("cb", &target(&at(port), &[("X-Key", value.as_str())])).expect_err(name).reason
    };
    assert_eq!(error("db"), error("no-such"), "whether it exists is not told");
}

#[tokio::test]
async fn headers_that_are_ours_cannot_be_set() {
    let courier = keyed(80);
    for name in
        ["Webhook-Id", "webhook-signature", "X-Webhook-Signature", "Host", "Content-Length", "a b"]
    {
        let refused = courier.pack("cb", &target("https://example.com", &[(name, "x")]));
        assert_eq!(refused.expect_err(name).field, "webhook_config.headers");
    }
    let split = courier.pack("cb", &target("https://example.com", &[("X-A", "a\r\nX-B: b")]));
    assert!(split.is_err());
}
