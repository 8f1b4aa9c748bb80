//! Lines of a fact each: what it is about at the left, what is known of it at the right.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::tui::{
    text::{clip_end, clip_middle, width},
    theme::{Role, Theme},
};

/// One line.
pub(crate) struct Fact {
    /// What it is about, cut in its middle if need be.
    pub(crate) subject: String,
    /// What is known, from the most important on; what does not fit is left out.
    pub(crate) told: Vec<(String, Role)>,
}

/// Draws as many lines as fit. The subjects take at most half of the width, and the facts begin in one column.
pub(crate) fn draw(area: Rect, buffer: &mut Buffer, theme: Theme, facts: &[Fact]) {
    const INDENT: usize = 2;
    let room = usize::from(area.width).saturating_sub(INDENT);
    let shown = &facts[..facts.len().min(usize::from(area.height))];
    let widest = shown.iter().map(|fact| width(&fact.subject)).max().unwrap_or_default();
    let subject_cells = widest.min(room * 11 / 20);
    for (fact, line) in shown.iter().zip(area.rows()) {
        let mut x = INDENT;
        let mut put = |text: &str, start: usize, style| {
            if let Ok(start) = u16::try_from(start) {
                buffer.set_string(line.x + start, line.y, text, style);
            }
        };
        put(&clip_middle(&fact.subject, subject_cells), x, theme.style(Role::Plain));
        x += subject_cells + 2;
        for (told, role) in &fact.told {
            let Some(left) =
                usize::from(area.width).checked_sub(x).filter(|&left| left >= width(told).min(6))
            else {
                break;
            };
            put(&clip_end(told, left), x, theme.style(*role));
            x += width(told) + 2;
        }
    }
}
