//! The parts below the picture: the busiest of each family, the last changes, what was lost and is missing.

use std::collections::BTreeMap;

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
};
use tracer_common::{counters::KindCounters, hook::HookId, record::RecordKind};

use super::rates;
use crate::{
    event::{HookState, Text, Timestamp},
    findings::peers::Peer,
    state::{Marker, MarkerKind, State},
    tui::{
        rows,
        text::{age, counted, exact, rate, short, time_of_day},
        theme::Role,
        view::{
            Picture,
            describe::{hook_name, kinds_text},
            event_fact,
        },
        widget::{
            lines::{self, Fact},
            rule,
        },
    },
};

/// Lines a part is asked for at most: more than any terminal has rows for.
const MOST_LINES: usize = 64;
/// From here on two parts stand side by side.
const WIDE_CELLS: u16 = 110;
/// A title and a line.
const LEAST_ROWS: usize = 2;

/// A part: a title and what it tells, a line each.
struct Part {
    title: &'static str,
    note: String,
    facts: Vec<Fact>,
}

/// Rows that a screen leaves to the parts at least.
pub(super) fn least_rows(screen: Rect) -> u16 {
    match screen.height {
        0..17 => 0,
        17..30 => 3,
        _ => 10,
    }
}

/// Draws those that find room.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>, peers: &[Peer<'_>]) {
    let state = picture.state;
    let [changes, peers, services, health] =
        [changes(state), busiest_peers(state, peers), services(state), health(state)];
    if area.width < WIDE_CELLS {
        draw_column(area, buffer, picture, vec![changes, peers, services, health]);
        return;
    }
    let [left, _, right] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(2), Constraint::Fill(1)]).areas(area);
    draw_column(left, buffer, picture, vec![peers, services]);
    draw_column(right, buffer, picture, vec![changes, health]);
}

/// Parts below each other. Those that do not find room for a line are left out, the last first; the others share the rows.
fn draw_column(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>, mut parts: Vec<Part>) {
    parts.retain(|part| !part.facts.is_empty());
    let height = usize::from(area.height);
    parts.truncate(height / LEAST_ROWS);
    let mut rows: Vec<usize> = parts.iter().map(|_| LEAST_ROWS).collect();
    let mut left = height - rows.iter().sum::<usize>();
    while left > 0 {
        let hungry: Vec<usize> =
            (0..parts.len()).filter(|&index| rows[index] <= parts[index].facts.len()).collect();
        if hungry.is_empty() {
            break;
        }
        for &index in hungry.iter().take(left) {
            rows[index] += 1;
        }
        left = left.saturating_sub(hungry.len());
    }
    let mut rest = area;
    for (part, rows) in parts.iter().zip(rows) {
        let rows = u16::try_from(rows).unwrap_or(rest.height);
        let [here, below] = Layout::vertical([Constraint::Length(rows), Constraint::Fill(1)]).areas(rest);
        let note = match part.facts.len() {
            facts if facts < usize::from(rows) => part.note.clone(),
            facts => format!("{} of {facts}", rows - 1),
        };
        let lines = rule::draw(here, buffer, picture.theme, part.title, &note);
        lines::draw(lines, buffer, picture.theme, &part.facts);
        rest = below;
    }
}

/// The last changes and marks, the newest first.
fn changes(state: &State) -> Part {
    let mut markers: Vec<&Marker> = state.markers.iter().collect();
    markers.sort_by_key(|marker| std::cmp::Reverse(marker.event.time));
    let counts = MarkerKind::ALL.map(|kind| (rates::letter(kind), state.markers.of(kind).len()));
    let told = counts.into_iter().filter(|&(_, count)| count > 0);
    let note = told.map(|(letter, count)| format!("{letter} {count}")).collect::<Vec<_>>().join(" · ");
    let facts = markers
        .into_iter()
        .take(MOST_LINES)
        .map(|marker| {
            let mut told = vec![(event_fact(&marker.event).2, Role::Plain)];
            if marker.times > 1 {
                told.push((format!("and {} more", exact(u64::from(marker.times - 1))), Role::Dim));
            }
            let (letter, time) = (rates::letter(marker.kind), time_of_day(marker.event.time));
            Fact { subject: format!("{letter} {time} {}", marker.event.body.kind().name()), told }
        })
        .collect();
    Part { title: "Changed and marked", note, facts }
}

/// Peers by what is resent to them now, and else by what was.
fn busiest_peers(state: &State, peers: &[Peer<'_>]) -> Part {
    const WINDOW_SECONDS: f64 = 10.0;
    let mut peers: Vec<&Peer<'_>> = peers.iter().collect();
    peers.sort_by_key(|peer| std::cmp::Reverse(peer.recent));
    let note = counted(state.flows.len() as u64, "flow");
    let facts = peers
        .into_iter()
        .take(MOST_LINES)
        .map(|peer| {
            #[expect(clippy::cast_precision_loss, reason = "a count of 10 s is far below 2^52")]
            let per_second = peer.recent as f64 / WINDOW_SECONDS;
            let mut told = vec![
                (format!("{:>5}/s", rate(per_second)), Role::Plain),
                (format!("{:>5}", short(peer.attempts())), Role::Plain),
                (kinds_text(&peer.kinds, peer.failed, peer.undone), Role::Dim),
            ];
            told.extend(peer.owner(state).map(|owner| (owner, Role::Dim)));
            Fact { subject: peer.name(), told }
        })
        .collect();
    Part { title: "Resent most, over 10 s and in all", note, facts }
}

/// Virtual services by what they were dialled.
fn services(state: &State) -> Part {
    let services = rows::top(state.ipvs.services.iter(), |service| service.decisions.total(), MOST_LINES);
    let facts = services
        .into_iter()
        .filter(|(_, service)| service.decisions.total() > 0)
        .map(|(key, service)| {
            let decisions = &service.decisions;
            let mut told =
                vec![ago(state, service.last), (format!("{:>5} new", short(decisions.total())), Role::Plain)];
            for (count, what, role) in [
                (decisions.onto_drained, "onto weight 0", Role::Bad),
                (decisions.turned_away(), "turned away", Role::Bad),
            ] {
                if count > 0 {
                    told.push((format!("{} {what}", exact(count)), role));
                }
            }
            Fact { subject: key.service.name(), told }
        })
        .collect();
    let note = counted(state.ipvs.services.len() as u64, "service");
    Part { title: "Dialled most through IPVS", note, facts }
}

/// What every kind of events counted, and the hooks that are missing.
fn health(state: &State) -> Part {
    let total = state.accounting.total();
    let mut kinds: Vec<(RecordKind, KindCounters)> = state.accounting.seen().collect();
    kinds.sort_by_key(|(_, counters)| std::cmp::Reverse((counters.lost, counters.suppressed)));
    let counted = kinds.into_iter().map(|(kind, counters)| {
        let mut told = vec![(format!("{:>11} seen", exact(counters.seen)), Role::Plain)];
        for (count, what, role) in
            [(counters.lost, "lost", Role::Bad), (counters.suppressed, "suppressed", Role::Warning)]
        {
            if count > 0 {
                told.push((format!("{} {what}", exact(count)), role));
            }
        }
        Fact { subject: kind.name().to_owned(), told }
    });
    let missing = missing(state).into_iter().map(|(reason, hooks)| {
        let more = match hooks.len() {
            1 => String::new(),
            several => format!(" and {} more", several - 1),
        };
        let subject = format!("{}{more}", hooks.first().map_or("", |hook| hook_name(*hook)));
        Fact { subject, told: vec![(format!("missing: {reason}"), Role::Warning)] }
    });
    let note = format!("{} lost · {} hooks missing", exact(total.lost), state.hooks.missing());
    Part { title: "Seen, lost and missing", note, facts: counted.chain(missing).collect() }
}

/// The hooks that are missing, by why.
fn missing(state: &State) -> BTreeMap<&Text, Vec<HookId>> {
    let mut by_reason: BTreeMap<&Text, Vec<HookId>> = BTreeMap::new();
    for hook in HookId::ALL {
        if let Some(status) = state.hooks.status(hook).filter(|status| status.state() == HookState::Missing) {
            by_reason.entry(&status.reason).or_default().push(hook);
        }
    }
    by_reason
}

/// How long ago, in a column.
fn ago(state: &State, last: Timestamp) -> (String, Role) {
    (format!("{:>5} ago", age(state.now(), last)), Role::Dim)
}
