//! One line an event, for people: time, type and kind, subject, the telling facts, and where it happened.

mod clock;
mod conntrack;
mod finding;
mod icmp;
mod ipvs;
mod ipvs_change;
mod neighbour;
mod path;
mod retransmit;
mod ruleset;

use std::{
    fmt::{self, Write as _},
    io::{self, Write as _},
};

use anstyle::{AnsiColor, Style};
use jiff::tz::TimeZone;
use tracer_common::{counters::KindCounters, record::RecordKind};

use super::context::{Context, NodeContext, Shown};
use crate::{
    event::{Body, Endpoints, Event, HookState, HookStatus, Namespace, Netns, Text, Timestamp},
    probe::table,
    state::Ownership,
};

/// Columns: `ipvs-change`, `parameter-problem`, and two IPv4 ends with ports are the longest usual texts.
const TYPE_WIDTH: usize = 11;
const KIND_WIDTH: usize = 17;
const SUBJECT_WIDTH: usize = 45;

/// How an arrow is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrow {
    /// `→`, where the locale is UTF-8.
    Unicode,
    /// `->`, elsewhere.
    Ascii,
}

impl fmt::Display for Arrow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unicode => "→",
            Self::Ascii => "->",
        })
    }
}

/// How lines look.
#[derive(Clone, Debug)]
pub struct LineStyle {
    /// The arrow between two ends.
    pub arrow: Arrow,
    /// Whether kinds are coloured. Colour repeats what the words say.
    pub use_colour: bool,
    /// Where the times are told.
    pub time_zone: TimeZone,
}

impl LineStyle {
    /// The style fit for a writer, in the system's time zone. `variable` gives environment variables: colour needs a
    /// terminal and an empty or absent `NO_COLOR`, the arrow a UTF-8 locale.
    pub fn fit(is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let locale =
            ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_lowercase();
        let is_utf8 = locale.contains("utf-8") || locale.contains("utf8");
        Self {
            arrow: if is_utf8 { Arrow::Unicode } else { Arrow::Ascii },
            use_colour: is_terminal
                && set("NO_COLOR").is_none()
                && variable("TERM").as_deref() != Some("dumb"),
            time_zone: TimeZone::system(),
        }
    }
}

/// What a line is about, column by column.
#[derive(Debug, Default)]
struct Columns {
    kind: &'static str,
    weight: Weight,
    subject: String,
    facts: String,
    place: String,
}

/// How much a line deserves a look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Weight {
    #[default]
    Usual,
    Notable,
    Trouble,
}

impl Weight {
    fn style(self) -> Style {
        match self {
            Self::Usual => Style::new(),
            Self::Notable => AnsiColor::Yellow.on_default(),
            Self::Trouble => AnsiColor::Red.on_default().bold(),
        }
    }
}

/// Prints lines and keeps what the summary and the next line about losses need.
#[derive(Debug)]
pub(super) struct Lines {
    style: LineStyle,
    /// Lines printed, by what they tell, in the order they appeared.
    printed: Vec<(&'static str, u64)>,
    /// Suppressed and lost events by node and kind, as last told.
    told: Vec<((u16, RecordKind), u64, u64)>,
}

impl Lines {
    pub(super) fn new(style: LineStyle) -> Self {
        Self { style, printed: Vec::new(), told: Vec::new() }
    }

    /// Appends the lines of an event.
    pub(super) fn append(
        &mut self,
        buffer: &mut Vec<u8>,
        context: &Context,
        event: &Event,
        shown: Shown,
    ) -> io::Result<()> {
        match shown {
            Shown::Nothing => Ok(()),
            Shown::Ready => append_ready(buffer, context, event.netns.node),
            Shown::Stats => self.append_losses(buffer, context, event),
            Shown::Event => match &event.body {
                Body::HookStatus(status) => {
                    append_hook(buffer, status, context.names.one_of_several(event.netns.node))
                }
                _ => self.append_event(buffer, context, event),
            },
        }
    }

    fn append_event(&mut self, buffer: &mut Vec<u8>, context: &Context, event: &Event) -> io::Result<()> {
        let arrow = self.style.arrow;
        let (name, columns) = match &event.body {
            Body::Retransmit(body) => {
                ("retransmit", retransmit::segment(body, &context.names.of_event(event), arrow))
            }
            Body::Undo(body) => ("retransmit", retransmit::undo(body, arrow)),
            Body::Neighbour(body) => ("neighbour", neighbour::proposal(body)),
            Body::Claim(body) => ("claim", neighbour::claim(body)),
            Body::Conntrack(body) => ("conntrack", conntrack::decision(body, arrow)),
            // Tables come and go with every connection; what failed is for people.
            Body::ConntrackCounters(body) if !body.tells_failures() => return Ok(()),
            Body::ConntrackCounters(body) => ("conntrack", conntrack::counters(body)),
            Body::Translation(body) => {
                ("translation", conntrack::translation(body, event.netns.inode, arrow))
            }
            Body::Ipvs(body) => ("ipvs", ipvs::decision(body, arrow)),
            body if body.is_snapshot() => return Ok(()),
            Body::Route(body) => ("route", path::route(body)),
            Body::RouteLookup(body) => ("route to", path::lookup(body, arrow)),
            Body::Address(body) => ("address", path::address(body)),
            Body::Link(body) => ("link", path::link(body)),
            Body::Rule(body) => ("rule", path::rule(body)),
            Body::Sysctl(body) => ("sysctl", path::sysctl(body)),
            Body::IpvsChange(body) => ("ipvs-change", ipvs_change::change(body, arrow)),
            Body::Ruleset(body) => ("ruleset", ruleset::table(body)),
            Body::Icmp(body) => ("icmp", icmp::error(body, arrow)),
            Body::Duplicate(body) => ("duplicate", icmp::duplicate(body, arrow)),
            Body::Clock(body) => ("clock", clock::change(body)),
            Body::Gap(body) => ("gap", clock::gap(body)),
            Body::Marker(text) => ("marker", clock::marker(text)),
            // Listings are for the state, and for programs that read JSON.
            Body::NeighbourEntry(_)
            | Body::IpvsService(_)
            | Body::IpvsDestination(_)
            | Body::Stats(_)
            | Body::HookStatus(_)
            | Body::Owner(_)
            | Body::Container(_)
            | Body::Namespace(_)
            | Body::Node { .. }
            | Body::Ready
            | Body::Facts(_)
            | Body::Session(_)
            | Body::SessionBegin => {
                return Ok(());
            }
        };
        self.count(event.body.kind().name());
        self.append_columns(buffer, event.time, name, &columns);
        append_place(buffer, context, event, &columns.place)
    }

    /// Appends a line up to where it was.
    fn append_columns(&self, buffer: &mut Vec<u8>, time: Timestamp, name: &str, columns: &Columns) {
        let time = self.time(time);
        let colour = if self.style.use_colour { columns.weight.style() } else { Style::new() };
        let Columns { kind, subject, facts, .. } = columns;
        let line = format!(
            "{time:.3} {name:TYPE_WIDTH$} {colour}{kind:KIND_WIDTH$}{colour:#} {subject:SUBJECT_WIDTH$} {facts}"
        );
        buffer.extend_from_slice(line.trim_end().as_bytes());
    }

    fn count(&mut self, name: &'static str) {
        match self.printed.iter_mut().find(|(known, _)| *known == name) {
            Some((_, number)) => *number += 1,
            None => self.printed.push((name, 1)),
        }
    }

    fn time(&self, time: Timestamp) -> jiff::civil::Time {
        const MILLISECOND_NS: i64 = 1_000_000;
        let cut_ns = time.wall_ns - time.wall_ns.rem_euclid(MILLISECOND_NS);
        let time = jiff::Timestamp::from_nanosecond(i128::from(cut_ns)).unwrap_or_default();
        self.style.time_zone.to_datetime(time).time()
    }

    /// A line for each kind of which more was suppressed or lost than the last line told.
    fn append_losses(&mut self, buffer: &mut Vec<u8>, context: &Context, event: &Event) -> io::Result<()> {
        let node = event.netns.node;
        let Some(NodeContext { stats, .. }) = context.nodes.get(&node) else { return Ok(()) };
        let place =
            context.names.one_of_several(node).map(|node| format!("  node {node}")).unwrap_or_default();
        for &(kind, counters) in stats {
            let (suppressed, lost) = (counters.suppressed, counters.lost);
            let told = self.told.iter_mut().find(|(known, ..)| *known == (node, kind));
            let is_news = match &told {
                Some((_, told_suppressed, told_lost)) => (suppressed, lost) != (*told_suppressed, *told_lost),
                None => suppressed != 0 || lost != 0,
            };
            if !is_news {
                continue;
            }
            match told {
                Some(entry) => *entry = ((node, kind), suppressed, lost),
                None => self.told.push(((node, kind), suppressed, lost)),
            }
            let (time, name) = (self.time(event.time), kind.name());
            writeln!(
                buffer,
                "{time:.3} {:TYPE_WIDTH$} {:KIND_WIDTH$} {name}: {suppressed} suppressed and {lost} lost of {} seen{place}",
                "stats", "incomplete", counters.seen
            )?;
        }
        Ok(())
    }

    /// Appends what was printed and what was missed.
    pub(super) fn append_summary(&self, buffer: &mut Vec<u8>, context: &Context) -> io::Result<()> {
        let mut counts: Vec<String> =
            self.printed.iter().map(|(name, number)| format!("{number} {name}")).collect();
        if counts.is_empty() {
            counts.push("no events".to_owned());
        }
        write!(buffer, "# printed: {}", counts.join(", "))?;
        let total = context
            .nodes
            .values()
            .flat_map(|node| &node.stats)
            .fold(KindCounters::default(), |sum, (_, counters)| sum.plus(*counters));
        if total.seen != 0 {
            let KindCounters { seen, suppressed, lost, .. } = total;
            write!(buffer, "; seen in the kernel: {seen}, of which {suppressed} suppressed and {lost} lost")?;
        }
        let unread = context.unread;
        if unread.unknown != 0 || unread.malformed != 0 {
            write!(buffer, "; unread: {} of unknown kinds, {} malformed", unread.unknown, unread.malformed)?;
        }
        writeln!(buffer)
    }
}

/// Ends a line with where it was, and whose.
fn append_place(buffer: &mut Vec<u8>, context: &Context, event: &Event, place: &str) -> io::Result<()> {
    let Ownership { namespace, pod, .. } = context.names.of_event(event);
    append_netns(buffer, context, event.netns, namespace)?;
    write!(buffer, "{place}")?;
    if let Some(pod) = pod {
        write!(buffer, " pod {pod}")?;
    }
    writeln!(buffer)
}

/// Appends the node, where there are several, and the network namespace.
fn append_netns(
    buffer: &mut Vec<u8>,
    context: &Context,
    netns: Netns,
    namespace: Option<&Namespace>,
) -> io::Result<()> {
    let node = context.names.one_of_several(netns.node);
    if let Some(node) = node {
        write!(buffer, "  node {node}")?;
    }
    if netns.inode != 0 {
        write!(buffer, "{}netns {netns}", if node.is_some() { " " } else { "  " })?;
    }
    if let Some(name) = namespace.and_then(|namespace| namespace.name.as_ref()) {
        write!(buffer, " ({name})")?;
    }
    Ok(())
}

fn append_ready(buffer: &mut Vec<u8>, context: &Context, number: u16) -> io::Result<()> {
    let Some(node) = context.nodes.get(&number) else { return Ok(()) };
    let several = context.names.one_of_several(number);
    let attached =
        node.hooks.iter().filter(|status| matches!(status.state(), HookState::Attached(_))).count();
    write!(buffer, "# ready: {attached} of {} hooks attached", node.hooks.len())?;
    if !node.kernel.is_empty() {
        write!(buffer, " on {} ({})", node.host, node.kernel)?;
    }
    writeln!(buffer)?;
    node.hooks
        .iter()
        .filter(|status| status.state() == HookState::Missing)
        .try_for_each(|status| append_hook(buffer, status, several))
}

fn append_hook(buffer: &mut Vec<u8>, status: &HookStatus, node: Option<&Text>) -> io::Result<()> {
    let hook = status.hook.and_then(table::find);
    let name = hook.map_or("unknown", |hook| hook.name);
    match status.state() {
        HookState::Attached(way) => write!(buffer, "# hook {name}: attached by {}", way.name())?,
        HookState::Standby(_) => write!(buffer, "# hook {name}: standing by")?,
        HookState::Missing | HookState::NotNeeded => write!(buffer, "# missing {name}")?,
    }
    if let (None, Some(hook)) = (status.attached, hook) {
        write!(buffer, " ({})", hook.tells)?;
    }
    if !status.reason.is_empty() {
        write!(buffer, ": {}", status.reason)?;
    }
    if let Some(node) = node {
        write!(buffer, "  node {node}")?;
    }
    writeln!(buffer)
}

/// Text of several facts, each set off from the last by a comma. Writing to a `String` cannot fail.
#[derive(Default)]
struct Facts(String);

impl Facts {
    fn add(&mut self, fact: fmt::Arguments<'_>) {
        if !self.0.is_empty() {
            self.0.push_str(", ");
        }
        let _ = self.0.write_fmt(fact);
    }
}

fn ends(flow: &Endpoints, arrow: Arrow) -> String {
    format!("{} {arrow} {}", flow.source, flow.destination)
}
