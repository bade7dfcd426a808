//! How often one address may trigger one task, in bounded memory.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use crate::{id::TaskId, time::Timestamp};

/// Pairs of task and address that are watched at the same time.
const MOST: usize = 10_000;

const MINUTE: Duration = Duration::from_mins(1);

/// Who triggered what how often of late.
///
/// Of each pair only one moment is kept: when it would have used up nothing if it said nothing more.
#[derive(Debug, Default)]
pub struct Rates {
    per_minute: u32,
    even_at: HashMap<(TaskId, Option<IpAddr>), Timestamp>,
}

impl Rates {
    /// So many within a minute; 0: without limit.
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute, even_at: HashMap::new() }
    }

    /// Counts one trigger, or says how long to wait.
    pub fn take(
        &mut self,
        task: &TaskId,
        ip: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), Duration> {
        if self.per_minute == 0 {
            return Ok(());
        }
        let key = (task.clone(), ip);
        if self.even_at.len() >= MOST && !self.even_at.contains_key(&key) {
            self.even_at.retain(|_, even_at| *even_at > now);
            if self.even_at.len() >= MOST {
                return Err(Duration::from_secs(1));
            }
        }
        let before = self.even_at.get(&key).copied().unwrap_or(now).max(now);
        let after = before.after(MINUTE / self.per_minute);
        match after.since(now).checked_sub(MINUTE) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                self.even_at.insert(key, after);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp(0).after(Duration::from_secs(seconds))
    }

    #[test]
    fn so_many_within_a_minute_and_then_one_whenever_its_share_of_it_is_over() {
        let mut rates = Rates::new(3);
        let mut take = |task: &str, second| rates.take(&task.into(), None, at(second));
        for _ in 0..3 {
            assert_eq!(take("a", 0), Ok(()));
        }
        assert_eq!(take("a", 0), Err(Duration::from_secs(20)));
        assert_eq!(take("b", 0), Ok(()), "each task for itself");
        assert_eq!(take("a", 19), Err(Duration::from_secs(1)));
        assert_eq!(take("a", 20), Ok(()));
        assert!(take("a", 20).is_err());
        assert_eq!(take("a", 200), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_what_is_over_makes_room() {
        let mut rates = Rates::new(60);
        for n in 0..MOST {
            let task = TaskId::new(format!("t{n}"));
            assert_eq!(rates.take(&task, None, at(0)), Ok(()));
        }
        assert!(rates.take(&"more".into(), None, at(0)).is_err());
        assert_eq!(rates.take(&"t5".into(), None, at(0)), Ok(()), "known ones go on");
        assert_eq!(rates.even_at.len(), MOST);
        assert_eq!(rates.take(&"more".into(), None, at(5)), Ok(()));
        assert_eq!(rates.even_at.len(), 1);
    }

    #[test]
    fn no_limit_remembers_nobody() {
        let mut rates = Rates::new(0);
        for _ in 0..1000 {
            assert_eq!(rates.take(&"a".into(), None, at(0)), Ok(()));
        }
        assert!(rates.even_at.is_empty());
    }
}
