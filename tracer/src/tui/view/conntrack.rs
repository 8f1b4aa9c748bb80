//! What conntrack decided.

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
    state::{ConntrackEntry, ConntrackTable, FlowKey, State},
    tui::{
        rows,
        text::{age, exact},
        theme::{Role, Theme},
        widget::{
            lines::{self, Fact},
            list, rule,
            table::{Column, Fit, cell, known, number, plain, words},
        },
    },
};

/// Draws the screen.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let Picture { model, state, theme } = *picture;
    let shown_tables = tables(state);
    let table_rows = u16::try_from(shown_tables.len()).unwrap_or(u16::MAX);
    let heights = [
        Constraint::Length(if shown_tables.is_empty() { 3 } else { 4 }),
        Constraint::Length(if shown_tables.is_empty() { 0 } else { table_rows + 1 }),
        Constraint::Fill(1),
    ];
    let [counts, filled, entries] = Layout::vertical(heights).areas(area);
    let counts = rule::draw(counts, buffer, theme, "Decisions", "");
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
    if !shown_tables.is_empty() {
        let note = format!("{} of {} namespaces", shown_tables.len(), state.conntrack.tables.len());
        let filled = rule::draw(filled, buffer, theme, "Tables", &note);
        lines::draw(filled, buffer, theme, &shown_tables);
    }
    let now = state.now();
    let empty = empty_text(state, Family::Conntrack, "Conntrack has not decided about a known entry so far.");
    let texts = ("Entries", empty.as_str());
    list::draw(entries, buffer, picture, texts, &columns(now), |range| {
        rows::conntrack(state, model.sorted_by(), range.end).split_off(range.start)
    });
}

/// What the kernel itself counted meanwhile, to hold against the decisions that were seen.
fn counted(state: &State, theme: Theme) -> Line<'static> {
    let mut line = Line::from(Span::styled(" counted by the kernel:", theme.style(Role::Dim)));
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

/// The tables with most failures, then the fullest.
fn tables(state: &State) -> Vec<Fact> {
    const TABLES: usize = 3;
    /// Fill in thousandths is below this.
    const FILLS: u64 = 1 << 20;
    let measure = |table: &ConntrackTable| {
        table
            .failures()
            .saturating_mul(FILLS)
            .saturating_add(table.fill_permille().unwrap_or(0).min(FILLS - 1))
    };
    rows::top(state.conntrack.tables.iter(), measure, TABLES)
        .into_iter()
        .map(|(netns, table)| Fact { subject: format!("netns {netns}"), told: table_text(table) })
        .collect()
}

fn table_text(table: &ConntrackTable) -> Vec<(String, Role)> {
    /// From here on a table is about to drop connections, in thousandths.
    const NEARLY_FULL: u64 = 900;
    let entries = exact(table.counters.entries);
    let fill = match (table.fill_permille(), table.counters.limit) {
        (Some(permille), Some(limit)) => {
            let role = if permille >= NEARLY_FULL { Role::Bad } else { Role::Plain };
            let text =
                format!("{} {:>3} %  {entries} of {} entries", gauge(permille), permille / 10, exact(limit));
            (text, role)
        }
        _ => (format!("{entries} entries, no limit"), Role::Plain),
    };
    let failures = ConntrackCounter::ALL
        .into_iter()
        .filter(|&counter| counter.is_failure() && table.growth(counter) > 0)
        .map(|counter| (format!("{counter} {}", exact(table.growth(counter))), Role::Bad));
    std::iter::once(fill).chain(failures).collect()
}

/// A bar of ten cells.
fn gauge(permille: u64) -> String {
    const CELLS: u64 = 10;
    let full = usize::try_from(permille.min(1_000).div_ceil(1_000 / CELLS)).unwrap_or_default();
    format!("{}{}", "█".repeat(full), "·".repeat(10 - full.min(10)))
}

type Row<'a> = (&'a FlowKey, &'a ConntrackEntry);

fn columns<'a>(now: Timestamp) -> Vec<Column<Row<'a>>> {
    vec![
        words("proto", Fit::Left, (5, 6), 5, |(key, _): &Row<'_>| plain(key.endpoints.protocol.to_string())),
        words("from", Fit::Middle, (21, 47), 0, |(key, _): &Row<'_>| plain(key.endpoints.source.to_string())),
        words("to", Fit::Middle, (21, 47), 0, |(key, _): &Row<'_>| {
            plain(key.endpoints.destination.to_string())
        }),
        words("answered by", Fit::Middle, (21, 47), 3, |(_, entry): &Row<'_>| {
            known(entry.reply.map(|reply| reply.source.to_string()))
        }),
        words("decisions", Fit::Left, (18, 60), 1, |(_, entry): &Row<'_>| {
            cell(conntrack_text(entry), if entry.failures() > 0 { Role::Bad } else { Role::Plain })
        }),
        words("tcp state", Fit::Left, (11, 11), 4, |(_, entry): &Row<'_>| {
            known(entry.tcp_state.map(str::to_owned))
        }),
        number("mark", 6, 6, |(_, entry): &Row<'_>| {
            known((entry.mark != 0).then(|| format!("{:#x}", entry.mark)))
        }),
        number("zone", 5, 6, |(_, entry): &Row<'_>| known((entry.zone != 0).then(|| entry.zone.to_string()))),
        number("last", 5, 2, move |(_, entry): &Row<'_>| plain(age(now, entry.last))),
        words("netns", Fit::Left, (10, 10), 9, |(key, _): &Row<'_>| cell(key.netns.to_string(), Role::Dim)),
    ]
}
