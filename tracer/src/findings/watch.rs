//! Findings as they open and close, without screens: whoever reads events is told each change where it happens.

use std::str::FromStr;

use super::{Finding, FindingChange, FindingStatus, Findings, IDS, Opened, Severity, thresholds::unknown};
use crate::{
    block::Block,
    decode::Decoder,
    event::Event,
    state::{Batch, State},
};

/// A state that events are taken into, and which changes of its findings have been told.
#[derive(Debug)]
pub(crate) struct Watched {
    /// On the heap: it is large.
    state: Box<State>,
    /// Changes told so far.
    told: u64,
}

impl Watched {
    /// Begins with a state in which nothing has happened yet.
    pub(crate) fn new(state: State) -> Self {
        Self { told: state.findings.changes(), state: Box::new(state) }
    }

    /// Begins to take some events in; [`finish`](Watching::finish) has to follow.
    pub(crate) fn begin(&mut self) -> Watching<'_> {
        Watching::new(&mut self.state, &mut self.told)
    }
}

/// Events being taken in.
#[derive(Debug)]
pub(crate) struct Watching<'a> {
    batch: Batch<'a>,
    told: &'a mut u64,
}

impl<'a> Watching<'a> {
    /// Goes on with a state of whose findings that many changes have been told.
    pub(crate) fn new(state: &'a mut State, told: &'a mut u64) -> Self {
        Self { batch: Batch::new(state), told }
    }

    /// Takes an event in, and calls `tell` with each change of a finding that it brings about.
    pub(crate) fn push(&mut self, event: Event, mut tell: impl FnMut(&State, &FindingChange)) {
        let looks = State::looks_at(&event.body);
        self.batch.push(event);
        if looks {
            let state = self.batch.catch_up();
            for change in state.findings.changes_after(*self.told) {
                tell(state, change);
            }
            *self.told = state.findings.changes();
        }
    }

    /// Takes in what is left.
    pub(crate) fn finish(self) {
        self.batch.finish();
    }
}

/// A finding that is waited for, as it is asked for: `finding` or `finding:ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// Any that says that something is wrong: a warning or worse.
    Trouble,
    /// One of that rule, by itself or below what explains it.
    Rule(String),
}

impl Awaited {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Trouble => "finding",
            Self::Rule(id) => id,
        }
    }
}

impl FromStr for Awaited {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("finding:")) {
            ("finding", _) => Ok(Self::Trouble),
            (_, Some(id)) if IDS.contains(&id) => Ok(Self::Rule(id.to_owned())),
            (_, Some("")) => Err(unknown("no rule is named", "", &IDS)),
            (_, Some(id)) => Err(unknown(&format!("there is no rule {id}"), id, &IDS)),
            _ if IDS.contains(&text) => Err(format!("did you mean finding:{text}?")),
            _ => Err("what can be waited for is finding or finding:ID".to_owned()),
        }
    }
}

/// Which findings are waited for: any of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted(pub(crate) Vec<Awaited>);

impl Wanted {
    /// Whether one of them opens with a change of these findings. What explains one that is wanted may have been open
    /// before.
    pub(crate) fn opens_with(&self, findings: &Findings, change: &FindingChange) -> bool {
        let is_of = |finding: &Finding, id: &str| finding.symptoms.iter().any(|symptom| symptom.id == id);
        let finding = &change.finding;
        let opens = |awaited: &Awaited| match (change.status, awaited) {
            (FindingStatus::Closed, _) | (FindingStatus::Update, Awaited::Trouble) => false,
            (FindingStatus::Open, Awaited::Trouble) => finding.severity != Severity::Notice,
            (FindingStatus::Open, Awaited::Rule(id)) => finding.id == id || is_of(finding, id),
            (FindingStatus::Update, Awaited::Rule(id)) => {
                let before = findings.told_before(change);
                is_of(finding, id) && !before.is_some_and(|before| is_of(&before.finding, id))
            }
        };
        self.0.iter().any(opens)
    }

    /// Whether none is.
    pub(crate) fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// Their names.
    pub(crate) fn names(&self) -> String {
        self.0.iter().map(Awaited::name).collect::<Vec<_>>().join(", ")
    }
}

/// The state of a stream of blocks, watched for findings that open.
#[derive(Debug)]
pub(crate) struct Watch {
    decoder: Decoder,
    watched: Watched,
    wanted: Wanted,
    opened: Opened,
}

impl Watch {
    /// Begins where the blocks begin, with a state in which nothing has happened yet.
    pub(crate) fn new(state: State, wanted: Wanted) -> Self {
        Self { decoder: Decoder::default(), watched: Watched::new(state), wanted, opened: Opened::default() }
    }

    /// Takes a block in and calls `note` with each of its events; of the findings waited for that opened with it, the
    /// worst of the last to open, in a line.
    pub(crate) fn take(&mut self, block: &Block, mut note: impl FnMut(&Event)) -> Option<String> {
        let Self { decoder, watched, wanted, opened } = self;
        let mut found = None;
        let mut watching = watched.begin();
        decoder.decode(block, |event| {
            note(&event);
            watching.push(event, |state, change| {
                opened.note(change);
                if wanted.opens_with(&state.findings, change) {
                    let rank = (change.finding.severity, std::cmp::Reverse(change.time));
                    if found.as_ref().is_none_or(|(known, _)| rank < *known) {
                        found = Some((rank, change.finding.named()));
                    }
                }
            });
        });
        watching.finish();
        found.map(|(_, named)| named)
    }

    /// All that opened so far.
    pub(crate) fn opened(&self) -> &Opened {
        &self.opened
    }
}

#[cfg(test)]
mod tests {
    use super::{Awaited, Wanted};
    use crate::{
        event::Timestamp,
        findings::{About, Finding, FindingChange, FindingStatus, Findings, Severity},
        state::fixture::at,
    };

    fn finding(id: &'static str, severity: Severity) -> Finding {
        Finding::new(id, About::Node, severity, "who".to_owned(), "what".to_owned())
    }

    fn change(time: Timestamp, status: FindingStatus, finding: Finding) -> FindingChange {
        FindingChange { time, status, finding, explained_by: None }
    }

    #[test]
    fn what_is_waited_for_opens_by_itself_or_below_its_cause() {
        let rule = |id: &str| Wanted(vec![Awaited::Rule(id.to_owned())]);
        let trouble = Wanted(vec![Awaited::Trouble]);
        let mut cause = finding("routing-loop", Severity::Critical);
        cause.symptoms.push(finding("path-outage", Severity::Critical));
        let alone = finding("routing-loop", Severity::Warning);
        let notice = finding("address-flap", Severity::Notice);
        let none = Findings::default();
        // Whether it opens for: any trouble, the loop, the outage.
        for (status, told, expected) in [
            (FindingStatus::Open, &alone, [true, true, false]),
            (FindingStatus::Open, &cause, [true, true, true]),
            (FindingStatus::Open, &notice, [false, false, false]),
            (FindingStatus::Update, &alone, [false, false, false]),
            (FindingStatus::Update, &cause, [false, false, true]),
            (FindingStatus::Closed, &cause, [false, false, false]),
        ] {
            let change = change(at(2), status, told.clone());
            let wanted = [&trouble, &rule("routing-loop"), &rule("path-outage")];
            assert_eq!(wanted.map(|wanted| wanted.opens_with(&none, &change)), expected, "{change:?}");
        }
    }

    #[test]
    fn what_is_asked_for_is_read() {
        assert_eq!("finding".parse(), Ok(Awaited::Trouble));
        assert_eq!("finding:path-outage".parse(), Ok(Awaited::Rule("path-outage".to_owned())));
        for (wrong, expected) in [
            ("finding:outage", "there is no rule outage: there are duplicate-address, "),
            ("finding:", "no rule is named: there are "),
            ("finding:path-outrage", "there is no rule path-outrage: did you mean path-outage?"),
            ("path-outage", "did you mean finding:path-outage?"),
            ("", "what can be waited for is finding or finding:ID"),
            ("findings", "what can be waited for is finding or finding:ID"),
        ] {
            let told = wrong.parse::<Awaited>().unwrap_err();
            assert!(told.starts_with(expected), "{wrong}: {told}");
        }
    }
}
