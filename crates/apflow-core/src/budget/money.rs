//! Money as whole millionths of a US dollar, so that sums are exact.

use std::{
    fmt,
    ops::{Add, AddAssign},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// An amount of money in millionths of a US dollar.
///
/// On the wire it is a number of dollars: `0.0125`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(pub i64);

/// The most that is taken from a request: a thousand million dollars.
const MOST: f64 = 1e9;

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// So many dollars, rounded up to a whole millionth; none if that is negative or no amount.
    pub fn from_usd(dollars: f64) -> Option<Self> {
        if !(0.0..=MOST).contains(&dollars) {
            return None;
        }
        // What a decimal fraction loses in binary must not cost a millionth more.
        let micros = (dollars * 1e6 - 1e-4).ceil().max(0.0);
        #[expect(clippy::cast_possible_truncation, reason = "at most 1e15, and whole")]
        Some(Self(micros as i64))
    }

    /// The amount in dollars.
    pub fn usd(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "shown to people and programs, not counted")]
        let micros = self.0 as f64;
        micros / 1e6
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, micros) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        // Cents are always shown, and what is behind them only where there is something.
        let (cents, rest) = text.split_at(text.len() - 4);
        write!(f, "{sign}${cents}{}", rest.trim_end_matches('0'))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(self.usd())
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(from)?;
        Self::from_usd(dollars)
            .ok_or_else(|| D::Error::custom(format!("{dollars} is no amount of dollars")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_become_whole_millionths_and_never_fewer_than_were_meant() {
        assert_eq!(Money::from_usd(0.1), Some(Money(100_000)));
        assert_eq!(Money::from_usd(0.000_000_4), Some(Money(1)));
        assert_eq!(Money::from_usd(19.99), Some(Money(19_990_000)));
        for wrong in [-0.01, f64::NAN, f64::INFINITY, 1e10] {
            assert_eq!(Money::from_usd(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn money_is_shown_with_cents_and_what_is_behind_them() {
        assert_eq!(Money(1_500_000).to_string(), "$1.50");
        assert_eq!(Money(1_500).to_string(), "$0.0015");
        assert_eq!(Money(-20_000).to_string(), "-$0.02");
    }

    #[test]
    fn money_keeps_its_value_on_the_wire() {
        for micros in [0, 1, 999_999, 123_456_789_012] {
            let text = serde_json::to_string(&Money(micros)).expect("a number");
            assert_eq!(serde_json::from_str::<Money>(&text).expect("its own text"), Money(micros));
        }
    }
}
