//! The whole node at a glance.
//!
//! ```text
//! Rates       a row of bars for each family over one time axis
//! Retransmits   Second answerers   Weight 0   Conntrack      what stands out, one part each
//! ```

use std::net::SocketAddr;

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
};
use tracer_common::hook::HookId;

use super::{
    Picture,
    describe::{blind_text, conntrack_text, flow_name, hook_name, kinds_text},
};
use crate::{
    event::{HookState, IcmpClass, Timestamp, Verdict},
    probe::table::Family,
    state::{COUNTED_FAMILIES, HISTORY_SECONDS, State, second_of},
    tui::{
        peers, rows,
        text::{age, duration, exact, rate, short},
        theme::Role,
        widget::{
            lines::{self, Fact},
            rule, sparkline,
        },
    },
};

/// Subjects a part is asked for at most: more than any terminal has rows for.
const MOST_SUBJECTS: usize = 64;

/// Draws the screen.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    /// The title, a row for each family, and the axis.
    #[expect(clippy::cast_possible_truncation, reason = "there are four families")]
    const RATE_ROWS: u16 = 2 + COUNTED_FAMILIES.len() as u16;
    let [rates, parts] = Layout::vertical([Constraint::Length(RATE_ROWS), Constraint::Fill(1)]).areas(area);
    draw_rates(rates, buffer, picture);
    if !picture.state.hooks.ready
        && !picture.model.ended
        && picture.state.events() == attached_events(picture)
    {
        draw_attaching(parts, buffer, picture);
        return;
    }
    draw_parts(parts, buffer, picture);
}

/// Events that only tell of the attaching.
fn attached_events(picture: &Picture<'_>) -> u64 {
    picture.state.hooks.tried() as u64
}

fn draw_rates(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    const LABEL_CELLS: usize = 13;
    const RATE_CELLS: usize = 8;
    const WINDOWS: [u64; 3] = [1, 10, 60];
    let Picture { state, theme, .. } = *picture;
    let titles = format!("{:>8}{:>8}{:>8}{:>8}", "peak", "1 s", "10 s", "1 min");
    let area = rule::draw(area, buffer, theme, "Events a second", "");
    let cells = usize::from(area.width);
    let seconds = cells.saturating_sub(LABEL_CELLS + RATE_CELLS * 4 + 1).min(HISTORY_SECONDS);
    let end = second_of(state.now());
    let start_x = area.x + u16::try_from(LABEL_CELLS).unwrap_or_default();
    let figures_x = start_x + u16::try_from(seconds).unwrap_or_default();
    for (family, row) in COUNTED_FAMILIES.into_iter().zip(area.rows()) {
        let Some(buckets) = state.rates.of(family) else { continue };
        let first = end.saturating_sub(seconds as u64);
        let blank = seconds - usize::try_from(end - first).unwrap_or(seconds);
        let peak = (first..end).map(|second| buckets.at(second)).max().unwrap_or_default();
        let bars = sparkline::bars((first..end).map(|second| buckets.at(second)), peak);
        buffer.set_stringn(row.x + 2, row.y, family.to_string(), LABEL_CELLS, theme.family(family));
        let bars_x = start_x + u16::try_from(blank).unwrap_or_default();
        buffer.set_stringn(bars_x, row.y, bars, seconds, theme.family(family));
        let mut figures = format!("{:>8}", short(u64::from(peak)));
        for window in WINDOWS {
            figures = format!("{figures}{:>8}", rate(state.rate(family, window)));
        }
        buffer.set_stringn(figures_x, row.y, figures, RATE_CELLS * 4, theme.style(Role::Plain));
    }
    if let Some(axis) = area.rows().nth(COUNTED_FAMILIES.len()) {
        let ago = format!("{} ago", duration(seconds as u64 * 1_000_000_000));
        let width = seconds.saturating_sub(ago.len());
        buffer.set_stringn(
            start_x,
            axis.y,
            format!("{ago}{:>width$}", "now"),
            seconds,
            theme.style(Role::Dim),
        );
        buffer.set_stringn(figures_x, axis.y, titles, RATE_CELLS * 4, theme.style(Role::Dim));
    }
}

fn draw_attaching(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let Picture { state, theme, .. } = *picture;
    let (tried, all) = (state.hooks.tried(), HookId::ALL.len());
    let area = rule::draw(area, buffer, theme, "Attaching hooks…", &format!("{tried} of {all}"));
    let facts: Vec<Fact> = HookId::ALL
        .into_iter()
        .filter_map(|hook| Some((hook, state.hooks.status(hook)?)))
        .map(|(hook, status)| {
            let told = match status.state() {
                HookState::Attached(way) => vec![(format!("attached by {}", way.name()), Role::Good)],
                HookState::Standby(_) => vec![("stands by".to_owned(), Role::Good)],
                HookState::NotNeeded | HookState::Missing => {
                    vec![("missing".to_owned(), Role::Warning), (status.reason.to_string(), Role::Plain)]
                }
            };
            Fact { subject: hook_name(hook).to_owned(), told }
        })
        .collect();
    let first = facts.len().saturating_sub(usize::from(area.height));
    lines::draw(area, buffer, theme, &facts[first..]);
}

/// A part of the overview: what stands out of one family.
struct Part {
    family: Family,
    title: &'static str,
    note: String,
    facts: Vec<Fact>,
}

fn draw_parts(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    /// From here on two parts stand side by side.
    const WIDE_CELLS: u16 = 160;
    let state = picture.state;
    let parts = [flows(state), answerers(state), drained(state), failures(state)];
    if area.width < WIDE_CELLS {
        draw_column(area, buffer, picture, &parts);
        return;
    }
    let [left, _, right] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(2), Constraint::Fill(1)]).areas(area);
    let [retransmits, answerers, drained, failures] = parts;
    draw_column(left, buffer, picture, &[retransmits, failures]);
    draw_column(right, buffer, picture, &[answerers, drained]);
}

/// Parts below each other: each gets its title and one row, the rest goes to those that have more to tell.
fn draw_column(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>, parts: &[Part]) {
    let theme = picture.theme;
    let mut rows: Vec<usize> = parts.iter().map(|_| 1).collect();
    let mut left = usize::from(area.height).saturating_sub(parts.len());
    left = left.saturating_sub(rows.iter().map(|_| 1).sum());
    while left > 0 {
        let hungry: Vec<usize> =
            (0..parts.len()).filter(|&index| rows[index] < parts[index].facts.len()).collect();
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
        let below = rule::draw(rest, buffer, theme, part.title, &part.note);
        let rows = u16::try_from(rows).unwrap_or(below.height).min(below.height);
        let [lines, after] = Layout::vertical([Constraint::Length(rows), Constraint::Fill(1)]).areas(below);
        lines::draw(lines, buffer, theme, &part.facts);
        if part.facts.is_empty() && lines.height > 0 {
            let (text, role) = if picture.state.hooks.is_blind(part.family) {
                (blind_text(part.family), Role::Warning)
            } else {
                ("none".to_owned(), Role::Dim)
            };
            let cells = usize::from(lines.width).saturating_sub(2);
            buffer.set_stringn(lines.x + 2, lines.y, text, cells, theme.style(role));
        }
        rest = after;
    }
}

fn flows(state: &State) -> Part {
    let facts = peers::most_resent_to(state, MOST_SUBJECTS)
        .into_iter()
        .map(|peer| {
            let mut told =
                vec![ago(state, peer.last), (kinds_text(&peer.kinds, peer.failed, peer.undone), Role::Plain)];
            told.extend(peer.process.map(|process| (process.command.to_string(), Role::Dim)));
            let destination = peer.port.map_or_else(
                || format!("{}, several ports", peer.address),
                |port| SocketAddr::new(peer.address, port).to_string(),
            );
            let subject = match peer.only {
                Some(key) => flow_name(&key.endpoints),
                None => format!("{} flows → {destination}", exact(peer.flows)),
            };
            Fact { subject, told }
        })
        .collect();
    Part {
        family: Family::Retransmit,
        title: "Peers that segments are resent to",
        note: resent_note(state),
        facts,
    }
}

/// How many flows there are, and what their packets met.
fn resent_note(state: &State) -> String {
    let died = state.path.count(IcmpClass::TimeExceeded);
    let loops = state.path.loops.len();
    let mut notes = vec![total(state.flows.len(), "flow")];
    notes.push(if died == 0 { String::new() } else { format!("{} died of TTL", exact(died)) });
    notes.push(if loops == 0 { String::new() } else { format!("{} in a loop", total(loops, "flow")) });
    notes.retain(|note| !note.is_empty());
    notes.join(" · ")
}

fn answerers(state: &State) -> Part {
    let contested = state.neighbours.iter().filter(|(_, neighbour)| neighbour.is_contested());
    let count = contested.clone().count();
    let facts = rows::top(contested, rows::neighbour_trouble, MOST_SUBJECTS)
        .into_iter()
        .map(|(key, neighbour)| {
            let kept = neighbour.kept.map_or("kept none".to_owned(), |kept| format!("kept {kept}"));
            let others: Vec<String> =
                neighbour.others().map(|other| other.hardware_address.to_string()).collect();
            let ignored = neighbour.with_verdict(Verdict::Ignored);
            let changed = neighbour.with_verdict(Verdict::Changed);
            let mut told = vec![ago(state, neighbour.last), (kept, Role::Plain)];
            told.push((format!("not {}", others.join(", ")), Role::Bad));
            for (times, what) in [(ignored, "ignored"), (changed, "changed")] {
                if times > 0 {
                    told.push((format!("{what} ×{times}"), Role::Warning));
                }
            }
            Fact { subject: format!("{} on {}", key.address, neighbour.device), told }
        })
        .collect();
    Part {
        family: Family::Neighbour,
        title: "Addresses more than one answers for",
        note: total(count, "address"),
        facts,
    }
}

fn drained(state: &State) -> Part {
    let drained = state.ipvs.reals.iter().filter(|(_, real)| real.decisions.onto_drained > 0);
    let facts = rows::top(drained, |real| real.decisions.onto_drained, MOST_SUBJECTS)
        .into_iter()
        .filter_map(|(key, real)| {
            let weight = match real.weight {
                _ if !real.available => "gone".to_owned(),
                Some(weight) => format!("weight {weight} now"),
                None => "weight unknown".to_owned(),
            };
            let told = vec![
                ago(state, real.last),
                (format!("{} new", exact(real.decisions.onto_drained)), Role::Bad),
                (weight, Role::Warning),
            ];
            Some(Fact { subject: format!("{} → {}", key.service.service.name(), key.address?), told })
        })
        .collect();
    let count = state.ipvs.total.onto_drained;
    let note = if count == 0 { String::new() } else { format!("{} connections", exact(count)) };
    Part { family: Family::Ipvs, title: "New connections onto weight 0", note, facts }
}

fn failures(state: &State) -> Part {
    let counts: Vec<String> = crate::event::ConntrackEvent::ALL
        .into_iter()
        .filter(|&event| event.is_failure() && state.conntrack.count(event) > 0)
        .map(|event| format!("{event} {}", exact(state.conntrack.count(event))))
        .collect();
    let failed = state.conntrack.entries.iter().filter(|(_, entry)| entry.failures() > 0);
    let facts = rows::top(failed, |entry| u64::from(entry.failures()), MOST_SUBJECTS)
        .into_iter()
        .map(|(key, entry)| Fact {
            subject: flow_name(&key.endpoints),
            told: vec![ago(state, entry.last), (conntrack_text(entry), Role::Bad)],
        })
        .collect();
    Part {
        family: Family::Conntrack,
        title: "Connections conntrack dropped",
        note: counts.join(" · "),
        facts,
    }
}

/// How long ago, in a column.
fn ago(state: &State, last: Timestamp) -> (String, Role) {
    (format!("{:>5} ago", age(state.now(), last)), Role::Dim)
}

fn total(count: usize, what: &str) -> String {
    let plural = match count {
        0 => return String::new(),
        1 => "",
        _ if what.ends_with('s') => "es",
        _ => "s",
    };
    format!("{} {what}{plural}", exact(count as u64))
}
