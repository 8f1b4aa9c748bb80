//! Text that fits: widths, cuts, and numbers a person reads.

use ratatui::{style::Style, text::Span};

use crate::event::Timestamp;

/// Cells a text takes on a terminal.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// The text in at most `cells` cells, its end replaced by `…` if it is cut.
pub(crate) fn clip_end(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let mut kept = prefix(text, cells.saturating_sub(1));
    if cells > 0 {
        kept.push('…');
    }
    kept
}

/// The text in at most `cells` cells, its middle replaced by `…` if it is cut: of an address and a port both ends tell.
pub(super) fn clip_middle(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let Some(room) = cells.checked_sub(1) else { return String::new() };
    let end = suffix(text, room - room / 2);
    // A wide character that found no place at the end leaves its cell to the start.
    format!("{}…{end}", prefix(text, room - width(&end)))
}

/// The longest start of the text in at most `cells` cells.
fn prefix(text: &str, cells: usize) -> String {
    let span = Span::raw(text);
    take(span.styled_graphemes(Style::new()).map(|grapheme| grapheme.symbol), cells).concat()
}

/// The longest end of the text in at most `cells` cells.
fn suffix(text: &str, cells: usize) -> String {
    let span = Span::raw(text);
    let mut graphemes: Vec<&str> =
        span.styled_graphemes(Style::new()).map(|grapheme| grapheme.symbol).collect();
    graphemes.reverse();
    let mut taken = take(graphemes.into_iter(), cells);
    taken.reverse();
    taken.concat()
}

fn take<'a>(graphemes: impl Iterator<Item = &'a str>, cells: usize) -> Vec<&'a str> {
    let mut room = cells;
    graphemes
        .map_while(|symbol| {
            room = room.checked_sub(width(symbol))?;
            Some(symbol)
        })
        .collect()
}

/// The first text that fits into `cells` cells, or the last one, cut.
pub(super) fn fitting(variants: &[String], cells: usize) -> String {
    match variants.iter().find(|variant| width(variant) <= cells) {
        Some(variant) => variant.clone(),
        None => variants.last().map(|last| clip_end(last, cells)).unwrap_or_default(),
    }
}

/// The text in lines of at most `cells` cells, broken between words; a word that is longer than a line is cut.
pub(super) fn wrapped(text: &str, cells: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = clip_end(word, cells);
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(&word) <= cells => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

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

/// Every digit if they fit into `cells` cells, else at most five characters or as many as it takes: a number whose end is cut
/// off would be another number.
pub(super) fn within(number: u64, cells: usize) -> String {
    Some(exact(number)).filter(|digits| digits.len() <= cells).unwrap_or_else(|| short(number))
}

/// A count in a column: `·` for none, so that what happened stands out.
pub(super) fn count(number: u64) -> String {
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
pub(super) fn age(now: Timestamp, then: Timestamp) -> String {
    duration(now.boot_ns.saturating_sub(then.boot_ns))
}

/// A duration: `0.2s`, `12s`, `3m05`, `2h09`, `4d03h`.
pub(super) fn duration(nanoseconds: u64) -> String {
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
pub(super) fn microseconds(us: u64) -> String {
    match us {
        0..1_000 => format!("{us}µs"),
        1_000..10_000 => format!("{}.{}ms", us / 1_000, us % 1_000 / 100),
        10_000..1_000_000 => format!("{}ms", us / 1_000),
        1_000_000..100_000_000 => format!("{}.{}s", us / 1_000_000, us % 1_000_000 / 100_000),
        _ => format!("{}s", us / 1_000_000),
    }
}

/// The wall-clock time of day, UTC: `14:03:22`.
pub(super) fn time_of_day(time: Timestamp) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time.wall_ns))
        .map(|wall| wall.strftime("%H:%M:%S").to_string())
        .unwrap_or_default()
}

/// The same to the millisecond: `14:03:22.123`.
pub(super) fn time_of_day_milliseconds(time: Timestamp) -> String {
    const MILLISECOND_NS: i64 = 1_000_000;
    let milliseconds = time.wall_ns.div_euclid(MILLISECOND_NS).rem_euclid(1_000);
    format!("{}.{milliseconds:03}", time_of_day(time))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        clip_end, clip_middle, clock, duration, exact, fitting, microseconds, rate, short, size, width,
        within, wrapped,
    };

    #[test]
    fn numbers_are_short_and_readable() {
        let shorts = [0, 9_999, 10_000, 12_345, 123_456, 1_234_567, 99_999_999, 123_456_789_000];
        let told: Vec<String> = shorts.into_iter().map(short).collect();
        assert_eq!(told, ["0", "9999", "10.0k", "12.3k", "123k", "1.2M", "99.9M", "123G"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(exact), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([9_999_999, 10_000_000].map(|number| within(number, 9)), ["9,999,999", "10.0M"]);
        assert_eq!([0.0, 0.25, 9.9, 12.4, 12_345.0].map(rate), ["0", "0.2", "9.9", "12", "12.3k"]);
        let durations =
            [0, 260_000_000, 12_000_000_000, 185_000_000_000, 7_740_000_000_000, 356_400_000_000_000];
        assert_eq!(durations.map(duration), ["0.0s", "0.2s", "12s", "3m05", "2h09", "4d03h"]);
        assert_eq!(clock(252_000_000_000), "00:04:12");
        let times = [850, 1_250, 204_000, 1_632_000, 120_000_000];
        assert_eq!(times.map(microseconds), ["850µs", "1.2ms", "204ms", "1.6s", "120s"]);
    }

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
    fn cuts_keep_what_tells() {
        let address = "[2001:db8:85a3:1234:5678:8a2e:370:7334]:443";
        assert_eq!(clip_middle(address, 21), "[2001:db8:…:7334]:443");
        assert_eq!(clip_end("kube-proxy", 6), "kube-…");
        assert_eq!(clip_end("日本語", 4), "日…");
        assert_eq!(clip_middle("日本語日本語", 6), "日…語");
        assert_eq!(clip_middle("abc", 0), "");
        assert_eq!(fitting(&["long text".to_owned(), "text".to_owned()], 5), "text");
        assert_eq!(wrapped("one two three 日本語 enormous", 7), ["one two", "three", "日本語", "enormo…"]);
    }

    proptest! {
        #[test]
        fn a_cut_never_exceeds_its_room(text in "\\PC{0,40}", cells in 0usize..30) {
            prop_assert!(width(&clip_end(&text, cells)) <= cells);
            prop_assert!(width(&clip_middle(&text, cells)) <= cells);
            prop_assert!(wrapped(&text, cells).iter().all(|line| width(line) <= cells));
        }
    }
}
