//! A moment as one types it.

use std::{fmt, str::FromStr};

use jiff::civil::Time;

use crate::event::Timestamp;

const SECOND_NS: u64 = 1_000_000_000;
const DAY_NS: i64 = 86_400 * 1_000_000_000;

/// What may be typed.
pub const WANTED: &str = "14:03:22, +30s, -5m, 50% or 2026-03-14T14:03:22Z";

/// A moment of a session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// Nanoseconds since midnight, UTC.
    TimeOfDay(i64),
    /// Nanoseconds since 1970.
    Wall(i64),
    /// Nanoseconds after the moment one is at, or before.
    Way(i64),
    /// Hundredths of the session.
    Share(u8),
}

/// A text that tells no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct NoMoment;

impl fmt::Display for NoMoment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "expected a time, as {WANTED}")
    }
}

impl FromStr for When {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        let text = text.trim();
        if let Some(share) = text.strip_suffix('%') {
            let share = share.trim_end().parse().ok().filter(|share| *share <= 100);
            return share.map(Self::Share).ok_or(NoMoment);
        }
        if let Some(way) = text.strip_prefix('+') {
            return way_ns(way).map(Self::Way).ok_or(NoMoment);
        }
        if let Some(way) = text.strip_prefix('-') {
            return way_ns(way).map(|way_ns| Self::Way(-way_ns)).ok_or(NoMoment);
        }
        if let Ok(wall) = text.parse::<jiff::Timestamp>() {
            return i64::try_from(wall.as_nanosecond()).map(Self::Wall).map_err(|_| NoMoment);
        }
        let is_time =
            text.contains(':') && text.bytes().all(|byte| byte.is_ascii_digit() || b":.".contains(&byte));
        let time: Time = Some(text).filter(|_| is_time).and_then(|text| text.parse().ok()).ok_or(NoMoment)?;
        let seconds =
            (i64::from(time.hour()) * 60 + i64::from(time.minute())) * 60 + i64::from(time.second());
        Ok(Self::TimeOfDay(seconds * 1_000_000_000 + i64::from(time.subsec_nanosecond())))
    }
}

/// A number, which may have a fraction, and a unit: `s` if there is none.
fn way_ns(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = text.split_at(digits);
    let unit_ns: i64 = match unit.trim() {
        "ms" => 1_000_000,
        "" | "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => DAY_NS,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut sum_ns = whole.parse::<i64>().ok()?.checked_mul(unit_ns)?;
    let mut part_ns = unit_ns;
    for digit in fraction.bytes() {
        part_ns /= 10;
        sum_ns =
            sum_ns.checked_add(part_ns * i64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?))?;
    }
    Some(sum_ns)
}

impl When {
    /// Which moment that is, for one who is at a moment of what lasts from `begin` to `end`. A time of day is the nearest
    /// one within, or else near it.
    pub fn of(self, begin: Timestamp, end: Timestamp, at: Timestamp) -> Timestamp {
        let wall = |wall_ns: i64| {
            let way_ns = i128::from(wall_ns) - i128::from(at.wall_ns);
            moved(at, i64::try_from(way_ns).unwrap_or(if way_ns < 0 { i64::MIN } else { i64::MAX }))
        };
        match self {
            Self::Wall(wall_ns) => wall(wall_ns),
            Self::Way(way_ns) => moved(at, way_ns),
            Self::Share(share) => {
                let length_ns = end.boot_ns.saturating_sub(begin.boot_ns);
                let way_ns = u128::from(length_ns) * u128::from(share) / 100;
                moved(begin, i64::try_from(way_ns).unwrap_or(i64::MAX))
            }
            Self::TimeOfDay(time_ns) => {
                let midnight_ns = at.wall_ns.div_euclid(DAY_NS).saturating_mul(DAY_NS);
                let days = [-1, 0, 1]
                    .map(|day: i64| wall(midnight_ns.saturating_add(day * DAY_NS).saturating_add(time_ns)));
                let outside_ns = |time: &Timestamp| {
                    let before_ns = begin.boot_ns.saturating_sub(time.boot_ns);
                    before_ns.max(time.boot_ns.saturating_sub(end.boot_ns))
                };
                let nearest = days.into_iter().min_by_key(|time| {
                    // One that fell before boot says nothing of how far it is.
                    (outside_ns(time) / SECOND_NS, time.wall_ns.abs_diff(at.wall_ns))
                });
                nearest.unwrap_or(at)
            }
        }
    }
}

/// A moment so much later, or earlier if that is negative.
pub(crate) fn moved(time: Timestamp, way_ns: i64) -> Timestamp {
    Timestamp {
        boot_ns: time.boot_ns.saturating_add_signed(way_ns),
        wall_ns: time.wall_ns.saturating_add(way_ns),
    }
}

#[cfg(test)]
mod tests {
    use super::When;
    use crate::event::Timestamp;

    const SECOND_NS: i64 = 1_000_000_000;
    const HOUR_NS: i64 = 3_600 * SECOND_NS;

    #[test]
    fn moments_are_typed_in_many_ways() {
        for (text, expected) in [
            ("14:03", When::TimeOfDay(14 * HOUR_NS + 180 * SECOND_NS)),
            (" 14:03:22.5 ", When::TimeOfDay(14 * HOUR_NS + 202 * SECOND_NS + 500_000_000)),
            ("00:00:00", When::TimeOfDay(0)),
            ("1970-01-01T00:01:00Z", When::Wall(60 * SECOND_NS)),
            ("1970-01-01T02:01:00+02:00", When::Wall(60 * SECOND_NS)),
            ("+30s", When::Way(30 * SECOND_NS)),
            ("+1.5", When::Way(1_500_000_000)),
            ("-250ms", When::Way(-250_000_000)),
            ("-2h", When::Way(-2 * HOUR_NS)),
            ("50%", When::Share(50)),
            ("0 %", When::Share(0)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in
            ["", "+", "-", "%", "101%", "-1%", "25:00", "14", "1403", "+5y", "1..2s", "+1.2.3s", "yesterday"]
        {
            assert!(text.parse::<When>().is_err(), "{text}");
        }
        assert!("+99999999999h".parse::<When>().is_err());
    }

    #[test]
    fn a_time_of_day_is_the_one_within_the_session() {
        let at_hour = |hour: i64| Timestamp {
            boot_ns: u64::try_from((hour + 100) * HOUR_NS).unwrap(),
            wall_ns: hour * HOUR_NS,
        };
        // From 22:00 of one day to 04:00 of the next.
        let (begin, end) = (at_hour(22), at_hour(28));
        for (text, at, expected) in [
            ("23:00", 22, at_hour(23)),
            ("23:00", 28, at_hour(23)),
            ("01:00", 22, at_hour(25)),
            ("01:00", 28, at_hour(25)),
            ("05:00", 24, at_hour(29)),
            ("20:00", 24, at_hour(20)),
            ("50%", 22, at_hour(25)),
            ("+1h", 24, at_hour(25)),
            ("-1h", 24, at_hour(23)),
            ("1970-01-02T02:00:00Z", 23, at_hour(26)),
        ] {
            assert_eq!(text.parse::<When>().unwrap().of(begin, end, at_hour(at)), expected, "{text} at {at}");
        }
    }
}
