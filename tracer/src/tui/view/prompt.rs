//! The line the user types in, and under it what is wrong with it, or what may come next.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
};

use super::Picture;
use crate::{
    event::Text,
    tui::{
        prompt::{Prompt, Purpose},
        text::{clip_end, width},
        theme::Role,
        when::WANTED,
    },
};

/// Rows it takes: the line, the place of a mistake, and words.
pub(super) const ROWS: u16 = 3;

/// Draws the line being typed.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let Some(prompt) = &picture.model.prompt else { return };
    let theme = picture.theme;
    let label = match prompt.purpose {
        Purpose::Filter => "/",
        Purpose::Marker => "mark: ",
        Purpose::Moment => "go to: ",
    };
    let mut rows = area.rows();
    let (Some(line), Some(marks), Some(words)) = (rows.next(), rows.next(), rows.next()) else { return };
    let start = line.x + 1 + u16::try_from(width(label)).unwrap_or_default();
    let room = usize::from(line.right().saturating_sub(start)).max(1);
    // What would take a terminal elsewhere is replaced, one for one.
    let typed = Text::new(prompt.line());
    let cells = |bytes: usize| {
        let before = prompt.line().get(..bytes).unwrap_or_default();
        width(Text::new(before).as_str())
    };
    // The cursor is always within the room.
    let hidden = (cells(prompt.cursor()) + 1).saturating_sub(room);
    buffer.set_string(line.x + 1, line.y, label, theme.style(Role::Title));
    buffer.set_stringn(start, line.y, skip(typed.as_str(), hidden), room, Style::new());
    let place = |bytes: usize| {
        let cells = cells(bytes).saturating_sub(hidden).min(room.saturating_sub(1));
        start + u16::try_from(cells).unwrap_or_default()
    };
    let cursor = place(prompt.cursor());
    if let Some(cell) = buffer.cell_mut((cursor, line.y)) {
        cell.set_style(Style::new().add_modifier(Modifier::REVERSED));
    }
    if let Some((span, _)) = prompt.mistake() {
        let (first, behind) = (place(span.start), place(span.end));
        let carets = "^".repeat(usize::from(behind.saturating_sub(first)).max(1));
        buffer.set_stringn(first, marks.y, carets, room, theme.style(Role::Bad));
    }
    let (text, role) = told(prompt, usize::from(words.width).saturating_sub(2));
    buffer.set_string(words.x + 1, words.y, text, theme.style(role));
}

/// What helps most at this point.
fn told(prompt: &Prompt, room: usize) -> (String, Role) {
    let (offered, chosen) = prompt.offered();
    if chosen.is_none()
        && let Some((_, message)) = prompt.mistake()
    {
        return (clip_end(Text::new(message).as_str(), room), Role::Warning);
    }
    let text = match (prompt.purpose, offered) {
        (Purpose::Marker, _) => "Enter marks the moment you began to type, with or without words".to_owned(),
        (Purpose::Moment, _) => format!("Enter goes to that time: {WANTED}"),
        (Purpose::Filter, []) => match prompt.wanted() {
            Some(wanted) => wanted.to_owned(),
            None => "Enter applies it".to_owned(),
        },
        (Purpose::Filter, words) => offer(words, chosen, room),
    };
    (clip_end(Text::new(&text).as_str(), room), Role::Dim)
}

/// The words that may come next, the one put there in brackets; those before it make room for it.
fn offer(words: &[String], chosen: Option<usize>, room: usize) -> String {
    const LABEL: &str = "Tab:";
    let told = |index: usize, word: &String| {
        if chosen == Some(index) { format!(" [{word}]") } else { format!(" {word}") }
    };
    let mut told: Vec<String> = words.iter().enumerate().map(|(index, word)| told(index, word)).collect();
    if let Some(chosen) = chosen {
        let mut before: usize = told.iter().take(chosen + 1).map(|word| width(word)).sum();
        while before > room.saturating_sub(width(LABEL)) && before > 0 && told.len() > 1 {
            let first = told.remove(0);
            before = before.saturating_sub(width(&first));
        }
    }
    format!("{LABEL}{}", told.concat())
}

/// The text without its first cells.
fn skip(text: &str, cells: usize) -> &str {
    let mut skipped = 0;
    for (place, character) in text.char_indices() {
        if skipped >= cells {
            return text.get(place..).unwrap_or_default();
        }
        skipped += width(character.encode_utf8(&mut [0; 4]));
    }
    if cells == 0 { text } else { "" }
}
