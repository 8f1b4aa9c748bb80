//! What Markdown and HTML have in common: titles, sentences and tables.

use super::{
    document::{Document, Entry, Finding, Ranking},
    text::{bucket, seconds_of_day, span, time_of_day},
};
use crate::words::{duration, exact};

/// A part of the report.
pub(super) struct Section {
    /// What it is found by in a page.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) sentences: Vec<String>,
    pub(super) tables: Vec<Table>,
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
        rates(document),
        findings(document),
        timeline(document),
        resent(document),
        neighbours(document),
        servers(document),
        others(document),
        gaps(document),
        node(document),
        events(document),
    ];
    all.into_iter().filter(|section| !section.sentences.is_empty() || !section.tables.is_empty()).collect()
}

fn section(id: &'static str, title: &'static str, tables: Vec<Table>) -> Section {
    let tables = tables.into_iter().filter(|table| !table.rows.is_empty()).collect();
    Section { id, title, sentences: Vec::new(), tables }
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

fn findings(document: &Document) -> Section {
    let columns = [words("severity"), words("who"), words("what"), words("seen (UTC)"), words("at the end")];
    let rows = document.findings.iter().map(finding_row).collect();
    let mut section = section("findings", "What stands out", vec![table(&columns, rows, 0)]);
    let columns = [words("time (UTC)"), words("type"), words("event")];
    for finding in document.findings.iter().filter(|finding| !finding.evidence.is_empty()) {
        let evidence = finding.evidence.iter();
        let rows = evidence.map(|one| vec![time_of_day(one.time), one.kind.to_owned(), one.text.clone()]);
        let caption = Some(format!("{} {}: {}", finding.mark, finding.who, finding.what));
        let rows = rows.collect();
        section.tables.push(Table { caption, ..table(&columns, rows, finding.more_evidence) });
    }
    if document.findings.is_empty() && document.span.is_some() {
        section.sentences.push("Nothing.".to_owned());
    }
    section
}

fn finding_row(finding: &Finding) -> Vec<String> {
    vec![
        format!("{}\u{a0}{}", finding.mark, finding.severity),
        finding.who.clone(),
        finding.what.clone(),
        finding.span.map(span).unwrap_or_default(),
        finding.status.to_owned(),
    ]
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
    let columns =
        [words("from (UTC)"), words("to"), words("type"), number("events"), words("netns"), words("what")];
    let rows = document.timeline.entries.iter().map(entry_row).collect();
    section("timeline", "Timeline", vec![table(&columns, rows, document.timeline.more)])
}

fn entry_row(entry: &Entry) -> Vec<String> {
    let lasts = entry.last > entry.first;
    vec![
        time_of_day(entry.first),
        if lasts { time_of_day(entry.last) } else { String::new() },
        entry.kind.to_owned(),
        exact(entry.events),
        entry.netns.clone(),
        entry.text.clone(),
    ]
}

fn resent(document: &Document) -> Section {
    let columns = [
        words("to"),
        words("netns"),
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
            peer.netns.clone(),
            exact(peer.attempts),
            peer.kinds.clone(),
            exact(u64::from(peer.longest_run)),
            if outage == 0 { String::new() } else { duration(outage) },
            span(peer.span),
            peer.owner.clone().unwrap_or_default(),
        ]
    });
    let columns = [
        words("flow"),
        words("netns"),
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
            flow.netns.clone(),
            exact(flow.attempts),
            flow.kinds.clone(),
            flow.state.clone(),
            flow.longest_outage.map(|outage| duration(outage.duration_ns())).unwrap_or_default(),
            span(flow.span),
            flow.owner.clone(),
        ]
    });
    section("retransmits", "Who sends again, and to whom", vec![peers, flows])
}

fn neighbours(document: &Document) -> Section {
    let columns = [
        words("address"),
        words("device"),
        words("netns"),
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
                neighbour.netns.clone(),
                one.mac.clone(),
                exact(one.taken),
                exact(one.ignored),
                exact(one.claims),
                span(one.span),
            ]);
        }
    }
    let answerers = table(&columns, rows, document.neighbours.more);
    section("neighbours", "Addresses that several answer for", vec![answerers])
}

fn servers(document: &Document) -> Section {
    let columns = [
        words("service"),
        words("real server"),
        words("netns"),
        number("new connections"),
        number("while drained"),
        number("turned away"),
        words("weight, since (UTC)"),
    ];
    let servers = ranked(None, &columns, &document.servers, |server| {
        let weights = server.weights.iter().map(|step| {
            let weight = step.weight.map_or("gone".to_owned(), |weight| weight.to_string());
            format!("{weight} {}", seconds_of_day(step.since))
        });
        vec![
            server.service.clone(),
            server.real.clone().unwrap_or_else(|| "none".to_owned()),
            server.netns.clone(),
            exact(server.connections),
            exact(server.onto_drained),
            exact(server.turned_away),
            weights.collect::<Vec<_>>().join(", "),
        ]
    });
    section("ipvs", "Real servers of IPVS", vec![servers])
}

fn others(document: &Document) -> Section {
    let columns = [words("decision"), number("times"), words("seen (UTC)")];
    let rows = document.conntrack.iter();
    let rows = rows
        .map(|told| vec![told.event.to_owned(), exact(told.times), told.span.map(span).unwrap_or_default()]);
    let caption = Some("Decisions of conntrack".to_owned());
    let conntrack = Table { caption, ..table(&columns, rows.collect(), 0) };
    let columns = [
        words("packets to"),
        words("netns"),
        words("message"),
        words("direction"),
        number("messages"),
        words("seen (UTC)"),
    ];
    let icmp = ranked(Some("ICMP errors"), &columns, &document.icmp, |told| {
        vec![
            told.destination.clone(),
            told.netns.clone(),
            told.meaning.to_owned(),
            told.direction.to_owned(),
            exact(told.messages),
            span(told.span),
        ]
    });
    let columns = [words("table"), words("netns"), number("rules"), number("most rules"), number("repeated")];
    let rulesets = ranked(Some("Tables of rules"), &columns, &document.rulesets, |told| {
        vec![
            told.table.clone(),
            told.netns.clone(),
            exact(u64::from(told.entries)),
            exact(u64::from(told.most_entries)),
            exact(u64::from(told.duplicates)),
        ]
    });
    section("others", "Conntrack, ICMP and rules", vec![conntrack, icmp, rulesets])
}

fn gaps(document: &Document) -> Section {
    let mut told = section("gaps", "What is missing here", Vec::new());
    let columns = [words("hook"), words("would tell"), words("why it is missing")];
    for node in &document.nodes {
        let hooks = node.hooks_missing.iter();
        let rows: Vec<_> =
            hooks.map(|one| vec![one.hook.to_owned(), one.tells.to_owned(), one.reason.clone()]).collect();
        if !rows.is_empty() {
            told.tables.push(table(&columns, rows, 0));
        }
        for account in node.accounting.iter().filter(|account| account.lost + account.suppressed > 0) {
            told.sentences.push(format!(
                "Of {} {} events, {} were suppressed and {} lost.",
                exact(account.seen),
                account.kind,
                exact(account.suppressed),
                exact(account.lost)
            ));
        }
        if node.hooks_attached == 0 && node.hooks_missing.is_empty() {
            told.sentences.push("The session does not say which hooks were attached.".to_owned());
        }
        if node.accounting.is_empty() {
            told.sentences.push("The session does not say whether events were lost.".to_owned());
        }
    }
    let gaps = &document.gaps;
    told.sentences.extend(gaps.damage.iter().cloned());
    for forgotten in &gaps.forgotten {
        told.sentences.push(format!(
            "{} {} were forgotten for newer ones.",
            exact(forgotten.rows),
            forgotten.what
        ));
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

fn node(document: &Document) -> Section {
    let columns = [words("what"), words("is")];
    let tables = document.nodes.iter().map(|node| {
        let hooks = (node.hooks_attached > 0).then(|| exact(node.hooks_attached)).unwrap_or_default();
        let known = [("host", node.host.clone()), ("kernel", node.kernel.clone()), ("hooks attached", hooks)];
        let known = known.into_iter().map(|(name, value)| vec![name.to_owned(), value]);
        let facts = node.facts.iter().chain(&node.settings);
        let rows = known.chain(facts.map(|fact| vec![fact.name.clone(), fact.value.clone()]));
        table(&columns, rows.filter(|row| row.last().is_some_and(|value| !value.is_empty())).collect(), 0)
    });
    section("node", "The node", tables.collect())
}

fn events(document: &Document) -> Section {
    let columns = [words("type"), words("kind"), number("events")];
    let rows = document.events.iter();
    let rows = rows.map(|told| vec![told.name.to_owned(), told.kind.to_owned(), exact(told.events)]);
    section("events", "Events counted", vec![table(&columns, rows.collect(), 0)])
}
