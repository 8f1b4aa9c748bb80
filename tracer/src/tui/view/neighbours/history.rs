//! Who answered for an address, and what the kernel made of it, over time.
//!
//! ```text
//! 02:42:ac:11:00:01  kept now     ●━━━━━●━━━━●━━━━  ×12 taken
//! 02:42:ac:11:00:66               ×     ×    ×      ×12 ignored
//! ```

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    event::{HardwareAddress, Timestamp, Verdict},
    state::{ANSWERERS, Answerer, NEIGHBOUR_HISTORY, Neighbour, NeighbourKey},
    tui::{
        text::{age, clip_end, exact, time_of_day, width},
        theme::Role,
        view::Picture,
        widget::{
            lane::{Lane, Span},
            rule,
        },
    },
};

/// Cells of a history in a table: each ten seconds of five minutes.
pub(super) const CELLS: usize = 30;
const TABLE_SPAN_NS: u64 = 300 * 1_000_000_000;
/// A history that is shorter is drawn over this time.
const LEAST_SPAN_NS: u64 = 10 * 1_000_000_000;

const HELD: (char, Role) = ('━', Role::Good);
const CONFIRMED: (char, Role) = ('●', Role::Good);
const TAKEN: (char, Role) = ('◆', Role::Warning);
const IGNORED: (char, Role) = ('×', Role::Bad);
const FAILED: (char, Role) = ('!', Role::Bad);
const CLAIMED: (char, Role) = ('○', Role::Warning);

/// Rows it would like: a title, a lane for each answerer, what no lane tells, and the axis.
pub(super) fn rows(neighbour: &Neighbour) -> u16 {
    let lanes = neighbour.answerers.len().clamp(1, ANSWERERS) + beside(neighbour).len();
    u16::try_from(lanes + 2).unwrap_or(u16::MAX)
}

/// Draws a lane for each answerer over one axis.
pub(super) fn draw(
    area: Rect,
    buffer: &mut Buffer,
    picture: &Picture<'_>,
    key: &NeighbourKey,
    neighbour: &Neighbour,
) {
    const NAME_CELLS: usize = 23;
    const COUNT_CELLS: usize = 34;
    let Picture { state, theme, .. } = *picture;
    let who = format!("{} on {}", key.address, neighbour.device);
    let title = format!("Who answers for {who}");
    let (title, legend) = fitting_legend(neighbour, &[title, who], usize::from(area.width));
    let area = rule::draw(area, buffer, theme, &title, &legend);
    let span = span(neighbour, state.now());
    let names = widest(neighbour.answerers.iter().map(|one| name(one, neighbour)), NAME_CELLS);
    let counts = widest(neighbour.answerers.iter().map(|one| counts_of(one, state.now())), COUNT_CELLS);
    let cells = usize::from(area.width).saturating_sub(2 + names + 2 + 2 + counts + 1);
    let mut lines = area.rows();
    let Some(axis) = lines.next_back() else { return };
    for text in beside(neighbour) {
        let Some(line) = lines.next_back() else { return };
        let text = clip_end(&text, usize::from(line.width).saturating_sub(3));
        buffer.set_string(line.x + 2, line.y, text, theme.style(Role::Warning));
    }
    for (answerer, line) in neighbour.answerers.iter().zip(lines) {
        let is_kept = Some(answerer.hardware_address) == neighbour.kept;
        let role = if is_kept { Role::Good } else { Role::Warning };
        let name = clip_end(&name(answerer, neighbour), names);
        let mut told = vec![(format!("  {name:<names$}  "), role)];
        told.extend(lane(neighbour, answerer, span, cells).pieces());
        told.push((format!("  {}", clip_end(&counts_of(answerer, state.now()), counts)), Role::Plain));
        put(line, buffer, picture, &told);
    }
    let (from, to) = (time_of_day(span.from), time_of_day(span.to));
    let between = cells.saturating_sub(width(&from));
    let text = format!("{:indent$}{from}{to:>between$}", "", indent = 4 + names);
    buffer.set_stringn(axis.x, axis.y, text, usize::from(axis.width), theme.style(Role::Dim));
}

/// The first title beside which the whole legend fits into a width, or the last one with as much of it as fits.
fn fitting_legend(neighbour: &Neighbour, titles: &[String], cells: usize) -> (String, String) {
    /// What the line between and around both takes.
    const AROUND: usize = 8;
    let mut legend = legend(neighbour);
    let fits = |title: &String, legend: &[String]| width(title) + width(&legend.join("  ")) + AROUND <= cells;
    let title = titles.iter().find(|title| fits(title, &legend)).or(titles.last());
    let Some(title) = title else { return Default::default() };
    while !legend.is_empty() && !fits(title, &legend) {
        legend.pop();
    }
    (title.clone(), legend.join("  "))
}

/// What the characters mean, of those that are there.
fn legend(neighbour: &Neighbour) -> Vec<String> {
    let has = |verdict| neighbour.history.iter().any(|proposal| proposal.verdict == verdict);
    let meanings = [
        (HELD, "kept", neighbour.kept.is_some()),
        (IGNORED, "ignored", has(Verdict::Ignored)),
        (TAKEN, "took over", has(Verdict::Changed)),
        (CONFIRMED, "confirmed", has(Verdict::Confirmed) || has(Verdict::Learned)),
        (FAILED, "no answer", has(Verdict::Failed)),
        (CLAIMED, "claimed", neighbour.answerers.iter().any(has_more_claims)),
    ];
    let there = meanings.into_iter().filter(|&(_, _, is_there)| is_there);
    there.map(|((symbol, _), meaning, _)| format!("{symbol} {meaning}")).collect()
}

fn widest(texts: impl Iterator<Item = String>, most: usize) -> usize {
    texts.map(|text| width(&text)).max().unwrap_or_default().min(most)
}

fn put(line: Rect, buffer: &mut Buffer, picture: &Picture<'_>, told: &[(String, Role)]) {
    let mut x = line.x;
    for (text, role) in told {
        let room = usize::from(line.right().saturating_sub(x));
        (x, _) = buffer.set_stringn(x, line.y, text, room, picture.theme.style(*role));
    }
}

fn name(answerer: &Answerer, neighbour: &Neighbour) -> String {
    let is_kept = Some(answerer.hardware_address) == neighbour.kept;
    format!("{}{}", answerer.hardware_address, if is_kept { " kept" } else { "" })
}

/// Whether it claimed the address in messages that were no proposals too.
fn has_more_claims(answerer: &Answerer) -> bool {
    answerer.claims > answerer.taken + answerer.ignored
}

/// What became of what somebody said: `taken 3, ignored 12, 12s ago`.
fn counts_of(answerer: &Answerer, now: Timestamp) -> String {
    let counts = [
        (answerer.taken, "taken"),
        (answerer.ignored, "ignored"),
        // A message that was seen as a proposal too is told by that.
        (answerer.claims.saturating_sub(answerer.taken + answerer.ignored), "only claimed"),
    ];
    let mut told: Vec<String> = counts
        .into_iter()
        .filter(|&(count, _)| count > 0)
        .map(|(count, what)| format!("{what} {}", exact(u64::from(count))))
        .collect();
    if told.is_empty() {
        return "held before".to_owned();
    }
    told.push(format!("{} ago", age(now, answerer.last)));
    told.join(", ")
}

/// What no lane tells: that there are more answerers than are kept, and that this node is one itself.
fn beside(neighbour: &Neighbour) -> Vec<String> {
    let mut told = Vec::new();
    if neighbour.answerers_left_out > 0 {
        let count = exact(u64::from(neighbour.answerers_left_out));
        told.push(format!("others than these {ANSWERERS} answered too, {count} times"));
    }
    if neighbour.own_claims > 0 {
        let own = neighbour.own_hardware_address.map(|own| format!(" as {own}")).unwrap_or_default();
        let count = exact(u64::from(neighbour.own_claims));
        told.push(format!("this node claims the address itself{own}, {count} times"));
    }
    told
}

/// From the oldest proposal that is kept until now.
fn span(neighbour: &Neighbour, now: Timestamp) -> Span {
    let latest = now.earlier_by_ns(LEAST_SPAN_NS);
    let first = neighbour.history.front().map_or(latest, |proposal| proposal.time);
    Span { from: first.min(latest), to: now }
}

/// What one answerer said, and while the kernel kept it.
fn lane(neighbour: &Neighbour, answerer: &Answerer, span: Span, cells: usize) -> Lane {
    let mut lane = Lane::new(span, cells);
    let whom = answerer.hardware_address;
    for (from, to) in
        keeps(neighbour, span).filter(|&(kept, ..)| kept == whom).map(|(_, from, to)| (from, to))
    {
        lane.hold(from, to, HELD);
    }
    let own = neighbour.history.iter().filter(|proposal| proposal.hardware_address == Some(whom));
    for proposal in own {
        mark(&mut lane, proposal.time, proposal.verdict);
    }
    if has_more_claims(answerer) {
        lane.mark(answerer.last, CLAIMED, 1);
    }
    lane
}

/// The history of the last minutes in one lane: held by whomever, changes, and who was ignored.
pub(super) fn in_one(neighbour: &Neighbour, now: Timestamp) -> Vec<(String, Role)> {
    let span = Span { from: now.earlier_by_ns(TABLE_SPAN_NS), to: now };
    let mut lane = Lane::new(span, CELLS);
    for (_, from, to) in keeps(neighbour, span) {
        lane.hold(from, to, HELD);
    }
    for proposal in &neighbour.history {
        if proposal.verdict != Verdict::Confirmed {
            mark(&mut lane, proposal.time, proposal.verdict);
        }
    }
    lane.pieces()
}

fn mark(lane: &mut Lane, time: Timestamp, verdict: Verdict) {
    match verdict {
        Verdict::Confirmed => lane.mark(time, CONFIRMED, 2),
        Verdict::Learned => lane.mark(time, CONFIRMED, 3),
        Verdict::Changed => lane.mark(time, TAKEN, 4),
        Verdict::Failed => lane.mark(time, FAILED, 5),
        Verdict::Ignored => lane.mark(time, IGNORED, 6),
    }
}

/// Whom the kernel kept, from when until when, as far as the proposals tell. Before the first of them that was taken
/// it is known only if that was a confirmation; where none was taken, what is kept now was kept all the time. Neither
/// tells of the time before proposals that are no longer there.
fn keeps(neighbour: &Neighbour, span: Span) -> impl Iterator<Item = (HardwareAddress, Timestamp, Timestamp)> {
    let known_since = match neighbour.history.front() {
        Some(oldest) if neighbour.history.len() == NEIGHBOUR_HISTORY => oldest.time,
        _ => neighbour.first,
    };
    let taken = neighbour.history.iter().filter(|proposal| proposal.verdict != Verdict::Ignored);
    let mut keeps = Vec::new();
    let mut kept: Option<(HardwareAddress, Timestamp)> = None;
    let mut is_first = true;
    for proposal in taken {
        let begin = if is_first && proposal.verdict == Verdict::Confirmed {
            span.from.max(known_since)
        } else {
            proposal.time
        };
        is_first = false;
        let holder = proposal.hardware_address.filter(|_| proposal.verdict != Verdict::Failed);
        if kept.map(|(hardware, _)| hardware) == holder {
            continue;
        }
        keeps.extend(kept.map(|(hardware, since)| (hardware, since, proposal.time)));
        kept = holder.map(|hardware| (hardware, begin));
    }
    if is_first {
        kept = neighbour.kept.map(|hardware| (hardware, span.from.max(known_since)));
    }
    let end = Timestamp { boot_ns: u64::MAX, ..span.to };
    keeps.extend(kept.map(|(hardware, since)| (hardware, since, end)));
    keeps.into_iter()
}

#[cfg(test)]
mod tests {
    use super::{Span, keeps, span};
    use crate::{
        event::{HardwareAddress, Verdict},
        state::{
            State,
            fixture::{at, event, mac, proposal},
        },
    };

    type Step = (u64, Verdict, Option<u8>, Option<u8>);

    fn kept(steps: &[Step]) -> Vec<(HardwareAddress, u64, u64)> {
        let mut state = State::default();
        for &(time, verdict, proposed, previous) in steps {
            state.apply(&event(time, proposal("10.0.0.1", verdict, proposed.map(mac), previous.map(mac))));
        }
        let (_, neighbour) = state.neighbours.iter().next().unwrap();
        let span = Span { from: at(0), to: at(100_000) };
        let seconds = |time: crate::event::Timestamp| time.boot_ns / 1_000_000_000;
        keeps(neighbour, span)
            .map(|(hardware, from, to)| (hardware, seconds(from), seconds(to).min(100)))
            .collect()
    }

    /// A name, what happened, and who was kept from when to when, seconds.
    type Case = (&'static str, &'static [Step], &'static [(u8, u64, u64)]);

    #[test]
    fn whom_the_kernel_kept_and_when() {
        let cases: [Case; 5] = [
            ("learned, then silent", &[(5_000, Verdict::Learned, Some(1), None)], &[(1, 5, 100)]),
            (
                "a second answerer changes nothing",
                &[
                    (5_000, Verdict::Learned, Some(1), None),
                    (6_000, Verdict::Ignored, Some(2), Some(1)),
                    (7_000, Verdict::Confirmed, Some(1), Some(1)),
                ],
                &[(1, 5, 100)],
            ),
            (
                "taken over",
                &[(5_000, Verdict::Learned, Some(1), None), (9_000, Verdict::Changed, Some(2), Some(1))],
                &[(1, 5, 9), (2, 9, 100)],
            ),
            (
                "lost and found",
                &[
                    (5_000, Verdict::Confirmed, Some(1), Some(1)),
                    (9_000, Verdict::Failed, None, Some(1)),
                    (12_000, Verdict::Learned, Some(1), None),
                ],
                &[(1, 5, 9), (1, 12, 100)],
            ),
            ("nothing but ignored", &[(5_000, Verdict::Ignored, Some(2), Some(1))], &[(1, 5, 100)]),
        ];
        for (case, steps, expected) in cases {
            let expected: Vec<_> = expected.iter().map(|&(last, from, to)| (mac(last), from, to)).collect();
            assert_eq!(kept(steps), expected, "{case}");
        }
    }

    #[test]
    fn a_short_history_does_not_fill_the_axis() {
        let mut state = State::default();
        state.apply(&event(50_000, proposal("10.0.0.1", Verdict::Learned, Some(mac(1)), None)));
        let (_, neighbour) = state.neighbours.iter().next().unwrap();
        assert_eq!(span(neighbour, at(51_000)).from, at(41_000));
        assert_eq!(span(neighbour, at(90_000)).from, at(50_000));
    }
}
