//! Time along a row of cells: which seconds a cell stands for, and the times of day below them.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    event::Timestamp,
    state::second_of,
    tui::{
        text::{time_of_day, width},
        theme::{Role, Theme},
    },
};

const SECOND_NS: u64 = 1_000_000_000;

/// Seconds over cells, the newest at the right.
///
/// A cell stands for the same seconds as long as it is shown: the picture moves by whole cells, and no bar changes once
/// its seconds are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    /// Cells in all.
    pub(crate) cells: usize,
    /// Seconds in one.
    pub(crate) step_s: u64,
    /// Steps since boot up to the end of the last cell.
    end_step: u64,
    now: Timestamp,
}

impl Axis {
    /// The axis that ends now. It takes the fewest seconds a cell with which all from `began` on find room, or if they are
    /// more than `enough_s`, the last of them.
    pub(crate) fn new(began: Timestamp, now: Timestamp, cells: usize, enough_s: u64) -> Self {
        const STEPS_S: [u64; 7] = [1, 2, 5, 10, 15, 20, 30];
        const LONGEST_S: u64 = 60;
        let wanted_s = (second_of(now) - second_of(began).min(second_of(now))).min(enough_s);
        let step_s = STEPS_S.into_iter().find(|step| step * cells as u64 >= wanted_s).unwrap_or(LONGEST_S);
        Self { cells, step_s, end_step: second_of(now).div_ceil(step_s), now }
    }

    /// The whole seconds since boot that a cell stands for.
    pub(crate) fn seconds(&self, cell: usize) -> std::ops::Range<u64> {
        let from_end = (self.cells - cell.min(self.cells)) as u64;
        let Some(step) = self.end_step.checked_sub(from_end) else { return 0..0 };
        step * self.step_s..((step + 1) * self.step_s).min(second_of(self.now))
    }

    /// The cell of a second since boot. The second that has only begun belongs to the last one.
    pub(crate) fn cell(&self, second: u64) -> Option<usize> {
        let from_end = self.end_step.saturating_sub(second / self.step_s).max(1);
        self.cells.checked_sub(usize::try_from(from_end).ok()?)
    }

    /// How far it reaches back, nanoseconds.
    pub(crate) fn length_ns(&self) -> u64 {
        self.cells as u64 * self.step_s * SECOND_NS
    }

    /// Writes times of day below their cells, and `now` below the last.
    pub(crate) fn draw(&self, area: Rect, buffer: &mut Buffer, theme: Theme) {
        const NOW: &str = "now";
        let style = theme.style(Role::Dim);
        let mut end = self.cells.saturating_sub(NOW.len());
        put(buffer, area, end, NOW, style);
        for (cell, time) in self.ticks().into_iter().rev() {
            let text = time_of_day(time);
            // On whole minutes the seconds say nothing.
            let text = format!("└{}", if self.tick_s().is_multiple_of(60) { &text[..5] } else { &text[..] });
            if cell + width(&text) < end {
                put(buffer, area, cell, &text, style);
                end = cell;
            }
        }
    }

    /// Seconds from one time of day to the next.
    fn tick_s(&self) -> u64 {
        const TICKS_S: [u64; 7] = [10, 20, 30, 60, 120, 300, 600];
        const LONGEST_S: u64 = 1_200;
        const APART: u64 = 14;
        TICKS_S.into_iter().find(|tick| tick / self.step_s >= APART).unwrap_or(LONGEST_S)
    }

    /// Round times of day and their cells, oldest first.
    fn ticks(&self) -> Vec<(usize, Timestamp)> {
        let tick_ns = self.tick_s() * SECOND_NS;
        let past_ns = u64::try_from(self.now.wall_ns).unwrap_or_default() % tick_ns;
        let mut ticks: Vec<_> = (0..=self.length_ns() / tick_ns)
            .map(|index| past_ns + index * tick_ns)
            .filter(|&ago_ns| ago_ns < self.length_ns() && ago_ns < self.now.boot_ns)
            .filter_map(|ago_ns| {
                let time = self.now.earlier_by_ns(ago_ns);
                Some((self.cell(second_of(time))?, time))
            })
            .collect();
        ticks.reverse();
        ticks
    }
}

fn put(buffer: &mut Buffer, area: Rect, cell: usize, text: &str, style: ratatui::style::Style) {
    if let Ok(cell) = u16::try_from(cell)
        && cell < area.width
    {
        buffer.set_stringn(area.x + cell, area.y, text, usize::from(area.width - cell), style);
    }
}

#[cfg(test)]
mod tests {
    use super::Axis;
    use crate::state::fixture::at;

    #[test]
    fn it_takes_the_finest_step_that_shows_enough() {
        for (elapsed_s, cells, step_s) in
            [(0, 40, 1), (40, 40, 1), (41, 40, 2), (299, 40, 10), (100_000, 40, 10), (100_000, 195, 2)]
        {
            let axis = Axis::new(at(50_000), at(50_000 + elapsed_s * 1_000), cells, 300);
            assert_eq!(axis.step_s, step_s, "{elapsed_s} s in {cells} cells");
        }
    }

    #[test]
    fn a_cell_keeps_its_seconds_while_time_goes_on() {
        for now_s in 1_000..1_050 {
            let axis = Axis::new(at(0), at(now_s * 1_000), 40, 300);
            assert_eq!(axis.step_s, 10);
            for cell in 0..axis.cells {
                let seconds = axis.seconds(cell);
                assert_eq!(seconds.start % 10, 0, "{now_s} {cell}");
                assert!(seconds.end <= now_s);
                for second in seconds {
                    assert_eq!(axis.cell(second), Some(cell), "{now_s} {second}");
                }
            }
            assert_eq!(axis.cell(now_s), Some(39), "the second that has only begun");
            assert_eq!(axis.cell(now_s - 500), None);
        }
    }

    #[test]
    fn a_young_node_leaves_the_left_blank() {
        let axis = Axis::new(at(0), at(5_000), 10, 300);
        let seconds: Vec<_> = (0..10).map(|cell| axis.seconds(cell)).collect();
        assert!(seconds[..5].iter().all(std::ops::Range::is_empty));
        assert_eq!(seconds[5..], [0..1, 1..2, 2..3, 3..4, 4..5]);
    }
}
