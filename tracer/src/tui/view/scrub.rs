//! The extent of a session: which moment of it is shown, and what happened when.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{
    Picture,
    overview::{CLOSED, OPENED, marker_mark},
};
use crate::{
    event::Timestamp,
    history::{LandmarkKind, Replay},
    tui::{
        text::{clip_end, time_of_day, width},
        theme::{Role, Theme},
    },
};

/// Draws it in a row, if a session is shown.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let Some(replay) = picture.model.history.session() else { return };
    if area.is_empty() {
        return;
    }
    let theme = picture.theme;
    let (from, to) = (time_of_day(replay.begin()), time_of_day(replay.end()));
    let cells = usize::from(area.width).saturating_sub(width(&from) + width(&to) + 6);
    let line = format!(" {from} ├{:cells$}┤ {to}", "");
    let line = clip_end(&line, usize::from(area.width));
    buffer.set_string(area.x, area.y, line, theme.style(Role::Dim));
    let Ok(indent) = u16::try_from(width(&from) + 3) else { return };
    let bar = Bar { x: area.x + indent, y: area.y, cells, replay };
    bar.draw(buffer, theme);
}

/// The cells between both ends.
struct Bar<'a> {
    x: u16,
    y: u16,
    cells: usize,
    replay: &'a Replay,
}

impl Bar<'_> {
    fn draw(&self, buffer: &mut Buffer, theme: Theme) {
        let moment = self.cell(self.replay.reached());
        let known = self.cell(self.replay.indexed());
        for cell in 0..self.cells {
            let symbol = if cell <= moment {
                "━"
            } else if cell <= known {
                "─"
            } else {
                "┄"
            };
            self.put(buffer, cell, symbol, theme.style(Role::Dim));
        }
        // The most telling kind stays, for it comes last.
        let mut marks: Vec<_> = self
            .replay
            .landmarks()
            .all()
            .iter()
            .map(|landmark| (landmark.kind, self.cell(landmark.time)))
            .collect();
        let rank = |kind: LandmarkKind| match kind {
            LandmarkKind::Finding => (0, None),
            LandmarkKind::Closed => (1, None),
            LandmarkKind::Marker(kind) => (2, Some(kind)),
        };
        marks.sort_by_key(|&(kind, _)| std::cmp::Reverse(rank(kind)));
        for (kind, cell) in marks {
            let (letter, style) = match kind {
                LandmarkKind::Finding => OPENED.styled(theme),
                LandmarkKind::Closed => CLOSED.styled(theme),
                LandmarkKind::Marker(kind) => marker_mark(theme, kind),
            };
            self.put(buffer, cell, letter.encode_utf8(&mut [0; 4]), style);
        }
        self.put(buffer, moment, "●", theme.style(Role::Title));
    }

    /// The cell of a moment.
    fn cell(&self, time: Timestamp) -> usize {
        let (begin_ns, end_ns) = (self.replay.begin().boot_ns, self.replay.end().boot_ns);
        let length_ns = u128::from(end_ns.saturating_sub(begin_ns)).max(1);
        let place_ns = u128::from(time.boot_ns.clamp(begin_ns, end_ns) - begin_ns);
        let last = self.cells.saturating_sub(1);
        usize::try_from(place_ns * last as u128 / length_ns).unwrap_or(last)
    }

    fn put(&self, buffer: &mut Buffer, cell: usize, symbol: &str, style: Style) {
        if let Ok(cell) = u16::try_from(cell)
            && usize::from(cell) < self.cells
        {
            buffer.set_stringn(self.x + cell, self.y, symbol, 1, style);
        }
    }
}
