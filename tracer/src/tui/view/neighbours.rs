//! Who answers for which address, whom the kernel kept, whom it ignored.

mod history;

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
};

use super::{Picture, describe::empty_text};
use crate::{
    event::{Timestamp, Verdict},
    probe::table::Family,
    state::{Neighbour, NeighbourKey},
    tui::{
        owner_text::netns_column,
        rows,
        text::age,
        theme::Role,
        widget::{
            list,
            table::{Cell, Column, Fit, cell, count, known, number, pieces, plain, words},
        },
    },
};

struct Row<'a> {
    key: &'a NeighbourKey,
    neighbour: &'a Neighbour,
    netns: String,
    now: Timestamp,
}

/// Draws the screen: the list, and who answered for the selected address and when.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    /// Below this the history would leave the list no room.
    const LEAST_ROWS_FOR_HISTORY: u16 = 14;
    let (state, now, measure) = (picture.state, picture.state.now(), picture.model.sorted_by());
    let selected = picture.model.selected_row().min(state.neighbours.len().saturating_sub(1));
    let rows = rows::neighbours(state, measure, selected + usize::from(area.height));
    let chosen = rows.get(selected).copied();
    let history = chosen.filter(|_| area.height >= LEAST_ROWS_FOR_HISTORY);
    let share = history.map_or(0, |(_, neighbour)| history::rows(neighbour).min(area.height / 2));
    let [list, below] = Layout::vertical([Constraint::Fill(1), Constraint::Length(share)]).areas(area);
    let empty = empty_text(state, Family::Neighbour, "Nobody has proposed or claimed an address so far.");
    let texts = ("Neighbours", empty.as_str());
    list::draw(list, buffer, picture, texts, &columns(), |range| {
        let shown = rows[range.start.min(rows.len())..range.end.min(rows.len())].iter();
        shown
            .map(|&(key, neighbour)| {
                let netns = netns_column(state, key.netns, neighbour.last);
                Row { key, neighbour, netns, now }
            })
            .collect()
    });
    if let Some((key, neighbour)) = history {
        history::draw(below, buffer, picture, key, neighbour);
    }
}

fn columns<'a>() -> Vec<Column<Row<'a>>> {
    let verdict = |title, rank, role, verdict: Verdict| {
        number(title, title.len().max(4), rank, move |row: &Row<'_>| {
            count(row.neighbour.with_verdict(verdict), role)
        })
    };
    vec![
        words("address", Fit::Middle, (15, 39), 0, |row: &Row<'_>| plain(row.key.address.to_string())),
        words("dev", Fit::Left, (6, 15), 2, |row: &Row<'_>| plain(row.neighbour.device.to_string())),
        words("kept", Fit::Left, (17, 23), 1, |row: &Row<'_>| kept(row.neighbour)),
        words("others who answer", Fit::Left, (24, 64), 1, |row: &Row<'_>| others(row.neighbour))
            .showing("trouble"),
        verdict("ignored", 3, Role::Bad, Verdict::Ignored),
        verdict("changed", 5, Role::Warning, Verdict::Changed),
        verdict("failed", 6, Role::Bad, Verdict::Failed),
        verdict("learned", 7, Role::Plain, Verdict::Learned),
        verdict("confirmed", 9, Role::Plain, Verdict::Confirmed),
        number("proposals", 9, 9, |row: &Row<'_>| count(rows::proposals(row.neighbour), Role::Plain))
            .showing("proposals"),
        words("state", Fit::Left, (9, 10), 7, |row: &Row<'_>| {
            known(row.neighbour.state.map(|state| state.to_string()))
        }),
        number("own claims", 10, 9, |row: &Row<'_>| count(row.neighbour.own_claims, Role::Warning)),
        number("last", 5, 4, |row: &Row<'_>| plain(age(row.now, row.neighbour.last))).showing("last seen"),
        words("5 min ago … now", Fit::Left, (history::CELLS, history::CELLS), 8, |row: &Row<'_>| {
            pieces(history::in_one(row.neighbour, row.now))
        }),
        words("netns", Fit::Left, (10, 32), 10, |row: &Row<'_>| cell(row.netns.clone(), Role::Dim)),
    ]
}

fn kept(neighbour: &Neighbour) -> Cell {
    match neighbour.kept {
        Some(kept) => plain(kept.to_string()),
        None if neighbour.with_verdict(Verdict::Failed) > 0 => cell("no answer", Role::Bad),
        None => cell("none", Role::Dim),
    }
}

/// `bb:… ×12` for every other answerer; a message that was seen both as a claim and as a proposal counts once.
fn others(neighbour: &Neighbour) -> Cell {
    let texts: Vec<String> = neighbour
        .others()
        .map(|other| match (other.ignored + other.taken).max(other.claims) {
            // It held the address before anything was seen of it.
            0 => format!("{} before", other.hardware_address),
            times => format!("{} ×{times}", other.hardware_address),
        })
        .collect();
    cell(texts.join(", "), Role::Warning)
}
