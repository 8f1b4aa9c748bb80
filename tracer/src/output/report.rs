//! The report of a session: what a colleague reads after the incident, as Markdown.

use std::{fmt, net::IpAddr};

use rustc_hash::FxHashMap;
use tracer_common::{counters::KindCounters, record::RecordKind};

use crate::{
    event::{
        Body, ConntrackEvent, Endpoints, Event, HookState, HookStatus, IpvsDecision, Stats, Text, Timestamp,
        Verdict,
    },
    probe::table,
    session::Damage,
};

/// Rows of a table in the report; what does not fit is counted in a line below.
const ROWS: usize = 10;

/// Subjects of a kind counted apart; the events of any more count in the totals only.
const SUBJECTS_KEPT: usize = 100_000;

/// What a report tells of the events it was given. It knows no clock and no file: equal events make an equal report.
#[derive(Debug, Default)]
pub struct Report {
    kernel: Text,
    host: Text,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// The newest status of each hook, in the order they appeared.
    hooks: Vec<HookStatus>,
    /// The newest accounting of each kind.
    stats: Vec<(RecordKind, KindCounters)>,
    /// Events of each kind and word (`syn`, `ignored`, …), in the order they appeared.
    counts: Vec<(RecordKind, &'static str, u64)>,
    flows: Subjects<(u32, Endpoints), Flow>,
    neighbours: Subjects<(u32, Text, IpAddr), Neighbour>,
    servers: Subjects<(u32, String, String), Server>,
    conntrack: Subjects<(u32, ConntrackEvent, Option<Endpoints>), u64>,
    damage: Vec<Damage>,
}

/// Counts by subject, bounded.
#[derive(Debug)]
struct Subjects<K, V> {
    by_key: FxHashMap<K, V>,
    /// Events of subjects that found no place.
    left_out: u64,
}

impl<K, V> Default for Subjects<K, V> {
    fn default() -> Self {
        Self { by_key: FxHashMap::default(), left_out: 0 }
    }
}

impl<K: Eq + std::hash::Hash + Ord, V: Default> Subjects<K, V> {
    fn with(&mut self, key: K, change: impl FnOnce(&mut V)) {
        if self.by_key.len() < SUBJECTS_KEPT || self.by_key.contains_key(&key) {
            change(self.by_key.entry(key).or_default());
        } else {
            self.left_out += 1;
        }
    }

    /// Those that weigh something, the heaviest first and equal ones in the order of their keys.
    fn heaviest(&self, weight: impl Fn(&V) -> u64) -> Vec<(&K, &V)> {
        let mut all: Vec<_> = self.by_key.iter().filter(|(_, value)| weight(value) != 0).collect();
        all.sort_by(|(key, value), (other_key, other)| {
            weight(other).cmp(&weight(value)).then_with(|| key.cmp(other_key))
        });
        all
    }
}

#[derive(Debug, Default)]
struct Flow {
    segments: u64,
    attempts: u64,
    failed: u64,
    longest_rto_us: u64,
}

#[derive(Debug, Default)]
struct Neighbour {
    changed: u64,
    ignored: u64,
    failed: u64,
    /// Every hardware address proposed or held, in the order they appeared.
    hardware: Vec<String>,
}

/// Decisions about a real server, in the order of [`IpvsDecision::ALL`], and how many were for weight 0.
#[derive(Debug, Default)]
struct Server {
    decisions: [u64; IpvsDecision::ALL.len()],
    at_weight_zero: u64,
}

impl Report {
    /// Counts an event in.
    pub fn apply(&mut self, event: &Event) {
        match &event.body {
            Body::Node { kernel, host } => {
                self.kernel = kernel.clone();
                self.host = host.clone();
                return;
            }
            Body::HookStatus(status) => return self.apply_hook(status),
            Body::Stats(stats) => return self.apply_stats(stats),
            Body::ConntrackCounters(_)
            | Body::Owner(_)
            | Body::Container(_)
            | Body::Namespace(_)
            | Body::Ready => return,
            body if body.is_snapshot() => return,
            Body::Retransmit(_)
            | Body::Undo(_)
            | Body::Neighbour(_)
            | Body::Claim(_)
            | Body::Conntrack(_)
            | Body::Ipvs(_)
            | Body::Route(_)
            | Body::RouteLookup(_)
            | Body::Translation(_)
            | Body::Address(_)
            | Body::Link(_)
            | Body::Rule(_)
            | Body::NeighbourEntry(_)
            | Body::IpvsService(_)
            | Body::IpvsDestination(_)
            | Body::Sysctl(_)
            | Body::Ruleset(_)
            | Body::Icmp(_)
            | Body::Duplicate(_)
            | Body::IpvsChange(_)
            | Body::Marker(_) => {}
            Body::Facts(_) | Body::Session(_) | Body::SessionBegin => return,
            Body::Clock(clock) if clock.change == crate::event::ClockChange::Start => return,
            Body::Clock(_) | Body::Gap(_) => {}
        }
        self.first = Some(self.first.map_or(event.time, |first| first.min(event.time)));
        self.last = Some(self.last.map_or(event.time, |last| last.max(event.time)));
        let word = self.apply_subject(event);
        let kind = event.body.kind();
        match self.counts.iter_mut().find(|(known, known_word, _)| (*known, *known_word) == (kind, word)) {
            Some((.., number)) => *number += 1,
            None => self.counts.push((kind, word, 1)),
        }
    }

    /// Tells what of the session could not be read.
    pub fn note_damage(&mut self, damage: &[Damage]) {
        self.damage.extend_from_slice(damage);
    }

    fn apply_hook(&mut self, status: &HookStatus) {
        match self.hooks.iter_mut().find(|known| known.hook == status.hook) {
            Some(known) => *known = status.clone(),
            None => self.hooks.push(status.clone()),
        }
    }

    fn apply_stats(&mut self, stats: &Stats) {
        let Some(kind) = stats.counted else { return };
        match self.stats.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, counters)) => *counters = stats.counters,
            None => self.stats.push((kind, stats.counters)),
        }
    }

    /// Counts an event under its subject; gives the word it is counted by.
    fn apply_subject(&mut self, event: &Event) -> &'static str {
        let netns = event.netns.inode;
        match &event.body {
            Body::Retransmit(body) => {
                self.flows.with((netns, body.flow), |flow| {
                    flow.attempts += 1;
                    flow.longest_rto_us = flow.longest_rto_us.max(body.rto_us.unwrap_or_default());
                    if body.succeeded() {
                        flow.segments += u64::from(body.segments);
                    } else {
                        flow.failed += 1;
                    }
                });
                body.kind.name()
            }
            Body::Undo(body) => {
                if body.after_timeout {
                    "timeout"
                } else {
                    "fast"
                }
            }
            Body::Neighbour(body) => {
                self.neighbours.with((netns, body.device.clone(), body.address), |neighbour| {
                    neighbour.apply(body);
                });
                body.verdict.name()
            }
            Body::Claim(body) => body.operation.name(),
            Body::Conntrack(body) => {
                if body.event != ConntrackEvent::SynRepeated {
                    self.conntrack.with((netns, body.event, body.original), |number| *number += 1);
                }
                body.event.name()
            }
            Body::Ipvs(body) => {
                let real = body.real.map_or_else(|| "none".to_owned(), |real| real.to_string());
                self.servers.with((netns, body.virtual_service.to_string(), real), |server| {
                    let place = IpvsDecision::ALL.iter().position(|decision| *decision == body.decision);
                    if let Some(number) = place.and_then(|place| server.decisions.get_mut(place)) {
                        *number += 1;
                    }
                    server.at_weight_zero += u64::from(body.weight == Some(0));
                });
                body.decision.name()
            }
            Body::Route(body) => body.change.name(),
            Body::RouteLookup(body) => body.result.name(),
            Body::Translation(body) => body.name(),
            Body::Address(body) => body.change.name_of_state(),
            Body::Link(body) => body.change.name_of_state(),
            Body::Rule(body) => body.change.name(),
            Body::Sysctl(body) => body.change.name_of_state(),
            Body::Ruleset(body) => body.change.name(),
            Body::Icmp(body) => body.meaning(),
            Body::Duplicate(_) => "goes-round",
            Body::IpvsChange(body) => body.change.name(),
            Body::Clock(body) => body.change.name(),
            Body::Facts(_)
            | Body::Session(_)
            | Body::SessionBegin
            | Body::Gap(_)
            | Body::Marker(_)
            | Body::NeighbourEntry(_)
            | Body::ConntrackCounters(_)
            | Body::IpvsService(_)
            | Body::IpvsDestination(_)
            | Body::Stats(_)
            | Body::HookStatus(_)
            | Body::Owner(_)
            | Body::Container(_)
            | Body::Namespace(_)
            | Body::Node { .. }
            | Body::Ready => "",
        }
    }
}

impl Neighbour {
    fn apply(&mut self, body: &crate::event::Neighbour) {
        /// More than can be one neighbour's by any fault worth listing.
        const ADDRESSES_KEPT: usize = 8;
        match body.verdict {
            Verdict::Changed => self.changed += 1,
            Verdict::Ignored => self.ignored += 1,
            Verdict::Failed => self.failed += 1,
            Verdict::Learned | Verdict::Confirmed => {}
        }
        for hardware in [body.previous, body.proposed].into_iter().flatten() {
            let hardware = hardware.to_string();
            if self.hardware.len() < ADDRESSES_KEPT && !self.hardware.contains(&hardware) {
                self.hardware.push(hardware);
            }
        }
    }
}

/// The report as Markdown.
impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(formatter)?;
        self.write_gaps(formatter)?;
        self.write_counts(formatter)?;
        self.write_flows(formatter)?;
        self.write_neighbours(formatter)?;
        self.write_servers(formatter)?;
        self.write_conntrack(formatter)
    }
}

impl Report {
    fn write_head(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "# What tracer saw\n")?;
        if !self.host.is_empty() {
            writeln!(out, "- Node: {}", Cell(&self.host))?;
        }
        if !self.kernel.is_empty() {
            writeln!(out, "- Kernel: {}", Cell(&self.kernel))?;
        }
        match (self.first, self.last) {
            (Some(first), Some(last)) => {
                let seconds = last.boot_ns.saturating_sub(first.boot_ns) / 1_000_000_000;
                writeln!(out, "- First event: {}", Utc(first))?;
                writeln!(out, "- Last event: {}, {seconds} s later", Utc(last))
            }
            _ => writeln!(out, "- No events"),
        }
    }

    /// What the report cannot know: hooks missing, events lost, parts of the file that are damaged.
    fn write_gaps(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = self.hooks.iter().filter(|status| status.state() == HookState::Missing);
        let incomplete =
            self.stats.iter().filter(|(_, counters)| counters.suppressed != 0 || counters.lost != 0);
        writeln!(out, "\n## What is missing here\n")?;
        let mut is_whole = true;
        for status in missing {
            is_whole = false;
            let hook = status.hook.and_then(table::find);
            write!(out, "- Hook {} was not attached", hook.map_or("unknown", |hook| hook.name))?;
            writeln!(out, ": {}", Cell(&status.reason))?;
        }
        for (kind, KindCounters { seen, suppressed, lost, .. }) in incomplete {
            is_whole = false;
            let name = kind.name();
            writeln!(out, "- Of {seen} {name} events, {suppressed} were suppressed and {lost} lost")?;
        }
        for damage in &self.damage {
            is_whole = false;
            writeln!(out, "- {damage}")?;
        }
        if self.hooks.is_empty() || self.stats.is_empty() {
            is_whole = false;
            writeln!(out, "- The session does not say which hooks were attached, or what was lost")?;
        }
        if is_whole {
            writeln!(out, "Nothing: every hook was attached and every event delivered.")
        } else {
            Ok(())
        }
    }

    fn write_counts(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows =
            self.counts.iter().map(|(kind, word, number)| format!("{} | {word} | {number}", kind.name()));
        write_table(out, "Events", "type | kind | events", rows.collect(), usize::MAX, 0)
    }

    fn write_flows(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.flows.heaviest(|flow| flow.segments + flow.failed).into_iter().map(
            |((netns, ends), Flow { segments, attempts, failed, longest_rto_us })| {
                let rto_ms = longest_rto_us / 1_000;
                format!("{ends} | {netns} | {segments} | {attempts} | {failed} | {rto_ms}")
            },
        );
        let head = "flow | netns | segments sent again | attempts | failed | longest RTO, ms";
        write_table(out, "Flows that retransmit most", head, rows.collect(), ROWS, self.flows.left_out)
    }

    fn write_neighbours(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = |neighbour: &Neighbour| neighbour.changed + neighbour.ignored + neighbour.failed;
        let rows =
            self.neighbours.heaviest(weight).into_iter().map(|((netns, device, address), neighbour)| {
                let Neighbour { changed, ignored, failed, hardware } = neighbour;
                let (device, hardware) = (Cell(device), hardware.join(", "));
                format!("{address} | {device} | {netns} | {changed} | {ignored} | {failed} | {hardware}")
            });
        let head = "neighbour | device | netns | changed | ignored | failed | hardware addresses";
        let title = "Neighbours that changed, were contradicted or failed";
        write_table(out, title, head, rows.collect(), ROWS, self.neighbours.left_out)
    }

    fn write_servers(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = |server: &Server| server.decisions.iter().sum();
        let rows = self.servers.heaviest(weight).into_iter().map(|((netns, service, real), server)| {
            let decisions = server.decisions.map(|number| number.to_string()).join(" | ");
            format!("{service} | {real} | {netns} | {decisions} | {}", server.at_weight_zero)
        });
        let decisions = IpvsDecision::ALL.map(IpvsDecision::name).join(" | ");
        let head = format!("service | real server | netns | {decisions} | at weight 0");
        write_table(out, "IPVS decisions", &head, rows.collect(), ROWS, self.servers.left_out)
    }

    fn write_conntrack(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows =
            self.conntrack.heaviest(|number| *number).into_iter().map(|((netns, event, ends), number)| {
                let ends = ends.map_or_else(|| "no entry".to_owned(), |ends| ends.to_string());
                format!("{event} | {ends} | {netns} | {number}")
            });
        let head = "event | original tuple | netns | times";
        write_table(out, "Conntrack decisions", head, rows.collect(), ROWS, self.conntrack.left_out)
    }
}

/// A titled table, or nothing where it has no rows. `left_out` are events whose subjects were not counted apart.
fn write_table(
    out: &mut fmt::Formatter<'_>,
    title: &str,
    head: &str,
    rows: Vec<String>,
    most: usize,
    left_out: u64,
) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    let rule = "---|".repeat(head.split('|').count());
    writeln!(out, "\n## {title}\n\n| {head} |\n|{rule}")?;
    let more = rows.len().saturating_sub(most);
    for row in rows.into_iter().take(most) {
        writeln!(out, "| {row} |")?;
    }
    if more != 0 {
        writeln!(out, "\nand {more} more")?;
    }
    if left_out != 0 {
        writeln!(out, "\n{left_out} events more of subjects beyond the first {SUBJECTS_KEPT}")?;
    }
    Ok(())
}

/// Text from outside, with what Markdown would take for its own escaped.
struct Cell<'a>(&'a Text);

impl fmt::Display for Cell<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        self.0.as_str().chars().try_for_each(|character| {
            if matches!(character, '\\' | '|' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '#' | '&' | '~') {
                formatter.write_char('\\')?;
            }
            formatter.write_char(character)
        })
    }
}

/// A time in UTC, to the millisecond.
struct Utc(Timestamp);

impl fmt::Display for Utc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MILLISECOND_NS: i64 = 1_000_000;
        let cut_ns = self.0.wall_ns - self.0.wall_ns.rem_euclid(MILLISECOND_NS);
        let time = jiff::Timestamp::from_nanosecond(i128::from(cut_ns)).unwrap_or_default();
        write!(formatter, "{time:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, Report};
    use crate::{
        event::Text,
        output::tests::{events, every_event},
        session::Damage,
    };

    #[test]
    fn a_report_of_every_event() {
        let mut report = Report::default();
        for event in events(&every_event()) {
            report.apply(&event);
        }
        report.note_damage(&[Damage::Cut { offset: 4_096, bytes: 17 }]);
        insta::assert_snapshot!(report.to_string());
    }

    #[test]
    fn a_report_of_nothing_says_so() {
        let text = Report::default().to_string();
        assert!(text.contains("- No events") && !text.contains("## Events"), "{text}");
        assert!(text.contains("does not say") && !text.contains("Nothing:"), "{text}");
    }

    #[test]
    fn text_from_outside_stays_text() {
        let name = Text::new("a|b<script>_x_");
        assert_eq!(Cell(&name).to_string(), "a\\|b\\<script\\>\\_x\\_");
    }
}
