//! Numbers, times and names as a person reads them.

pub(crate) mod describe;
pub(crate) mod owner;
pub(crate) mod settings;

use crate::event::Timestamp;

/// Every digit: `1,234,567`.
pub(crate) fn exact(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position != 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number of things: `1 flow`, `1,234 flows`.
pub(crate) fn counted(number: u64, one: &str) -> String {
    let more = if number == 1 { "" } else { "s" };
    format!("{} {one}{more}", exact(number))
}

/// At most five characters: `9999`, `12.3k`, `123k`, `1.2M`.
pub(crate) fn short(number: u64) -> String {
    const UNITS: [(u64, char); 4] =
        [(1_000_000_000_000, 'T'), (1_000_000_000, 'G'), (1_000_000, 'M'), (1_000, 'k')];
    if number < 10_000 {
        return number.to_string();
    }
    match UNITS.iter().find(|&&(unit, _)| number >= unit) {
        Some(&(unit, letter)) if number < unit * 100 => {
            format!("{}.{}{letter}", number / unit, number % unit * 10 / unit)
        }
        Some(&(unit, letter)) => format!("{}{letter}", number / unit),
        None => number.to_string(),
    }
}

/// A count in a column: `·` for none, so that what happened stands out.
pub(crate) fn count(number: u64) -> String {
    if number == 0 { "·".to_owned() } else { short(number) }
}

/// Events a second: `0`, `0.3`, `12`, `1200`, `12.3k`.
pub(crate) fn rate(per_second: f64) -> String {
    if per_second == 0.0 {
        return "0".to_owned();
    }
    if per_second < 10.0 {
        return format!("{per_second:.1}");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count over a time: positive"
    )]
    let whole = per_second.round() as u64;
    short(whole)
}

/// Bytes: `0 B`, `12.3 KiB`, `1.2 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(u32, &str); 3] = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match UNITS.into_iter().find(|(shift, _)| bytes >> shift != 0) {
        None => format!("{bytes} B"),
        Some((shift, unit)) => {
            let tenths = (u128::from(bytes) * 10) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
    }
}

/// How long ago: `0.2s`, `12s`, `3m05`, `2h09`, `4d03h`.
pub(crate) fn age(now: Timestamp, then: Timestamp) -> String {
    duration(now.boot_ns.saturating_sub(then.boot_ns))
}

/// A duration: `0.2s`, `12s`, `3m05`, `2h09`, `4d03h`.
pub(crate) fn duration(nanoseconds: u64) -> String {
    const TENTH_NS: u64 = 100_000_000;
    let tenths = nanoseconds / TENTH_NS;
    let seconds = tenths / 10;
    match seconds {
        0..10 => format!("{seconds}.{}s", tenths % 10),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// Since the start: `00:04:12`.
pub(crate) fn clock(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// A short time: `850µs`, `1.2ms`, `204ms`, `1.6s`, `120s`.
pub(crate) fn microseconds(us: u64) -> String {
    match us {
        0..1_000 => format!("{us}µs"),
        1_000..10_000 => format!("{}.{}ms", us / 1_000, us % 1_000 / 100),
        10_000..1_000_000 => format!("{}ms", us / 1_000),
        1_000_000..100_000_000 => format!("{}.{}s", us / 1_000_000, us % 1_000_000 / 100_000),
        _ => format!("{}s", us / 1_000_000),
    }
}

/// The wall-clock time of day, UTC: `14:03:22`.
pub(crate) fn time_of_day(time: Timestamp) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time.wall_ns))
        .map(|wall| wall.strftime("%H:%M:%S").to_string())
        .unwrap_or_default()
}

/// The same to the millisecond: `14:03:22.123`.
pub(crate) fn time_of_day_milliseconds(time: Timestamp) -> String {
    const MILLISECOND_NS: i64 = 1_000_000;
    let milliseconds = time.wall_ns.div_euclid(MILLISECOND_NS).rem_euclid(1_000);
    format!("{}.{milliseconds:03}", time_of_day(time))
}

#[cfg(test)]
mod tests {
    use super::{clock, duration, exact, microseconds, rate, short, size};

    #[test]
    fn sizes_have_units() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_300_000, "1.2 MiB"),
            (u64::MAX, "17179869183.9 GiB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn numbers_are_short_and_readable() {
        let shorts = [0, 9_999, 10_000, 12_345, 123_456, 1_234_567, 99_999_999, 123_456_789_000];
        let told: Vec<String> = shorts.into_iter().map(short).collect();
        assert_eq!(told, ["0", "9999", "10.0k", "12.3k", "123k", "1.2M", "99.9M", "123G"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(exact), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.0, 0.25, 9.9, 12.4, 12_345.0].map(rate), ["0", "0.2", "9.9", "12", "12.3k"]);
        let durations =
            [0, 260_000_000, 12_000_000_000, 185_000_000_000, 7_740_000_000_000, 356_400_000_000_000];
        assert_eq!(durations.map(duration), ["0.0s", "0.2s", "12s", "3m05", "2h09", "4d03h"]);
        assert_eq!(clock(252_000_000_000), "00:04:12");
        let times = [850, 1_250, 204_000, 1_632_000, 120_000_000];
        assert_eq!(times.map(microseconds), ["850µs", "1.2ms", "204ms", "1.6s", "120s"]);
    }
}
