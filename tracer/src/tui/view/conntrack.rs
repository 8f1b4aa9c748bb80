//! What conntrack decided, how full its tables are, and the entries it decided about.

mod tables;

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
};

use super::{
    Picture,
    describe::{conntrack_text, empty_text},
};
use crate::{
    event::{ConntrackCounter, ConntrackEvent, Timestamp},
    probe::table::Family,
    state::{ConntrackEntry, FlowKey, State},
    tui::{
        owner_text::netns_column,
        rows,
        text::{age, exact},
        theme::{Role, Theme},
        widget::{
            list, rule,
            table::{Column, Fit, cell, count, known, number, plain, words},
        },
    },
};

/// Draws the screen.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let Picture { model, state, .. } = *picture;
    let has_tables = !state.conntrack.tables.is_empty();
    let heights = [
        Constraint::Length(if has_tables { tables::rows(state, area.height) } else { 0 }),
        Constraint::Length(if has_tables { 4 } else { 3 }),
        Constraint::Fill(1),
    ];
    let [tables, counts, entries] = Layout::vertical(heights).areas(area);
    if has_tables {
        tables::draw(tables, buffer, picture);
    }
    draw_counts(counts, buffer, picture);
    let empty = empty_text(state, Family::Conntrack, "Conntrack has not decided about a known entry so far.");
    let texts = ("Entries it decided about", empty.as_str());
    list::draw(entries, buffer, picture, texts, &columns(state.now()), |range| {
        let entries = rows::conntrack(state, model.sorted_by(), range.end);
        let shown = entries[range.start.min(entries.len())..].iter();
        shown
            .map(|&(key, entry)| {
                let netns = netns_column(state, key.netns, entry.last);
                Row { key, entry, netns }
            })
            .collect()
    });
}

/// Decisions the hooks saw, those that harm nobody in the first line, and below them what the kernel counted.
fn draw_counts(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let Picture { state, theme, .. } = *picture;
    let counts = rule::draw(area, buffer, theme, "Decisions", "");
    let mut decided = [Line::from(" "), Line::from(" ")];
    for event in ConntrackEvent::ALL {
        let count = state.conntrack.count(event);
        let role = match count {
            0 => Role::Dim,
            _ if event.is_failure() => Role::Bad,
            _ => Role::Plain,
        };
        let line = &mut decided[usize::from(event.is_failure() || event == ConntrackEvent::ClashResolved)];
        line.push_span(Span::styled(format!(" {event} {}  ", exact(count)), theme.style(role)));
    }
    for (line, row) in decided.iter().zip(counts.rows()) {
        buffer.set_line(row.x, row.y, line, row.width);
    }
    if let Some(row) = counts.rows().nth(decided.len()) {
        buffer.set_line(row.x, row.y, &counted(state, theme), row.width);
    }
}

/// What the kernel itself counted meanwhile, to hold against the decisions that were seen.
fn counted(state: &State, theme: Theme) -> Line<'static> {
    let mut line = Line::from(Span::styled("  counted by the kernel:", theme.style(Role::Dim)));
    for counter in ConntrackCounter::ALL {
        let is_failure = counter.is_failure();
        if !is_failure && counter != ConntrackCounter::ClashResolve {
            continue;
        }
        let growth = state.conntrack.growth(counter);
        let role = match growth {
            0 => Role::Dim,
            _ if is_failure => Role::Bad,
            _ => Role::Plain,
        };
        line.push_span(Span::styled(format!(" {counter} {} ", exact(growth)), theme.style(role)));
    }
    line
}

struct Row<'a> {
    key: &'a FlowKey,
    entry: &'a ConntrackEntry,
    netns: String,
}

fn columns<'a>(now: Timestamp) -> Vec<Column<Row<'a>>> {
    vec![
        words("proto", Fit::Left, (5, 6), 6, |row: &Row<'_>| plain(row.key.endpoints.protocol.to_string())),
        words("from", Fit::Middle, (21, 47), 0, |row: &Row<'_>| plain(row.key.endpoints.source.to_string())),
        words("to", Fit::Middle, (21, 47), 0, |row: &Row<'_>| {
            plain(row.key.endpoints.destination.to_string())
        }),
        words("answered by", Fit::Middle, (21, 47), 3, |row: &Row<'_>| {
            known(row.entry.reply.map(|reply| reply.source.to_string()))
        }),
        words("before", Fit::Middle, (21, 47), 8, |row: &Row<'_>| {
            known(row.entry.previous_reply.map(|reply| reply.source.to_string()))
        }),
        words("decisions", Fit::Left, (18, 60), 1, |row: &Row<'_>| {
            cell(conntrack_text(row.entry), if row.entry.failures() > 0 { Role::Bad } else { Role::Plain })
        })
        .showing("decisions"),
        number("dropped", 7, 5, |row: &Row<'_>| count(row.entry.failures(), Role::Bad)).showing("failures"),
        words("which means", Fit::Left, (20, 52), 7, |row: &Row<'_>| {
            cell(meaning(row.entry.event), Role::Dim)
        }),
        words("tcp state", Fit::Left, (11, 11), 4, |row: &Row<'_>| {
            known(row.entry.tcp_state.map(str::to_owned))
        }),
        number("mark", 6, 9, |row: &Row<'_>| {
            known((row.entry.mark != 0).then(|| format!("{:#x}", row.entry.mark)))
        }),
        number("zone", 5, 9, |row: &Row<'_>| {
            known((row.entry.zone != 0).then(|| row.entry.zone.to_string()))
        }),
        number("last", 5, 2, move |row: &Row<'_>| plain(age(now, row.entry.last))).showing("last seen"),
        words("netns", Fit::Left, (10, 32), 10, |row: &Row<'_>| cell(row.netns.clone(), Role::Dim)),
    ]
}

/// What the last decision means for the connection.
fn meaning(event: ConntrackEvent) -> &'static str {
    match event {
        ConntrackEvent::Reopened => "the finished entry was made anew, mapped again",
        ConntrackEvent::Reused => "a new connection kept the old mapping",
        ConntrackEvent::SynRepeated => "the same SYN again, nothing else",
        ConntrackEvent::ReopenFailed => "SYN dropped: its entry was just removed",
        ConntrackEvent::InsertFailed => "packet dropped: its entry found no place",
        ConntrackEvent::ClashResolved => "two equal entries met, the packet went on",
        ConntrackEvent::TableFull => "packet dropped: the table is full",
    }
}
