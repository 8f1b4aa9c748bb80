//! A finding: what is wrong, with whom, since when, how that is known, whom it hits and what to do about it.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::{
    event::{Netns, Timestamp},
    probe::table::Family,
    state::{Span, Subject, TableKey},
    words::time_of_day,
};

/// How bad something is. The order is from the worst on.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Connections fail.
    Critical,
    /// Something is wrong, or will be soon.
    Warning,
    /// Good to know when reading the rest.
    Notice,
}

impl Severity {
    /// Its name, and a mark where that finds no room.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Critical => ("critical", "!!"),
            Self::Warning => ("warning", "!"),
            Self::Notice => ("notice", "·"),
        }
    }
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Certainty {
    /// The kernel said so itself.
    Certain,
    /// It follows from what the kernel said, and other causes are rare.
    Likely,
    /// One cause of several that would look like this.
    Possible,
}

impl Certainty {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Possible => "possible",
        }
    }

    /// What that means, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Certain => "the kernel said so itself",
            Self::Likely => "it follows from what the kernel said, and other causes are rare",
            Self::Possible => "one cause of several that would look like this",
        }
    }

    /// A mark where its name finds no room; none for what is certain.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Certain => "",
            Self::Likely => "~",
            Self::Possible => "?",
        }
    }
}

/// What tells a finding from others of the same rule, whatever it says at the moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum About {
    /// One thing on the node.
    Subject(Subject),
    /// A table of rules.
    Table(TableKey),
    /// All events of a family.
    Family(Family),
    /// The whole node.
    Node,
    /// Those the rule has no lines for.
    Others,
}

/// Who is affected, as far as the node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affects {
    /// Flows that retransmit because of it.
    pub flows: u64,
    /// What they sent again lately.
    pub retransmits: u64,
    /// New connections that were lost, delayed or led astray by it.
    pub connections: u64,
    /// Pods or, where there are none, containers or processes that have these flows, by name and in order; no more than
    /// [`AFFECTED_NAMES`](super::affects::AFFECTED_NAMES).
    pub owners: Vec<String>,
}

impl Affects {
    /// Whether nobody is known to be.
    pub fn is_nobody(&self) -> bool {
        *self == Self::default()
    }
}

/// What a finding is known by, from its first sight on.
pub type Key = (&'static str, About);

/// The same, of one that is at hand.
pub(super) type Name<'a> = (&'static str, &'a About);

/// Findings by what they are known by.
pub(super) fn named(findings: &[Finding]) -> FxHashMap<Name<'_>, &Finding> {
    findings.iter().map(|finding| (finding.name(), finding)).collect()
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule found it: words joined by hyphens, the same in every version.
    pub id: &'static str,
    /// What it is about: with the id it tells one finding from another.
    pub about: About,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub certainty: Certainty,
    /// What can be opened to read more of it.
    pub subject: Option<Subject>,
    /// Who it is about, by addresses.
    pub who: String,
    /// What is so, from the most important words on.
    pub what: String,
    /// Numbers and facts that show it, one a line, the most telling first.
    pub evidence: Vec<String>,
    /// Who is affected.
    pub affects: Affects,
    /// What to do about it on this node, one step a line: first what mends it, then what confirms it.
    pub advice: Vec<String>,
    /// From when to when it was seen; `None` where that is not known, or it is simply so.
    pub span: Option<Span>,
    /// Whether it goes on: its signs are there, or were there a moment ago. One that does not is past.
    pub is_open: bool,
    /// What it explains: findings of other rules that are there because of it, and stand below it.
    pub symptoms: Vec<Finding>,
}

impl Finding {
    /// One of a rule that says nothing beyond this yet.
    pub(crate) fn new(id: &'static str, about: About, severity: Severity, who: String, what: String) -> Self {
        Self {
            id,
            about,
            severity,
            certainty: Certainty::Certain,
            subject: None,
            who,
            what,
            evidence: Vec::new(),
            affects: Affects::default(),
            advice: Vec::new(),
            span: None,
            is_open: true,
            symptoms: Vec::new(),
        }
    }

    /// The same, and what it explains, once it is over.
    pub(super) fn over(&self) -> Self {
        let symptoms = self.symptoms.iter().map(Self::over).collect();
        Self { is_open: false, symptoms, ..self.clone() }
    }

    /// It as a line of its own.
    pub fn text(&self) -> String {
        let Self { severity, who, what, span, .. } = self;
        let seen = span
            .map(|Span { first, last }| format!(" ({} to {} UTC)", time_of_day(first), time_of_day(last)));
        format!("{} {who}: {what}{}", severity.names().0, seen.unwrap_or_default())
    }

    /// Its rule, who it is about and what is so.
    pub(crate) fn named(&self) -> String {
        format!("{} {}: {}", self.id, self.who, self.what)
    }

    /// The network namespace it is about, if it is about one.
    pub fn netns(&self) -> Option<Netns> {
        match &self.about {
            About::Table(table) => Some(table.netns),
            About::Subject(subject) => subject.netns(),
            About::Family(_) | About::Node | About::Others => self.subject.and_then(Subject::netns),
        }
    }

    /// What it is known by.
    pub fn key(&self) -> Key {
        (self.id, self.about.clone())
    }

    /// The same, without a copy.
    pub(super) fn name(&self) -> Name<'_> {
        (self.id, &self.about)
    }

    /// Whether it is that one.
    pub(crate) fn is(&self, id: &str, about: &About) -> bool {
        self.id == id && self.about == *about
    }
}

/// Whether something was no longer ago than that.
pub(super) fn is_within(now: Timestamp, then: Timestamp, seconds: u32) -> bool {
    now.boot_ns.saturating_sub(then.boot_ns) <= u64::from(seconds) * 1_000_000_000
}
