//! The rules of channels against a real Redis server, in the open, over TLS, and as a user of an ACL.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use apflow_core::{
    channel::{Answer, ChannelError, ChannelId, Expect, Op},
    id::{Seq, TreeId},
    store::{ChannelStore, StoreError},
    testing::channels::{self as suite, ChannelBed},
    time::{Clock, Timestamp},
};
use apflow_distributed::redis::{RedisChannels, RedisOptions};
use serde_json::json;
use tempfile::TempDir;

/// The program that tests start; `cargo xtask test` finds or installs it.
#[expect(clippy::disallowed_methods, reason = "a test that gets its server from its caller")]
fn program() -> String {
    std::env::var("APFLOW_TEST_REDIS").expect(
        "APFLOW_TEST_REDIS names no redis-server; run `cargo xtask test`, which finds or installs one",
    )
}

/// A server of one test, in a directory of its own.
struct Server {
    process: Child,
    place: TempDir,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It keeps nothing, so it may go as it is.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts one; `tls` gives it a certificate and closes the plain port, `more` ends its settings.
    async fn start(tls: bool, more: &str) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        if tls {
            certificate(place.path());
        }
        for _ in 0..20 {
            // Whoever listens on port 0 is given a free one; it may be taken before we use it.
            let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
            let port = listener.local_addr().expect("an address").port();
            drop(listener);
            let ports = if tls {
                format!(
                    "port 0\ntls-port {port}\ntls-cert-file cert.pem\ntls-key-file key.pem\n\
                     tls-ca-cert-file cert.pem\ntls-auth-clients no\n"
                )
            } else {
                format!("port {port}\n")
            };
            let settings =
                format!("bind 127.0.0.1\n{ports}save \"\"\nappendonly no\ndaemonize no\n{more}\n");
            std::fs::write(place.path().join("redis.conf"), settings).expect("written");
            let mut process = Command::new(program())
                .arg("redis.conf")
                .current_dir(place.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the server starts");
            for _ in 0..500 {
                if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Self { process, place, port };
                }
                if process.try_wait().expect("its state").is_some() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("no server came up");
    }

    fn plain(&self) -> RedisOptions {
        RedisOptions::new(format!("redis://127.0.0.1:{}/0", self.port))
    }
}

/// A certificate for `localhost` and 127.0.0.1, and its key.
fn certificate(place: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
        .args(["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .current_dir(place)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("openssl runs");
    assert!(made.success(), "a certificate is made");
}

/// A clock that is moved by hand.
struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

fn id(tree: &str) -> ChannelId {
    ChannelId { forest: Seq(1), tree: TreeId::new(tree), pass: 0, space: String::new() }
}

fn set(value: i64) -> Op {
    Op::Set { key: "k".to_owned(), value: json!(value), ttl: None, expect: Expect::Any }
}

fn get() -> Op {
    Op::Get { key: "k".to_owned() }
}

async fn value(channels: &RedisChannels, id: &ChannelId) -> Option<serde_json::Value> {
    match channels.channel_do(id, get(), None).await.expect("read") {
        Answer::Found(entry) => entry.map(|entry| entry.value),
        other => panic!("{other:?}"),
    }
}

/// A channel on a fresh server, with a clock that is moved by hand.
async fn bed() -> (ChannelBed, Server) {
    let server = Server::start(false, "").await;
    let clock = Arc::new(HandClock(AtomicI64::new(1_700_000_000_000_000)));
    let options = RedisOptions { clock: Some(clock.clone()), ..server.plain() };
    let channels = RedisChannels::connect(options).await.expect("connects");
    let pass = Arc::new(move |time: Duration| {
        let by = i64::try_from(time.as_micros()).expect("a short time");
        clock.0.fetch_add(by, Ordering::SeqCst);
    });
    (ChannelBed { store: Arc::new(channels), id: id("t"), pass }, server)
}

macro_rules! rules {
    ($($rule:ident,)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $rule() {
            let (bed, _server) = bed().await;
            suite::$rule(&bed).await;
        })*
    };
}

rules! {
    a_value_comes_back_as_it_was_written,
    a_write_is_done_only_where_what_it_expects_is_there,
    sums_and_lists_begin_where_nothing_is,
    a_value_is_gone_when_its_time_is_over,
    keys_are_listed_in_order_and_in_pages,
    a_lock_is_held_by_one_and_lost_with_its_time,
    what_is_done_under_a_lost_lock_is_refused,
    spaces_do_not_meet,
    what_cannot_be_kept_is_refused,
    s05_what_is_added_at_once_is_all_there,
    s05_what_is_appended_at_once_is_all_there,
    s05_what_is_done_under_a_lock_is_done_one_after_another,
    a_full_channel_takes_no_more_until_something_goes,
    operations_are_linearizable,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_share_a_server_lose_no_update() {
    let server = Server::start(false, "").await;
    let one = Arc::new(RedisChannels::connect(server.plain()).await.expect("connects"));
    let two = Arc::new(RedisChannels::connect(server.plain()).await.expect("connects"));
    let add = |channels: Arc<RedisChannels>| {
        tokio::spawn(async move {
            for _ in 0..100 {
                let op = Op::Add { key: "k".to_owned(), amount: 1.into() };
                channels.channel_do(&id("t"), op, None).await.expect("added");
            }
        })
    };
    let clients = [Arc::clone(&one), two.clone(), Arc::clone(&one), two].map(add);
    for client in clients {
        client.await.expect("it ends well");
    }
    assert_eq!(value(&one, &id("t")).await, Some(json!(400)));
    assert_eq!(value(&one, &id("u")).await, None, "another run");
    assert_eq!(value(&one, &ChannelId { pass: 1, ..id("t") }).await, None, "a later pass");
}

#[tokio::test]
async fn a_server_is_reached_over_tls_with_the_certificate_that_is_trusted() {
    let server = Server::start(true, "").await;
    let address = format!("rediss://localhost:{}/0", server.port);
    let pem = std::fs::read(server.place.path().join("cert.pem")).expect("the certificate");
    let trusting =
        RedisOptions { root_certificates: Some(pem), ..RedisOptions::new(address.as_str()) };
    let channels = RedisChannels::connect(trusting).await.expect("it is trusted");
    channels.channel_do(&id("t"), set(1), None).await.expect("written");
    assert_eq!(value(&channels, &id("t")).await, Some(json!(1)));
    let refused = RedisChannels::connect(RedisOptions::new(address.as_str())).await;
    assert!(matches!(refused.err(), Some(StoreError::Unavailable { .. })), "nobody vouches for it");
    let unchecked = RedisChannels::connect(RedisOptions::new(format!("{address}#insecure"))).await;
    let Some(StoreError::Address { what, .. }) = unchecked.err() else { panic!("it is refused") };
    assert!(what.contains("certificate"), "{what}");
}

#[tokio::test]
async fn a_user_of_an_acl_keeps_to_its_keys_and_a_wrong_password_is_not_told() {
    let acl = "user default off\nuser apflow on >s3cret ~apflow:* +@all -@dangerous";
    let server = Server::start(false, acl).await;
    let at = |user: &str| RedisOptions::new(format!("redis://{user}@127.0.0.1:{}/0", server.port));
    let channels = RedisChannels::connect(at("apflow:s3cret")).await.expect("let in");
    channels.channel_do(&id("t"), set(1), None).await.expect("written");
    assert_eq!(value(&channels, &id("t")).await, Some(json!(1)));
    let elsewhere = RedisOptions { prefix: "other".to_owned(), ..at("apflow:s3cret") };
    let elsewhere = RedisChannels::connect(elsewhere).await.expect("let in");
    let refused = elsewhere.channel_do(&id("t"), set(1), None).await;
    assert!(matches!(refused, Err(ChannelError::Store(_))), "{refused:?}");
    for wrong in ["apflow:gu3ss", "nobody:gu3ss"] {
        let refused = RedisChannels::connect(at(wrong)).await.err().expect("kept out");
        assert!(matches!(refused, StoreError::Address { .. }), "{refused:?}");
        assert!(!format!("{refused} {refused:?}").contains("gu3ss"), "{refused:?}");
    }
}

#[tokio::test]
async fn without_tls_only_this_machine_is_called() {
    let far = RedisChannels::connect(RedisOptions::new("redis://redis.example:6379")).await;
    let Some(StoreError::Address { what, hint }) = far.err() else { panic!("it is refused") };
    assert!(what.contains("redis.example") && hint.contains("rediss://"), "{what} {hint}");
    let wrong = RedisChannels::connect(RedisOptions::new("redis://u:s3cret@:bad")).await;
    let wrong = format!("{:?}", wrong.err().expect("no address"));
    assert!(!wrong.contains("s3cret"), "{wrong}");
}

#[tokio::test]
async fn a_server_that_is_gone_is_an_error_and_is_found_again() {
    let mut server = Server::start(false, "").await;
    let channels = RedisChannels::connect(server.plain()).await.expect("connects");
    channels.channel_do(&id("t"), set(1), None).await.expect("written");
    server.process.kill().expect("killed");
    server.process.wait().expect("gone");
    let gone = channels.channel_do(&id("t"), set(2), None).await;
    assert!(matches!(gone, Err(ChannelError::Store(StoreError::Unavailable { .. }))), "{gone:?}");
    server.process = Command::new(program())
        .arg("redis.conf")
        .current_dir(server.place.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts again");
    for _ in 0..200 {
        if channels.channel_do(&id("t"), set(3), None).await.is_ok() {
            assert_eq!(value(&channels, &id("t")).await, Some(json!(3)));
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it was not found again");
}
