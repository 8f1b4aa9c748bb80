//! What every screen has: header, tabs, status line and keys.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span},
};
use tracer_common::{counters::KindCounters, hook::HookId};

use super::Picture;
use crate::{
    event::{Text, Timestamp},
    history::Replay,
    session::Condition,
    state::State,
    tui::{
        keys::{Action, BINDINGS},
        model::{Model, Screen, Source},
        text::{clip_end, clock, duration, exact, fitting, short, size, time_of_day, width},
        theme::Role,
    },
};

/// Whose node, how long, live or paused.
pub(super) fn header(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let Picture { model, state, theme } = picture;
    let (mode, role) = mode(model, state);
    let moment = model.history.moment().unwrap_or(state.now());
    let now = if state.node.is_some() { format!("{} UTC  ", time_of_day(moment)) } else { String::new() };
    let (recording, recording_role) = recording(model);
    let right = Line::from(vec![
        Span::styled(recording, theme.style(recording_role)),
        Span::styled(now, theme.style(Role::Dim)),
        Span::styled(mode, theme.style(role).add_modifier(Modifier::BOLD)),
        Span::raw(" "),
    ]);
    let room = usize::from(area.width).saturating_sub(right.width() + 2);
    let elapsed = clock(state.now().boot_ns.saturating_sub(state.began().boot_ns));
    let others = state.names.nodes().len().saturating_sub(1);
    let about = match &state.node {
        Some(node) if others > 0 => {
            let nodes: Vec<&str> = state.names.nodes().map(|(_, host)| host.as_str()).collect();
            fitting(
                &[
                    format!(" {} · {elapsed}", nodes.join(", ")),
                    format!(" {} and {others} more · {elapsed}", node.host),
                ],
                room.saturating_sub(7),
            )
        }
        Some(node) => fitting(
            &[
                format!(" {} · kernel {} · {elapsed}", node.host, node.kernel),
                format!(" {} · {elapsed}", node.host),
            ],
            room.saturating_sub(7),
        ),
        None => String::new(),
    };
    let left = Line::from(vec![Span::styled(" tracer", theme.style(Role::Title)), Span::raw(about)]);
    buffer.set_line(area.x, area.y, &left, area.width);
    let start = area.right().saturating_sub(u16::try_from(right.width()).unwrap_or(area.width));
    buffer.set_line(start.max(area.x), area.y, &right, area.width);
}

/// What is recorded at the same time: `REC 01:12 3.4 MiB`, and what of it is wrong.
fn recording(model: &Model) -> (String, Role) {
    let Some(status) = &model.recording else { return (String::new(), Role::Plain) };
    let seconds = status.elapsed.as_secs();
    let lost = match status.lost_records {
        0 => String::new(),
        lost => format!(", {} lost", short(lost)),
    };
    let told = format!("{:02}:{:02} {}{lost}", seconds / 60, seconds % 60, size(status.bytes));
    match &status.condition {
        Condition::Writing if lost.is_empty() => (format!("REC {told}  "), Role::Good),
        Condition::Writing => (format!("REC {told}  "), Role::Bad),
        Condition::Opening => (format!("REC OPENING {told}  "), Role::Warning),
        Condition::Waiting(_) => (format!("REC WAITS {told}  "), Role::Bad),
        Condition::Ended(_) | Condition::Refused(_) => (format!("REC ENDED {told}  "), Role::Bad),
    }
}

/// Whether the picture moves, and why not.
fn mode(model: &Model, state: &State) -> (String, Role) {
    if let Some(replay) = model.history.session() {
        return session_mode(model, replay);
    }
    if let Some(percent) = model.history.progress() {
        return (format!("READING BACK, {percent}%"), Role::Warning);
    }
    if model.is_paused() {
        let behind = exact(model.events_behind());
        let text = if model.is_past {
            format!("{} AGO, {behind} events behind", duration(model.time_behind_ns()))
        } else {
            format!("PAUSED, {behind} events behind")
        };
        return (text, Role::Warning);
    }
    let (text, role) = match (model.source, model.ended, state.hooks.ready) {
        (Source::Node, true, _) => ("ENDED", Role::Warning),
        (Source::Node, false, true) => ("LIVE", Role::Good),
        (Source::Node, false, false) => ("ATTACHING", Role::Warning),
        (Source::Session, true, _) => ("END OF SESSION", Role::Good),
        (Source::Session, false, _) => ("READING", Role::Warning),
    };
    (text.to_owned(), role)
}

/// The same for a session, which stands still unless it plays.
fn session_mode(model: &Model, replay: &Replay) -> (String, Role) {
    if let Some(percent) = replay.progress().filter(|_| !model.player.is_playing || replay.is_reading()) {
        let text = if replay.is_reading() { "READING" } else { "READING BACK" };
        return (format!("{text}, {percent}%"), Role::Warning);
    }
    if model.player.is_playing {
        let held = if model.player.is_behind { ", as fast as it can be read" } else { "" };
        return (format!("PLAYING {}×{held}", model.player.speed()), Role::Good);
    }
    if replay.is_at_end() {
        return ("END OF SESSION".to_owned(), Role::Good);
    }
    let since_begin = |time: Timestamp| clock(time.boot_ns.saturating_sub(replay.begin().boot_ns));
    (format!("AT {} OF {}", since_begin(replay.moment()), since_begin(replay.end())), Role::Warning)
}

/// What of the events is shown, if not all; and since when, if the filter came later than that.
pub(super) fn filter(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let Some(filter) = &picture.model.filter else { return };
    let since = picture.model.history.filtered_since();
    let since = since.map(|since| format!(" · since {}", time_of_day(since))).unwrap_or_default();
    let room = usize::from(area.width).saturating_sub(width(&since));
    let text = format!("{}{since}", clip_end(&format!(" showing only: {}", Text::new(filter)), room));
    buffer.set_string(area.x, area.y, text, picture.theme.style(Role::Warning));
}

/// What came of the last key, or else what the user should know besides the events, the latest of it.
pub(super) fn notice(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let text = match (&picture.model.answer, &picture.model.notice) {
        (Some(answer), _) => format!(" {answer}"),
        (None, Some((notice, number))) if *number > 1 => format!(" ({number} notices) {notice}"),
        (None, Some((notice, _))) => format!(" {notice}"),
        (None, None) => return,
    };
    let text = clip_end(&text, usize::from(area.width));
    buffer.set_string(area.x, area.y, text, picture.theme.style(Role::Warning));
}

/// The screens; the one shown stands in brackets.
pub(super) fn tabs(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let theme = picture.theme;
    let mut spans = Vec::new();
    let mut after_shown = false;
    for (index, screen) in Screen::ALL.into_iter().enumerate() {
        let is_shown = screen == picture.model.screen;
        let (between, style) = match (is_shown, after_shown) {
            (true, _) => ("[", theme.style(Role::Title)),
            (false, true) => ("]", Style::new()),
            (false, false) => (" ", Style::new()),
        };
        spans.push(Span::raw(between));
        spans.push(Span::styled(format!("{} {}", index + 1, screen.title()), style));
        after_shown = is_shown;
    }
    spans.push(Span::raw(if after_shown { "]" } else { " " }));
    buffer.set_line(area.x, area.y, &Line::from(spans), area.width);
}

/// What became of all events, and which hooks are missing.
pub(super) fn status(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let Picture { state, theme, .. } = picture;
    let hooks = &state.hooks;
    let (attached, missing, all) = (hooks.attached(), hooks.missing(), HookId::ALL.len());
    let hooks_text = match (hooks.ready, missing) {
        (false, _) => format!("hooks: {attached} attached, {} of {all} tried", hooks.tried()),
        (true, 0) => format!("hooks: {attached} of {all} attached"),
        (true, _) => format!("hooks: {attached} of {all} attached, {missing} missing"),
    };
    let hooks_role = if missing > 0 { Role::Warning } else { Role::Plain };
    let total = state.accounting.total();
    let room = usize::from(area.width).saturating_sub(width(&hooks_text) + 4);
    let accounting = fitting(&accounting_texts(picture, total), room);
    let accounting_role = match total {
        KindCounters { lost: 0, suppressed: 0, .. } => Role::Plain,
        KindCounters { lost: 0, .. } => Role::Warning,
        _ => Role::Bad,
    };
    buffer.set_stringn(area.x + 1, area.y, &accounting, room, theme.style(accounting_role));
    let start = area.right().saturating_sub(u16::try_from(width(&hooks_text) + 1).unwrap_or_default());
    buffer.set_stringn(
        start.max(area.x),
        area.y,
        &hooks_text,
        usize::from(area.width),
        theme.style(hooks_role),
    );
}

/// The same with ever fewer words; loss is told by the last one too.
fn accounting_texts(picture: &Picture<'_>, total: KindCounters) -> Vec<String> {
    let KindCounters { seen, delivered, suppressed, lost } = total;
    let mut more = String::new();
    let decoded = picture.state.accounting.decoded;
    for (count, what) in [
        (decoded.malformed, "unreadable"),
        (decoded.unknown, "of unknown kind"),
        (picture.state.accounting.unrecorded, "not recorded"),
        (picture.state.evicted(), "rows forgotten"),
    ] {
        if count > 0 {
            more = format!("{more} · {} {what}", short(count));
        }
    }
    let long = |number: fn(u64) -> String| {
        format!(
            "seen {} = {} delivered + {} suppressed + {} lost",
            number(seen),
            number(delivered),
            number(suppressed),
            number(lost)
        )
    };
    vec![
        format!("{}{more}", long(exact)),
        long(exact),
        long(short),
        format!("{} seen · {} suppressed · {} lost", short(seen), short(suppressed), short(lost)),
        format!("{} lost", short(lost)),
    ]
}

/// The most used keys, as many as fit.
pub(super) fn keys(area: Rect, buffer: &mut Buffer, picture: &Picture<'_>) {
    let theme = picture.theme;
    let behind = if picture.model.details.is_some() { "Esc closes the details " } else { "" };
    let room = usize::from(area.width).saturating_sub(width(behind));
    let mut line = Line::from(" ");
    for (name, word) in footers(picture.model.source) {
        if line.width() + width(name) + width(word) + 1 > room {
            break;
        }
        line.push_span(Span::styled(name, theme.style(Role::Title)));
        line.push_span(Span::styled(format!(" {word}  "), theme.style(Role::Dim)));
    }
    buffer.set_line(area.x, area.y, &line, area.width);
    let start = area.right().saturating_sub(u16::try_from(width(behind)).unwrap_or_default());
    buffer.set_string(start, area.y, clip_end(behind, usize::from(area.width)), theme.style(Role::Dim));
}

/// The keys to name, the most important first: of a session those that go about in it.
fn footers(source: Source) -> Vec<(&'static str, &'static str)> {
    let mut footers: Vec<(u8, (&str, &str))> = BINDINGS
        .iter()
        .filter(|binding| binding.action.is_for(source))
        .filter_map(|binding| match (binding.action, source, binding.footer?) {
            (Action::Quit | Action::Help, _, footer) => Some((0, footer)),
            (Action::Pause, Source::Session, _) => Some((1, ("Space", "play"))),
            (Action::Travel(_) | Action::Speed { .. }, Source::Session, footer) => Some((1, footer)),
            (_, _, footer) => Some((2, footer)),
        })
        .collect();
    footers.sort_by_key(|(rank, _)| *rank);
    footers.into_iter().map(|(_, footer)| footer).collect()
}
