//! A sequence diagram: who sent what to whom, and how much later.

use std::slice;

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::{
    event::Timestamp,
    tui::{
        text::{clip_middle, duration, exact, fitting, microseconds, time_of_day_milliseconds, width},
        theme::{Role, Theme},
    },
};

/// Someone who takes part, drawn as a line from top to bottom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lifeline {
    /// What it is to the connection.
    pub(crate) role: String,
    /// Its address.
    pub(crate) name: String,
}

/// Something that was sent, or that happened at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// When it happened first.
    pub(crate) time: Timestamp,
    /// When it happened last in a row.
    pub(crate) last: Timestamp,
    /// How often in a row.
    pub(crate) times: u64,
    /// The lifeline it comes from.
    pub(crate) from: usize,
    /// The lifeline it goes to; the same for what happens at one place.
    pub(crate) to: usize,
    /// What.
    pub(crate) text: String,
    /// More about it, left out where there is no room.
    pub(crate) details: Vec<String>,
    /// How that is.
    pub(crate) role: Role,
    /// Whether it is known not to have arrived.
    pub(crate) is_lost: bool,
}

impl Step {
    /// Takes in the step that follows if it is the same again; of what was sent again the details are gathered.
    pub(crate) fn absorbs(&mut self, next: &Self, gathers: bool) -> bool {
        let is_same = (self.from, self.to, self.role, self.is_lost)
            == (next.from, next.to, next.role, next.is_lost)
            && self.text == next.text
            && (gathers || self.details == next.details);
        if is_same {
            self.times += next.times;
            self.last = next.last;
            for detail in &next.details {
                if !self.details.contains(detail) {
                    self.details.push(detail.clone());
                }
            }
        }
        is_same
    }

    /// The text with ever fewer words.
    fn variants(&self) -> Vec<String> {
        let short = self.text.clone();
        let long = [slice::from_ref(&self.text), &self.details].concat().join(", ");
        if self.times < 2 {
            return vec![long, short];
        }
        let times = format!("×{}", exact(self.times));
        let took = duration(self.last.boot_ns.saturating_sub(self.time.boot_ns));
        vec![
            format!("{long} {times} in {took}"),
            format!("{long} {times}"),
            format!("{short} {times} in {took}"),
            format!("{short} {times}"),
        ]
    }
}

/// The diagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// Who takes part, from the left to the right.
    pub(crate) lifelines: Vec<Lifeline>,
    /// What happened, oldest first.
    pub(crate) steps: Vec<Step>,
}

/// Rows above the steps: roles and names.
const HEAD_ROWS: usize = 2;
const TIME_CELLS: usize = 14;

impl Sequence {
    /// Rows it takes if at most `most` are there; at least three, or nothing is told.
    pub(crate) fn rows(&self, most: usize) -> usize {
        (HEAD_ROWS + self.steps.len()).min(most.max(HEAD_ROWS + 1))
    }

    /// Draws row `row` of `rows`. If not all steps fit, the newest are shown, below a row that counts the others.
    pub(crate) fn draw_row(&self, row: usize, rows: usize, area: Rect, buffer: &mut Buffer, theme: Theme) {
        let room = rows.saturating_sub(HEAD_ROWS);
        let hidden = if self.steps.len() > room { self.steps.len() + 1 - room } else { 0 };
        match row {
            0 => self.draw_names(area, buffer, theme.style(Role::Dim), |lifeline| &lifeline.role),
            1 => self.draw_names(area, buffer, theme.style(Role::Title), |lifeline| &lifeline.name),
            HEAD_ROWS if hidden > 0 => {
                self.draw_bars(area, buffer, theme);
                let text = format!("{} earlier", exact(hidden as u64));
                put(area, buffer, 2, &text, theme.style(Role::Dim));
            }
            _ => {
                // One row was taken by the count of the hidden ones.
                let skipped = hidden.saturating_sub(1);
                if let Some(step) = self.steps.get(row - HEAD_ROWS + skipped) {
                    let before = (row - HEAD_ROWS + skipped).checked_sub(1);
                    let before = before.filter(|_| row > HEAD_ROWS).and_then(|index| self.steps.get(index));
                    self.draw_bars(area, buffer, theme);
                    put(area, buffer, 2, &time_text(step, before), theme.style(Role::Dim));
                    self.draw_step(step, area, buffer, theme);
                }
            }
        }
    }

    /// Cells from one lifeline to the next.
    fn lane(&self, area: Rect) -> usize {
        usize::from(area.width).saturating_sub(TIME_CELLS) / self.lifelines.len().max(1)
    }

    fn place(&self, area: Rect, lifeline: usize) -> usize {
        let lane = self.lane(area);
        TIME_CELLS + lane * lifeline + lane / 2
    }

    fn draw_names(&self, area: Rect, buffer: &mut Buffer, style: Style, of: impl Fn(&Lifeline) -> &String) {
        for (index, lifeline) in self.lifelines.iter().enumerate() {
            let text = clip_middle(of(lifeline), self.lane(area).saturating_sub(1));
            let start = self.place(area, index).saturating_sub(width(&text) / 2);
            put(area, buffer, start, &text, style);
        }
    }

    fn draw_bars(&self, area: Rect, buffer: &mut Buffer, theme: Theme) {
        for index in 0..self.lifelines.len() {
            put(area, buffer, self.place(area, index), "│", theme.style(Role::Dim));
        }
    }

    fn draw_step(&self, step: &Step, area: Rect, buffer: &mut Buffer, theme: Theme) {
        let style = theme.style(step.role);
        let [from, to] = [step.from, step.to].map(|lifeline| self.place(area, lifeline));
        if from == to {
            return self.draw_note(step, area, buffer, style);
        }
        let (left, right) = (from.min(to) + 1, from.max(to));
        let cells = right.saturating_sub(left);
        let goes_right = from < to;
        let mut line: Vec<&str> = vec!["─"; cells];
        let head = match (step.is_lost, goes_right) {
            (true, _) => "×",
            (false, true) => "▸",
            (false, false) => "◂",
        };
        // What is lost ends half-way.
        let end = match (step.is_lost, goes_right) {
            (false, true) => cells.saturating_sub(1),
            (false, false) => 0,
            (true, true) => cells * 3 / 4,
            (true, false) => cells / 4,
        };
        for (index, cell) in line.iter_mut().enumerate() {
            let is_behind = if goes_right { index > end } else { index < end };
            if is_behind {
                *cell = " ";
            }
        }
        if let Some(cell) = line.get_mut(end) {
            *cell = head;
        }
        put(area, buffer, left, &line.concat(), style);
        let room = cells.saturating_sub(4);
        let text = fitting(&step.variants(), room);
        let start = left + 1 + (room.saturating_sub(width(&text))) / 2;
        put(area, buffer, start, &format!(" {text} "), style);
    }

    /// What happens at one place stands beside its lifeline, where there is more room.
    fn draw_note(&self, step: &Step, area: Rect, buffer: &mut Buffer, style: Style) {
        let place = self.place(area, step.from);
        let (right, left) =
            (usize::from(area.width).saturating_sub(place + 2), place - TIME_CELLS.min(place));
        if right >= left {
            let text = fitting(&step.variants(), right);
            put(area, buffer, place + 2, &format!("{text} "), style);
        } else {
            let text = fitting(&step.variants(), left.saturating_sub(2));
            put(area, buffer, place.saturating_sub(width(&text) + 2), &format!(" {text}"), style);
        }
    }
}

/// The time of day of the first step shown, and of each other how long it came after the one before.
fn time_text(step: &Step, before: Option<&Step>) -> String {
    const SECOND_US: u64 = 1_000_000;
    let Some(before) = before else { return time_of_day_milliseconds(step.time) };
    let later_us = step.time.boot_ns.saturating_sub(before.last.boot_ns) / 1_000;
    if later_us == 0 {
        "+0".to_owned()
    } else if later_us < 100 * SECOND_US {
        format!("+{}", microseconds(later_us))
    } else {
        format!("+{}", duration(later_us * 1_000))
    }
}

fn put(area: Rect, buffer: &mut Buffer, start: usize, text: &str, style: Style) {
    let room = usize::from(area.width).saturating_sub(start);
    if let Ok(start) = u16::try_from(start) {
        buffer.set_stringn(area.x.saturating_add(start), area.y, text, room, style);
    }
}
