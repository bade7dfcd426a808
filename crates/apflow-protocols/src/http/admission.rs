//! Who gets in when many come: so many requests at once, so many runs waited for, so much for one caller.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use apflow_core::{api::ApiError, code::Code};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::HttpConfig;

/// How often one caller may ask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Requests in a second, in the long run.
    pub per_second: f64,
    /// Requests at once after a pause.
    pub burst: u32,
}

/// So long after a refusal the server still counts as overloaded.
const AFTERMATH: Duration = Duration::from_secs(1);

/// The doorkeeper.
pub(super) struct Admission {
    requests: Arc<Semaphore>,
    waits: Arc<Semaphore>,
    rates: Option<Rates>,
    began: Instant,
    /// When work was last refused, in milliseconds since `began`; 0: never.
    refused: AtomicU64,
}

/// The place of one request among those that are answered; empty once it waits elsewhere.
#[derive(Clone)]
pub(super) struct Place(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Admission {
    pub(super) fn new(config: &HttpConfig) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(config.requests)),
            waits: Arc::new(Semaphore::new(config.waits)),
            rates: config.rate.map(Rates::new),
            began: Instant::now(),
            refused: AtomicU64::new(0),
        }
    }

    /// A place for one more request, if there is one; nobody is kept waiting for it.
    pub(super) fn enter(&self) -> Result<Place, ApiError> {
        match Arc::clone(&self.requests).try_acquire_owned() {
            Ok(permit) => Ok(Place(Arc::new(Mutex::new(Some(permit))))),
            Err(_) => Err(busy("the server answers as many requests as it can at once")),
        }
    }

    /// Gives a place back and takes one among those that wait for a run, which may take minutes.
    pub(super) fn wait(&self, place: &Place) -> Result<(), ApiError> {
        let Ok(permit) = Arc::clone(&self.waits).try_acquire_owned() else {
            let error = busy("the server waits for as many runs as it can at once");
            return Err(error.hint("send `wait: false`, and ask how it stands later"));
        };
        *place.lock() = Some(permit);
        Ok(())
    }

    /// How long this caller has to wait before it may ask again, if it has to.
    pub(super) fn share(
        &self,
        caller: Option<&str>,
        from: Option<IpAddr>,
    ) -> Result<(), (Duration, ApiError)> {
        let Some(rates) = &self.rates else { return Ok(()) };
        let wait = match rates.take(&key(caller, from), Instant::now()) {
            Ok(()) => return Ok(()),
            Err(wait) => wait,
        };
        let detail = format!(
            "this caller may send {} requests in a second and has sent more",
            rates.rate.per_second
        );
        let error = ApiError::new(Code::RateLimited, detail);
        Err((wait, error.hint("wait as long as `Retry-After` says")))
    }

    /// Notes that work was refused for want of room; the log hears of it when it begins.
    pub(super) fn refused(&self) {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let before = self.refused.swap(since, Ordering::Relaxed);
        let aftermath = u64::try_from(AFTERMATH.as_millis()).unwrap_or(u64::MAX);
        if before == 0 || since.saturating_sub(before) > aftermath {
            tracing::warn!("the server is overloaded; requests are told to come later");
        }
    }

    /// Whether there is no room, or was none a moment ago.
    pub(super) fn is_overloaded(&self) -> bool {
        if self.requests.available_permits() == 0 {
            return true;
        }
        let refused = self.refused.load(Ordering::Relaxed);
        refused > 0 && self.began.elapsed() < Duration::from_millis(refused) + AFTERMATH
    }
}

impl Place {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        // Each change is one assignment, so a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn busy(detail: &str) -> ApiError {
    ApiError::new(Code::Overloaded, detail).hint("send the request again after `Retry-After`")
}

/// The one who asks: by name if it has one, else by address, and a whole network of IPv6 is one.
fn key(caller: Option<&str>, from: Option<IpAddr>) -> String {
    match (caller, from.map(|ip| ip.to_canonical())) {
        (Some(name), _) => format!("user {name}"),
        (None, Some(IpAddr::V6(ip))) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("net {a:x}:{b:x}:{c:x}:{d:x}")
        }
        (None, Some(ip)) => format!("ip {ip}"),
        (None, None) => "unknown".to_owned(),
    }
}

/// A bucket for each caller; each request takes a drop, and time refills it.
struct Rates {
    rate: Rate,
    buckets: Mutex<Buckets>,
}

struct Buckets {
    of: HashMap<String, Bucket>,
    /// When full ones were last forgotten; looking through all of them is not for every request.
    swept: Option<Instant>,
}

struct Bucket {
    drops: f64,
    at: Instant,
}

/// So many callers are told apart; beyond that, new ones share a bucket.
const MAX_CALLERS: usize = 10_000;
/// So often full buckets are looked for at most.
const SWEEP: Duration = Duration::from_secs(1);

impl Rates {
    fn new(rate: Rate) -> Self {
        Self { rate, buckets: Mutex::new(Buckets { of: HashMap::new(), swept: None }) }
    }

    fn filled(&self, bucket: &Bucket, now: Instant) -> f64 {
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        since.mul_add(self.rate.per_second, bucket.drops).min(f64::from(self.rate.burst.max(1)))
    }

    fn take(&self, key: &str, now: Instant) -> Result<(), Duration> {
        let full = f64::from(self.rate.burst.max(1));
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = key;
        if buckets.of.len() >= MAX_CALLERS && !buckets.of.contains_key(key) {
            if buckets.swept.is_none_or(|at| now.saturating_duration_since(at) >= SWEEP) {
                // A full bucket says no more than none.
                buckets.of.retain(|_, bucket| self.filled(bucket, now) < full);
                buckets.swept = Some(now);
            }
            if buckets.of.len() >= MAX_CALLERS {
                key = "others";
            }
        }
        let bucket = buckets.of.entry(key.to_owned()).or_insert(Bucket { drops: full, at: now });
        bucket.drops = self.filled(bucket, now);
        bucket.at = now;
        if bucket.drops >= 1.0 {
            bucket.drops -= 1.0;
            return Ok(());
        }
        let wait = (1.0 - bucket.drops) / self.rate.per_second.max(f64::MIN_POSITIVE);
        Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::from_hours(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_are_so_many_places_and_one_that_waits_makes_room() {
        let config = HttpConfig { requests: 1, waits: 1, ..HttpConfig::default() };
        let admission = Admission::new(&config);
        let first = admission.enter().expect("a place");
        assert_eq!(admission.enter().err().map(|it| it.code), Some(Code::Overloaded));
        assert!(admission.is_overloaded());
        admission.wait(&first).expect("a place to wait");
        let second = admission.enter().expect("the place it left");
        assert_eq!(admission.wait(&second).err().map(|it| it.code), Some(Code::Overloaded));
        drop((first, second));
        assert!(!admission.is_overloaded());
        admission.refused();
        assert!(admission.is_overloaded(), "a moment ago there was no room");
    }

    #[tokio::test]
    async fn a_caller_has_its_burst_and_then_its_rate() {
        let rates = Rates::new(Rate { per_second: 10.0, burst: 3 });
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(rates.take("a", now), Ok(()));
        }
        let wait = rates.take("a", now).expect_err("the burst is used up");
        assert_eq!(wait, Duration::from_millis(100));
        assert_eq!(rates.take("b", now), Ok(()), "another caller has its own");
        assert_eq!(rates.take("a", now + wait), Ok(()));
        assert!(rates.take("a", now + wait).is_err());
    }

    #[tokio::test]
    async fn the_memory_of_callers_is_bounded_and_a_flood_shares_one_bucket() {
        let rates = Rates::new(Rate { per_second: 1.0, burst: 1 });
        let now = Instant::now();
        let refused =
            (0..3 * MAX_CALLERS).filter(|n| rates.take(&n.to_string(), now).is_err()).count();
        assert!(rates.buckets.lock().expect("whole").of.len() <= MAX_CALLERS + 1);
        assert_eq!(refused, 2 * MAX_CALLERS - 1, "all beyond the bound share one drop");
        let later = now + Duration::from_secs(2);
        assert_eq!(rates.take("new", later), Ok(()), "full buckets are forgotten");
        assert!(rates.buckets.lock().expect("whole").of.len() < 3);
    }

    #[test]
    fn one_network_of_ipv6_is_one_caller() {
        let ip = |text: &str| text.parse().ok();
        assert_eq!(key(None, ip("2001:db8:1:2::1")), key(None, ip("2001:db8:1:2:ffff::9")));
        assert_ne!(key(None, ip("2001:db8:1:2::1")), key(None, ip("2001:db8:1:3::1")));
        assert_eq!(key(None, ip("::ffff:10.0.0.1")), key(None, ip("10.0.0.1")));
        assert_ne!(key(Some("10.0.0.1"), None), key(None, ip("10.0.0.1")));
    }
}
