//! Why new connections reach a real server that should get none, in a sentence or two.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    event::{Endpoint, IpvsDecision, Timestamp},
    state::{Real, RealKey, RecentDecision, State, is_onto_drained},
    tui::{
        rows,
        text::{age, exact, wrapped},
        theme::Role,
        view::Picture,
        widget::rule,
    },
};

const INDENT: usize = 2;

/// The sentences about a real server, in lines for a width: about the chosen one if that is such a server, else about
/// the one that got the most. Empty if there is none.
pub(super) fn lines(picture: &Picture<'_>, chosen: Option<RealKey>, cells: usize) -> Vec<String> {
    let state = picture.state;
    let is_dialled = |real: &Real| real.decisions.onto_drained > 0;
    let chosen = chosen.and_then(|key| Some((key, state.ipvs.reals.get(&key)?)));
    let worst = || {
        let dialled = state.ipvs.reals.iter().filter(|(_, real)| is_dialled(real));
        let first = rows::top(dialled, |real| real.decisions.onto_drained, 1);
        first.first().map(|&(key, real)| (*key, real))
    };
    let Some((key, real)) = chosen.filter(|(_, real)| is_dialled(real)).or_else(worst) else {
        return Vec::new();
    };
    let Some(address) = key.address else { return Vec::new() };
    wrapped(&told(state, &key, address, real), cells.saturating_sub(INDENT + 1))
}

/// Draws the lines under a title.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let count = picture.state.ipvs.total.onto_drained;
    let note = format!("{} in all", exact(count));
    let title = "Drained, but dialled: new connections onto weight 0";
    let area = rule::draw(area, buffer, picture.theme, title, &note);
    for (text, line) in lines.iter().zip(area.rows()) {
        let indent = u16::try_from(INDENT).unwrap_or_default();
        let cells = usize::from(line.width).saturating_sub(INDENT);
        buffer.set_stringn(line.x + indent, line.y, text, cells, picture.theme.style(Role::Bad));
    }
}

fn told(state: &State, key: &RealKey, address: Endpoint, real: &Real) -> String {
    let now = state.now();
    let count = match real.decisions.onto_drained {
        1 => "1 new connection".to_owned(),
        count => format!("{} new connections", exact(count)),
    };
    let newest = state.ipvs.recent.iter().rev().find(|recent| is_about(recent, key));
    let last = newest.map(|recent| last_one(now, recent)).unwrap_or_default();
    format!("{address} of {} {}, yet got {count}.{last}", key.service.service, condition(real, now))
}

fn is_about(recent: &RecentDecision, key: &RealKey) -> bool {
    is_onto_drained(&recent.decided) && key.covers(recent.netns, &recent.decided)
}

/// What makes that it should get none, by the newest word on it.
fn condition(real: &Real, now: Timestamp) -> String {
    let ago =
        |time: Option<Timestamp>| time.map(|time| format!(" {} ago", age(now, time))).unwrap_or_default();
    if !real.available {
        return format!("was removed{}", ago(real.removed));
    }
    match (real.weight, real.weight_changed) {
        (Some(0), Some((time, before))) => format!("is drained (weight {before} → 0{})", ago(Some(time))),
        (Some(0), None) => "is drained (weight 0)".to_owned(),
        (_, Some((time, _))) => format!("was drained until{}", ago(Some(time))),
        (_, None) => "was drained".to_owned(),
    }
}

/// The newest of them: when, from whom, and how it got there as far as the decision tells.
fn last_one(now: Timestamp, recent: &RecentDecision) -> String {
    let decided = &recent.decided;
    let entry = decided.connection_state.map(|state| format!(" (in {state})")).unwrap_or_default();
    let kept = format!("came from a port used before: IPVS kept the old entry{entry} and its server");
    let mode = decided.reuse_mode;
    let how = match decided.decision {
        IpvsDecision::Reused if mode == 0 => {
            format!("{kept}, as it always does with net.ipv4.vs.conn_reuse_mode 0")
        }
        IpvsDecision::Reused => {
            format!("{kept}, for net.ipv4.vs.conn_reuse_mode {mode} gives up none in that state")
        }
        IpvsDecision::Scheduled if decided.persistent => {
            "is of a persistent service: what IPVS keeps of that client names this server".to_owned()
        }
        other => format!("was {other}"),
    };
    format!(" The last, {} ago from {}, {how}.", age(now, recent.time), decided.client)
}
