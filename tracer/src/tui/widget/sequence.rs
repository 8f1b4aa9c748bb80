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
    /// Whether it is a segment sent again.
    pub(crate) is_again: bool,
}

impl Step {
    /// Takes in the step that follows if it is the same again.
    pub(crate) fn absorbs(&mut self, next: &Self) -> bool {
        let is_same = self.is_like(next);
        if is_same {
            self.take(next);
        }
        is_same
    }

    /// Whether another is the same again; segments sent again are, whatever their details.
    fn is_like(&self, other: &Self) -> bool {
        (self.from, self.to, self.role, self.is_lost) == (other.from, other.to, other.role, other.is_lost)
            && self.text == other.text
            && (self.is_again || self.details == other.details)
    }

    fn take(&mut self, other: &Self) {
        self.times += other.times;
        self.last = self.last.max(other.last);
        for detail in &other.details {
            if !self.details.contains(detail) {
                self.details.push(detail.clone());
            }
        }
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
            // That it came again, the number says too.
            format!("{} {times}", short.trim_end_matches(" again")),
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

/// What stands in one row: a step, and the one that goes on from it at the same time.
type Group<'a> = &'a [Step];

/// A diagram as it is drawn in some rows.
pub(crate) struct Rows<'a> {
    sequence: &'a Sequence,
    steps: Vec<Step>,
    /// How many rows of steps there are.
    shown: usize,
}

impl Rows<'_> {
    /// How many rows there are.
    pub(crate) fn count(&self) -> usize {
        HEAD_ROWS + self.shown
    }

    /// Draws one of them. If not all steps fit, the newest are shown, below a row that counts the others.
    pub(crate) fn draw(&self, row: usize, area: Rect, buffer: &mut Buffer, theme: Theme) {
        let sequence = self.sequence;
        let Some(place) = row.checked_sub(HEAD_ROWS) else {
            let (style, of): (_, fn(&Lifeline) -> &String) = match row {
                0 => (theme.style(Role::Dim), |lifeline| &lifeline.role),
                _ => (theme.style(Role::Title), |lifeline| &lifeline.name),
            };
            return sequence.draw_names(area, buffer, style, of);
        };
        let groups = groups(&self.steps);
        let skipped = groups.len() - self.shown;
        sequence.draw_bars(area, buffer, theme);
        if skipped > 0 && place == 0 {
            // The row of the count could have shown one more.
            let text = format!("{} earlier", exact(skipped as u64 + 1));
            return put(area, buffer, 2, &text, theme.style(Role::Dim));
        }
        let Some(group) = groups.get(place + skipped) else { return };
        let before =
            (place + skipped).checked_sub(1).filter(|_| place > 0).and_then(|index| groups[index].last());
        if let Some(first) = group.first() {
            put(area, buffer, 2, &time_text(first, before), theme.style(Role::Dim));
        }
        for step in *group {
            sequence.draw_step(step, area, buffer, theme);
        }
    }
}

/// The steps row by row: a packet that is passed on at once stands in one row with its first way.
fn groups(steps: &[Step]) -> Vec<Group<'_>> {
    let goes_on = |one: &Step, next: &Step| {
        (one.times, next.times) == (1, 1)
            && one.last == next.time
            && one.from < one.to
            && one.to == next.from
            && next.from < next.to
            && !one.is_lost
    };
    let mut groups = Vec::new();
    let mut rest = steps;
    while !rest.is_empty() {
        let taken = if rest.len() > 1 && goes_on(&rest[0], &rest[1]) { 2 } else { 1 };
        let (group, after) = rest.split_at(taken);
        groups.push(group);
        rest = after;
    }
    groups
}

/// The same steps in fewer rows: of segments sent again without anything else in between, equal ones stand together.
fn condensed(steps: &[Step]) -> Vec<Step> {
    let mut condensed: Vec<Step> = Vec::new();
    // Where the segments sent again began of which the last step is one.
    let mut began = 0;
    for step in steps {
        if !step.is_again {
            began = condensed.len() + 1;
        }
        let same = condensed.iter_mut().skip(began).find(|known| known.is_like(step));
        match same.filter(|_| step.is_again) {
            Some(known) => known.take(step),
            None => condensed.push(step.clone()),
        }
    }
    condensed
}

/// Rows above the steps: roles and names.
const HEAD_ROWS: usize = 2;
const TIME_CELLS: usize = 14;

impl Sequence {
    /// The rows it takes if there is room for `most` of them. If not everything fits, what was sent again stands
    /// together although other segments were sent again in between.
    pub(crate) fn rows(&self, most: usize) -> Rows<'_> {
        let room = most.saturating_sub(HEAD_ROWS).max(1);
        let steps =
            if groups(&self.steps).len() > room { condensed(&self.steps) } else { self.steps.clone() };
        let shown = groups(&steps).len().min(room);
        Rows { sequence: self, steps, shown }
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

/// The time of day of the first step shown, and of each other how long after the one before it began.
fn time_text(step: &Step, before: Option<&Step>) -> String {
    const SECOND_US: u64 = 1_000_000;
    let Some(before) = before else { return time_of_day_milliseconds(step.time) };
    let later_us = step.time.boot_ns.saturating_sub(before.time.boot_ns) / 1_000;
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
