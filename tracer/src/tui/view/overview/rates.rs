//! How much of what happened when: bars for each family over one time axis, and below them what was changed and marked
//! at that moment.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::{
    event::Timestamp,
    findings::{FindingChange, FindingStatus, Severity},
    probe::table::Family,
    state::{COUNTED_FAMILIES, HISTORY_SECONDS, Marker, MarkerKind, second_of},
    tui::{
        text::{clip_end, duration, fitting, rate, short, width},
        theme::{Role, Theme},
        view::{Picture, event_fact},
        widget::{axis::Axis, rule, sparkline},
    },
};

const LABEL_CELLS: u16 = 13;
const FIGURE_CELLS: u16 = 8;
/// The windows rates are told over, seconds, and what they are called; narrow screens leave out the one between.
const WINDOWS: [(u64, &str); 3] = [(1, "1 s"), (10, "10 s"), (60, "1 min")];
const NARROW_WINDOWS: [(u64, &str); 2] = [(1, "1 s"), (60, "1 min")];
/// From this height of the screen on, changes have a row for each kind.
const ROOMY_ROWS: u16 = 30;

/// How many rows it takes of a screen.
pub(super) fn rows(picture: &Picture<'_>, screen: Rect) -> u16 {
    /// The title and the axis.
    const OTHERS: u16 = 2;
    let families = u16::try_from(COUNTED_FAMILIES.len()).unwrap_or_default();
    let markers = u16::try_from(mark_rows(picture, screen.height >= ROOMY_ROWS).len()).unwrap_or_default();
    OTHERS + families * bar_rows(screen.height) + markers
}

/// How high a bar is on a screen.
fn bar_rows(screen_rows: u16) -> u16 {
    match screen_rows {
        0..34 => 1,
        34..50 => 2,
        _ => 3,
    }
}

/// Draws it, as many rows as [`rows`] said.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    /// Five minutes tell a rollout; where there is room for more without a coarser step, more is shown.
    const ENOUGH_SECONDS: u64 = 300;
    let Picture { state, theme, .. } = *picture;
    let families = u16::try_from(COUNTED_FAMILIES.len()).unwrap_or_default();
    // The height of the screen is told by the rows that were asked for.
    let is_roomy = area.height >= 2 + families * 2;
    let markers = mark_rows(picture, is_roomy);
    let fixed = 2 + u16::try_from(markers.len()).unwrap_or_default();
    let bar_rows = (area.height.saturating_sub(fixed) / families).max(1);
    let windows = windows(area.width);
    let figures_cells = FIGURE_CELLS * (1 + u16::try_from(windows.len()).unwrap_or_default());
    let cells = area.width.saturating_sub(LABEL_CELLS + figures_cells + 1);
    let cells = cells.min(u16::try_from(HISTORY_SECONDS).unwrap_or(u16::MAX));
    let axis = Axis::new(state.began(), state.now(), usize::from(cells), ENOUGH_SECONDS);
    let figures_x = area.x + LABEL_CELLS + cells;
    let below = draw_title(area, buffer, theme, &axis, figures_x, windows);
    let mut lines = below.rows().map(|row| Rect { x: row.x + LABEL_CELLS, width: cells, ..row });
    for family in COUNTED_FAMILIES {
        let rows: Vec<Rect> = lines.by_ref().take(usize::from(bar_rows)).collect();
        draw_family(&rows, buffer, picture, family, (&axis, windows));
    }
    for (label, style, markers) in markers {
        let Some(row) = lines.next() else { break };
        buffer.set_stringn(below.x + 2, row.y, label, usize::from(LABEL_CELLS), style);
        draw_marks(row, buffer, theme, &axis, &markers);
    }
    let bars = Rect {
        x: below.x + LABEL_CELLS,
        width: cells,
        height: (bar_rows * families).min(below.height),
        ..below
    };
    draw_guides(bars, buffer, picture, &axis);
    if let Some(row) = lines.next() {
        axis.draw(row, buffer, theme);
    }
}

fn windows(width: u16) -> &'static [(u64, &'static str)] {
    const WIDE_CELLS: u16 = 100;
    if width < WIDE_CELLS { &NARROW_WINDOWS } else { &WINDOWS }
}

fn draw_title(
    area: Rect,
    buffer: &mut Buffer,
    theme: Theme,
    axis: &Axis,
    figures_x: u16,
    windows: &[(u64, &str)],
) -> Rect {
    let (length, step) = (duration(axis.length_ns()), axis.step_s);
    let mut titles = vec![format!("Events a second · last {length} · 1 s a bar")];
    if step > 1 {
        titles = vec![
            format!("Events a second · last {length} · a bar is the busiest of {step} s"),
            format!("Events a second · last {length} · {step} s a bar"),
        ];
    }
    titles.push("Events a second".to_owned());
    let room = usize::from(figures_x.saturating_sub(area.x)).saturating_sub(4);
    let below = rule::draw(area, buffer, theme, &fitting(&titles, room), "");
    if area.height > 0 {
        let names = ["peak"].into_iter().chain(windows.iter().map(|(_, name)| *name));
        let names: Vec<String> = names.map(|name| format!("{name:>8}")).collect();
        let room = usize::from(area.right().saturating_sub(figures_x));
        buffer.set_stringn(figures_x, area.y, format!("{} ", names.concat()), room, theme.style(Role::Dim));
    }
    below
}

/// The bars of a family and its figures.
fn draw_family(
    rows: &[Rect],
    buffer: &mut Buffer,
    picture: &Picture<'_>,
    family: Family,
    (axis, windows): (&Axis, &[(u64, &str)]),
) {
    let Picture { state, theme, .. } = *picture;
    let (Some(buckets), Some(lowest)) = (state.rates.of(family), rows.last()) else { return };
    let counts: Vec<u32> = (0..axis.cells)
        .map(|cell| axis.seconds(cell).map(|second| buckets.at(second)).max().unwrap_or_default())
        .collect();
    let peak = counts.iter().copied().max().unwrap_or_default();
    let style = theme.family(family);
    for (bars, row) in sparkline::bars(&counts, peak, rows.len()).iter().zip(rows) {
        buffer.set_stringn(row.x, row.y, bars, usize::from(row.width), style);
    }
    let label_x = lowest.x.saturating_sub(LABEL_CELLS - 2);
    buffer.set_stringn(label_x, lowest.y, family.name(), usize::from(LABEL_CELLS), style);
    if peak == 0 && state.hooks.is_blind(family) {
        let text = clip_end("not seen: no hook of it is attached", usize::from(lowest.width));
        buffer.set_string(lowest.x, lowest.y, text, theme.style(Role::Dim));
    }
    let mut figures = format!("{:>8}", short(u64::from(peak)));
    let room = usize::from(buffer.area.right().saturating_sub(lowest.right()));
    for &(window, _) in windows {
        figures = format!("{figures}{:>8}", rate(state.rate(family, window)));
    }
    buffer.set_stringn(lowest.right(), lowest.y, figures, room, theme.style(Role::Plain));
}

/// What stands at a moment below the bars.
#[derive(Clone, Copy)]
enum Mark<'a> {
    /// A finding opened, or closed.
    Finding(&'a FindingChange),
    /// Something was changed or marked; the letter it has here.
    Marker(char, &'a Marker),
}

impl Mark<'_> {
    fn time(&self) -> Timestamp {
        match self {
            Self::Finding(change) => change.time,
            Self::Marker(_, marker) => marker.event.time,
        }
    }

    /// Of several in one cell the first is shown.
    fn rank(&self) -> (u8, Option<MarkerKind>) {
        match self {
            Self::Finding(change) if change.status == FindingStatus::Open => (0, None),
            Self::Finding(_) => (1, None),
            Self::Marker(_, marker) => (2, Some(marker.kind)),
        }
    }

    fn letter(&self, theme: Theme) -> (char, Style) {
        match self {
            Self::Finding(change) if change.status == FindingStatus::Open => OPENED.styled(theme),
            Self::Finding(_) => CLOSED.styled(theme),
            Self::Marker(letter, marker) => (*letter, style(theme, marker.kind)),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Finding(change) => change.finding.who.clone(),
            Self::Marker(_, marker) => event_fact(&marker.event).2,
        }
    }
}

/// How what became of a finding is marked on a time axis.
pub(in crate::tui::view) struct FindingMark {
    pub(super) letter: char,
    role: Role,
}

/// Where one opened.
pub(in crate::tui::view) const OPENED: FindingMark = FindingMark { letter: '!', role: Role::Bad };
/// Where one closed.
pub(in crate::tui::view) const CLOSED: FindingMark = FindingMark { letter: '=', role: Role::Good };

impl FindingMark {
    /// The letter and how it looks.
    pub(in crate::tui::view) fn styled(&self, theme: Theme) -> (char, Style) {
        (self.letter, theme.style(self.role))
    }
}

/// A row of marks: its label, how that looks, and the marks.
type MarkRow<'a> = (&'static str, Style, Vec<Mark<'a>>);

/// The rows there are marks for: one for each kind if there is room, else one for all, with letters.
fn mark_rows<'a>(picture: &Picture<'a>, is_roomy: bool) -> Vec<MarkRow<'a>> {
    const MARK: char = '▲';
    let Picture { state, theme, .. } = *picture;
    let of = |kind, letter| state.markers.of(kind).iter().map(move |marker| Mark::Marker(letter, marker));
    let findings = state.findings.log().iter().filter(|change| is_turn(change)).map(Mark::Finding);
    let mut rows: Vec<MarkRow<'a>> = if is_roomy {
        let kinds = MarkerKind::ALL.into_iter();
        let kinds = kinds.map(|kind| (label(kind), style(theme, kind), of(kind, MARK).collect()));
        [("findings", theme.style(Role::Title), findings.collect())].into_iter().chain(kinds).collect()
    } else {
        let all = MarkerKind::ALL.into_iter().flat_map(|kind| of(kind, letter(kind)));
        vec![("changes", theme.style(Role::Title), findings.chain(all).collect())]
    };
    rows.retain(|(_, _, marks)| !marks.is_empty());
    rows
}

/// Whether something that is wrong opened or closed.
fn is_turn(change: &FindingChange) -> bool {
    let is_turn = match change.status {
        FindingStatus::Open => true,
        FindingStatus::Closed => change.explained_by.is_none(),
        FindingStatus::Update => false,
    };
    is_turn && change.finding.severity != Severity::Notice
}

/// What a kind of markers is called beside the axis.
fn label(kind: MarkerKind) -> &'static str {
    match kind {
        MarkerKind::User => "marks",
        MarkerKind::Ipvs => "ipvs edits",
        MarkerKind::Route => "routes",
        MarkerKind::Surroundings => "devices",
    }
}

/// The letter of a kind where all share a row.
pub(super) fn letter(kind: MarkerKind) -> char {
    match kind {
        MarkerKind::User => 'm',
        MarkerKind::Ipvs => 'i',
        MarkerKind::Route => 'r',
        MarkerKind::Surroundings => 'd',
    }
}

/// The letter of a kind and how it looks.
pub(in crate::tui::view) fn marker_mark(theme: Theme, kind: MarkerKind) -> (char, Style) {
    (letter(kind), style(theme, kind))
}

/// How a kind of markers looks.
pub(super) fn style(theme: Theme, kind: MarkerKind) -> Style {
    match kind {
        MarkerKind::User => theme.style(Role::Title),
        MarkerKind::Ipvs => theme.family(Family::Ipvs),
        MarkerKind::Route => theme.family(Family::Path),
        MarkerKind::Surroundings => theme.style(Role::Plain),
    }
}

/// Marks, and beside each what it is as far as there is room, the newest first.
fn draw_marks(row: Rect, buffer: &mut Buffer, theme: Theme, axis: &Axis, marks: &[Mark<'_>]) {
    const LEAST_TEXT: usize = 10;
    let mut marks: Vec<(usize, Mark<'_>)> =
        marks.iter().filter_map(|&mark| Some((axis.cell(second_of(mark.time()))?, mark))).collect();
    marks.sort_by_key(|(cell, mark)| (*cell, mark.rank()));
    marks.dedup_by_key(|(cell, _)| *cell);
    let mut end = axis.cells;
    let mut places = marks.iter().rev().peekable();
    while let Some((cell, mark)) = places.next() {
        let (cell, (letter, style), text) = (*cell, mark.letter(theme), mark.text());
        let before = places.peek().map_or(0, |(before, _)| before + 2);
        let right = end.saturating_sub(cell + 2);
        let left = cell.saturating_sub(before + 1);
        let is_right = right >= width(&text) || right >= left;
        let (room, start) = if is_right { (right, cell + 1) } else { (left, 0) };
        end = cell;
        if room >= width(&text).min(LEAST_TEXT) {
            let text = clip_end(&text, room);
            let start = if is_right { start } else { cell - width(&text) };
            // What stands at the left takes the room of the one before.
            end = end.min(start);
            put(row, buffer, start, &text, theme.style(Role::Dim));
        }
        put(row, buffer, cell, letter.encode_utf8(&mut [0; 4]), style);
    }
}

/// A line up from each mark through cells without a bar, unless there are too many to tell them apart.
fn draw_guides(bars: Rect, buffer: &mut Buffer, picture: &Picture<'_>, axis: &Axis) {
    const MOST_OF_CELLS: usize = 8;
    let Picture { state, theme, .. } = *picture;
    let mut cells: Vec<usize> =
        state.markers.iter().filter_map(|marker| axis.cell(second_of(marker.event.time))).collect();
    cells.sort_unstable();
    cells.dedup();
    if cells.len() > axis.cells / MOST_OF_CELLS {
        return;
    }
    for row in bars.rows() {
        for &cell in &cells {
            let x = row.x + u16::try_from(cell).unwrap_or(u16::MAX);
            if buffer.cell((x, row.y)).is_some_and(|cell| cell.symbol() == " ") {
                put(row, buffer, cell, "┊", theme.style(Role::Dim));
            }
        }
    }
}

fn put(row: Rect, buffer: &mut Buffer, cell: usize, text: &str, style: Style) {
    if let Ok(cell) = u16::try_from(cell)
        && cell < row.width
    {
        buffer.set_stringn(row.x + cell, row.y, text, usize::from(row.width - cell), style);
    }
}
