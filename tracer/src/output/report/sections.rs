//! What Markdown and HTML have in common: titles, sentences and tables.

mod findings;

use std::collections::BTreeSet;

use super::{
    document::{Document, Entry, Node, Ranking},
    text::{Times, bucket},
};
use crate::words::{duration, exact};

/// A part of the report.
pub(super) struct Section {
    /// What it is found by in a page.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) sentences: Vec<String>,
    pub(super) tables: Vec<Table>,
    /// What there is to say of some of it, below the tables.
    pub(super) cards: Vec<Card>,
}

/// What there is to say of one thing.
pub(super) struct Card {
    pub(super) title: String,
    /// Titles, each with what is said under it.
    pub(super) parts: Vec<(&'static str, Vec<String>)>,
    pub(super) table: Option<Table>,
}

/// A table.
pub(super) struct Table {
    /// What it is a table of, where the section has several.
    pub(super) caption: Option<String>,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<String>>,
    /// Rows there was no room for.
    pub(super) more: u64,
}

/// A column.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// Whether it holds numbers, which stand at its right.
    pub(super) is_number: bool,
}

const fn words(title: &'static str) -> Column {
    Column { title, is_number: false }
}

const fn number(title: &'static str) -> Column {
    Column { title, is_number: true }
}

/// All sections that have something to say.
pub(super) fn sections(document: &Document) -> Vec<Section> {
    let all = [
        findings::section_of(document),
        rates(document),
        timeline(document),
        resent(document),
        neighbours(document),
        servers(document),
        others(document),
        gaps(document),
        nodes(document),
        events(document),
    ];
    let mut all: Vec<Section> = all.into_iter().filter(Section::says_something).collect();
    let is_of_one_namespace = is_of_one_namespace(&all);
    for table in all.iter_mut().flat_map(Section::tables_mut) {
        if is_of_one_namespace {
            table.leave_out(NETNS);
        }
        table.leave_out_empty();
    }
    all
}

/// The title of columns that say in which network namespace something was.
const NETNS: &str = "netns";

/// Whether it would be said in every row that everything is in the same one.
fn is_of_one_namespace(sections: &[Section]) -> bool {
    let names = sections.iter().flat_map(|section| &section.tables).flat_map(|table| table.cells(NETNS));
    names.filter(|name| !name.is_empty()).collect::<BTreeSet<_>>().len() < 2
}

impl Section {
    fn says_something(&self) -> bool {
        !self.sentences.is_empty() || !self.tables.is_empty()
    }

    fn tables_mut(&mut self) -> impl Iterator<Item = &mut Table> {
        self.tables.iter_mut().chain(self.cards.iter_mut().filter_map(|card| card.table.as_mut()))
    }
}

impl Table {
    /// The cells of a column.
    fn cells(&self, title: &str) -> impl Iterator<Item = &str> {
        let place = self.columns.iter().position(|column| column.title == title);
        self.rows.iter().filter_map(move |row| row.get(place?).map(String::as_str))
    }

    fn leave_out(&mut self, title: &str) {
        if let Some(place) = self.columns.iter().position(|column| column.title == title) {
            self.columns.remove(place);
            for row in &mut self.rows {
                row.remove(place);
            }
        }
    }

    /// A column without a value in any row says nothing.
    fn leave_out_empty(&mut self) {
        let empty = |column: &&Column| self.cells(column.title).all(str::is_empty);
        let empty: Vec<&str> = self.columns.iter().filter(empty).map(|column| column.title).collect();
        for title in empty {
            self.leave_out(title);
        }
    }
}

fn section(id: &'static str, title: &'static str, tables: Vec<Table>) -> Section {
    let tables = tables.into_iter().filter(|table| !table.rows.is_empty()).collect();
    Section { id, title, sentences: Vec::new(), tables, cards: Vec::new() }
}

fn table(columns: &[Column], rows: Vec<Vec<String>>, more: u64) -> Table {
    Table { caption: None, columns: columns.to_vec(), rows, more }
}

fn ranked<T>(
    caption: Option<&str>,
    columns: &[Column],
    ranking: &Ranking<T>,
    row: impl Fn(&T) -> Vec<String>,
) -> Table {
    let rows = ranking.rows.iter().map(row).collect();
    Table { caption: caption.map(str::to_owned), ..table(columns, rows, ranking.more) }
}

fn rates(document: &Document) -> Section {
    let columns = [words("family"), number("events"), number("most at once")];
    let told = document.rates.families.iter().filter(|rate| rate.events > 0);
    let rows = told.map(|rate| vec![rate.family.to_owned(), exact(rate.events), exact(rate.peak)]);
    let mut section = section("rates", "How often", vec![table(&columns, rows.collect(), 0)]);
    if !section.tables.is_empty() {
        let width = bucket(document.rates.bucket_ns);
        section.sentences.push(format!("\u{201c}Most at once\u{201d} is within {width}."));
    }
    section
}

fn timeline(document: &Document) -> Section {
    let times = Times::of(document);
    let columns =
        [words("from (UTC)"), words("to"), words("type"), number("events"), words(NETNS), words("what")];
    let rows = document.timeline.entries.iter().map(|entry| entry_row(times, entry)).collect();
    section("timeline", "Timeline", vec![table(&columns, rows, document.timeline.more)])
}

fn entry_row(times: Times, entry: &Entry) -> Vec<String> {
    let lasts = entry.last > entry.first;
    vec![
        times.exact(entry.first),
        if lasts { times.exact(entry.last) } else { String::new() },
        entry.kind.to_owned(),
        if entry.kind == "finding" { String::new() } else { exact(entry.events) },
        entry.place.to_string(),
        entry.text.clone(),
    ]
}

fn resent(document: &Document) -> Section {
    let times = Times::of(document);
    let columns = [
        words("to"),
        words(NETNS),
        number("attempts"),
        words("kinds"),
        number("in a row"),
        words("longest outage"),
        words("seen (UTC)"),
        words("of"),
    ];
    let peers = ranked(Some("Where most was sent again to"), &columns, &document.peers, |peer| {
        let outage = peer.longest_outage_ns;
        vec![
            peer.name.clone(),
            peer.place.to_string(),
            exact(peer.attempts),
            peer.kinds.clone(),
            exact(u64::from(peer.longest_run)),
            if outage == 0 { String::new() } else { duration(outage) },
            times.span(peer.span),
            peer.owner.clone().unwrap_or_default(),
        ]
    });
    let columns = [
        words("flow"),
        words(NETNS),
        number("attempts"),
        words("kinds"),
        words("state"),
        words("longest outage"),
        words("seen (UTC)"),
        words("of"),
    ];
    let flows = ranked(Some("Flows with the most attempts"), &columns, &document.flows, |flow| {
        vec![
            flow.name.clone(),
            flow.place.to_string(),
            exact(flow.attempts),
            flow.kinds.clone(),
            flow.state.clone(),
            flow.longest_outage.map(|outage| duration(outage.duration_ns())).unwrap_or_default(),
            times.span(flow.span),
            flow.owner.clone(),
        ]
    });
    section("retransmits", "Who sends again, and to whom", vec![peers, flows])
}

fn neighbours(document: &Document) -> Section {
    let times = Times::of(document);
    let columns = [
        words("address"),
        words("device"),
        words(NETNS),
        words("answered by"),
        number("taken"),
        number("ignored"),
        number("claims"),
        words("heard (UTC)"),
    ];
    let mut rows = Vec::new();
    for neighbour in &document.neighbours.rows {
        for one in &neighbour.answerers {
            rows.push(vec![
                neighbour.address.clone(),
                neighbour.dev.clone(),
                neighbour.place.to_string(),
                one.mac.clone(),
                exact(one.taken),
                exact(one.ignored),
                exact(one.claims),
                times.span(one.span),
            ]);
        }
    }
    let answerers = table(&columns, rows, document.neighbours.more);
    section("neighbours", "Addresses that several answer for", vec![answerers])
}

fn servers(document: &Document) -> Section {
    let times = Times::of(document);
    let columns = [
        words("service"),
        words("real server"),
        words(NETNS),
        number("new connections"),
        number("while drained"),
        number("turned away"),
        words("weight, since (UTC)"),
    ];
    let servers = ranked(None, &columns, &document.servers, |server| {
        let weights = server.weights.iter().map(|step| {
            let weight = step.weight.map_or("gone".to_owned(), |weight| weight.to_string());
            format!("{weight} {}", times.seconds(step.since))
        });
        vec![
            server.service.clone(),
            server.real.clone().unwrap_or_else(|| "none".to_owned()),
            server.place.to_string(),
            exact(server.connections),
            exact(server.onto_drained),
            exact(server.turned_away),
            weights.collect::<Vec<_>>().join(", "),
        ]
    });
    section("ipvs", "Real servers of IPVS", vec![servers])
}

fn others(document: &Document) -> Section {
    let times = Times::of(document);
    let columns = [words("decision"), number("times"), words("seen (UTC)")];
    let rows = document.conntrack.iter();
    let rows = rows.map(|told| {
        vec![
            told.event.to_owned(),
            exact(told.times),
            told.span.map(|span| times.span(span)).unwrap_or_default(),
        ]
    });
    let caption = Some("Decisions of conntrack".to_owned());
    let conntrack = Table { caption, ..table(&columns, rows.collect(), 0) };
    let columns = [
        words("packets to"),
        words(NETNS),
        words("message"),
        words("direction"),
        number("messages"),
        words("seen (UTC)"),
    ];
    let icmp = ranked(Some("ICMP errors"), &columns, &document.icmp, |told| {
        vec![
            told.destination.clone(),
            told.place.to_string(),
            told.meaning.to_owned(),
            told.direction.to_owned(),
            exact(told.messages),
            times.span(told.span),
        ]
    });
    let columns = [words("table"), words(NETNS), number("rules"), number("most rules"), number("repeated")];
    let rulesets = ranked(Some("Tables of rules"), &columns, &document.rulesets, |told| {
        vec![
            told.table.clone(),
            told.place.to_string(),
            exact(u64::from(told.entries)),
            exact(u64::from(told.most_entries)),
            exact(u64::from(told.duplicates)),
        ]
    });
    section("others", "Conntrack, ICMP and rules", vec![conntrack, icmp, rulesets])
}

fn gaps(document: &Document) -> Section {
    let mut told = section("gaps", "What is missing here", Vec::new());
    let are_several = document.nodes.len() > 1;
    for node in &document.nodes {
        let tables = missing_hooks(node);
        let caption = are_several.then(|| node.host.clone());
        told.tables.extend(tables.map(|table| Table { caption, ..table }));
        let of = if are_several { format!("{}: ", node.host) } else { String::new() };
        told.sentences.extend(missing_events(node).into_iter().map(|sentence| format!("{of}{sentence}")));
    }
    let gaps = &document.gaps;
    told.sentences.extend(gaps.damage.iter().cloned());
    for forgotten in &gaps.forgotten {
        let rows = exact(forgotten.rows);
        told.sentences.push(format!("{rows} {} were forgotten for newer ones.", forgotten.what));
    }
    for (records, what) in [
        (gaps.unknown_records, "of kinds that this version does not know"),
        (gaps.malformed_records, "that could not be read"),
    ] {
        if records > 0 {
            told.sentences.push(format!("{} records {what} were left out.", exact(records)));
        }
    }
    if told.sentences.is_empty() && told.tables.is_empty() {
        told.sentences.push("Nothing: every hook was attached and every event delivered.".to_owned());
    }
    told
}

fn missing_hooks(node: &Node) -> Option<Table> {
    let columns = [words("hook"), words("would tell"), words("why it is missing")];
    let hooks = node.hooks_missing.iter();
    let rows: Vec<_> =
        hooks.map(|one| vec![one.hook.to_owned(), one.tells.to_owned(), one.reason.clone()]).collect();
    (!rows.is_empty()).then(|| table(&columns, rows, 0))
}

fn missing_events(node: &Node) -> Vec<String> {
    let mut told = Vec::new();
    for account in node.accounting.iter().filter(|account| account.lost + account.suppressed > 0) {
        told.push(format!(
            "Of {} {} events, {} were suppressed and {} lost.",
            exact(account.seen),
            account.kind,
            exact(account.suppressed),
            exact(account.lost)
        ));
    }
    if node.hooks_attached == 0 && node.hooks_missing.is_empty() {
        told.push("The session does not say which hooks were attached.".to_owned());
    }
    if !node.is_accounted {
        told.push("The session does not say whether events were lost.".to_owned());
    }
    told
}

fn nodes(document: &Document) -> Section {
    let are_several = document.nodes.len() > 1;
    let tables = document.nodes.iter().map(|node| {
        let caption = are_several.then(|| node.host.clone());
        Table { caption, ..node_table(node) }
    });
    let title = if are_several { "The nodes" } else { "The node" };
    Section { sentences: document.clocks.clone(), ..section("node", title, tables.collect()) }
}

fn node_table(node: &Node) -> Table {
    let columns = [words("what"), words("is")];
    let hooks = if node.hooks_attached > 0 { exact(node.hooks_attached) } else { String::new() };
    let known = [("host", node.host.clone()), ("kernel", node.kernel.clone()), ("hooks attached", hooks)];
    let known = known.into_iter().map(|(name, value)| vec![name.to_owned(), value]);
    let facts = node.facts.iter().chain(&node.settings);
    let rows = known.chain(facts.map(|fact| vec![fact.name.clone(), fact.value.clone()]));
    let is_told = |row: &Vec<String>| row.last().is_some_and(|value| !value.is_empty());
    table(&columns, rows.filter(is_told).collect(), 0)
}

fn events(document: &Document) -> Section {
    let columns = [words("type"), words("kind"), number("events")];
    let rows = document.events.iter();
    let rows = rows.map(|told| vec![told.name.to_owned(), told.kind.to_owned(), exact(told.events)]);
    section("events", "Events counted", vec![table(&columns, rows.collect(), 0)])
}
