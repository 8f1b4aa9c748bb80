//! Text that fits: widths and cuts.

use ratatui::{style::Style, text::Span};

pub(crate) use crate::words::{
    age, clock, count, counted, duration, exact, microseconds, rate, short, size, time_of_day,
    time_of_day_milliseconds,
};

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

/// The same, with nothing cut: a word that is longer than a line is a piece of its own.
pub(super) fn broken(text: &str, cells: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while width(rest) > cells {
        let mut spaces = rest.match_indices(' ').map(|(place, _)| place).filter(|&place| place > 0);
        let first = spaces.next();
        let Some(end) = spaces.take_while(|&end| width(&rest[..end]) <= cells).last().or(first) else {
            break;
        };
        pieces.push(&rest[..end]);
        rest = rest[end..].trim_start_matches(' ');
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(rest);
    }
    pieces
}

/// Every digit if they fit into `cells` cells, else at most five characters or as many as it takes: a number whose end is cut
/// off would be another number.
pub(super) fn within(number: u64, cells: usize) -> String {
    Some(exact(number)).filter(|digits| digits.len() <= cells).unwrap_or_else(|| short(number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{broken, clip_end, clip_middle, fitting, width, within, wrapped};

    #[test]
    fn cuts_keep_what_tells() {
        let address = "[2001:db8:85a3:1234:5678:8a2e:370:7334]:443";
        assert_eq!(clip_middle(address, 21), "[2001:db8:…:7334]:443");
        assert_eq!(clip_end("kube-proxy", 6), "kube-…");
        assert_eq!(clip_end("日本語", 4), "日…");
        assert_eq!(clip_middle("日本語日本語", 6), "日…語");
        assert_eq!(clip_middle("abc", 0), "");
        assert_eq!([9_999_999, 10_000_000].map(|number| within(number, 9)), ["9,999,999", "10.0M"]);
        assert_eq!(fitting(&["long text".to_owned(), "text".to_owned()], 5), "text");
        assert_eq!(wrapped("one two three 日本語 enormous", 7), ["one two", "three", "日本語", "enormo…"]);
        for (text, expected) in [
            ("one two three 日本語 enormous", &["one two", "three", "日本語", "enormous"][..]),
            ("enormous one two", &["enormous", "one two"]),
            ("fitting", &["fitting"]),
            ("", &[""]),
        ] {
            assert_eq!(broken(text, 7), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_cut_never_exceeds_its_room(text in "\\PC{0,40}", cells in 0usize..30) {
            prop_assert!(width(&clip_end(&text, cells)) <= cells);
            prop_assert!(width(&clip_middle(&text, cells)) <= cells);
            prop_assert!(wrapped(&text, cells).iter().all(|line| width(line) <= cells));
            let pieces = broken(&text, cells);
            prop_assert!(pieces.iter().all(|piece| width(piece) <= cells || !piece.trim().contains(' ')));
            let words = |text: &str| text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(words(&pieces.join(" ")), words(&text));
        }
    }
}
