//! What may come next in a filter that is being typed.

use std::ops::Range;

use tracer_common::record::RecordKind;

use super::{
    lexer::{self, Token, TokenKind},
    syntax, words,
};
use crate::event::{ConntrackEvent, IpvsDecision, RetransmitKind, Verdict};

/// Words that may stand where a text is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The word they would replace, in bytes of the text; empty where none has begun.
    pub span: Range<usize>,
    /// The words, each whole.
    pub words: Vec<String>,
}

/// Something a condition names that the language does not list: what there is to name is known from the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Named {
    /// An address.
    Address,
    /// A port.
    Port,
    /// A network namespace.
    NetworkNamespace,
    /// A node.
    Node,
    /// A process.
    Process,
    /// A container.
    Container,
    /// A pod.
    Pod,
    /// A network device.
    Device,
    /// A hardware address.
    HardwareAddress,
}

/// What has to come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Condition,
    /// After `src` or `dst`.
    End,
    Argument(Argument),
    /// After a condition.
    Joint,
}

/// What follows the word of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Argument {
    Named(Named),
    RetransmitKind,
    Family,
    Verdict,
    Decision,
    ConntrackEvent,
    State,
    /// Anything, of which there is nothing to list.
    Free,
}

const ENDS: [(&str, Argument); 3] = [
    ("host", Argument::Named(Named::Address)),
    ("net", Argument::Free),
    ("port", Argument::Named(Named::Port)),
];

/// Words of conditions and what follows them, in the order they are offered. Types of events follow in any case.
const CONDITIONS: [(&str, Argument); 14] = [
    ("kind", Argument::RetransmitKind),
    ("family", Argument::Family),
    ("netns", Argument::Named(Named::NetworkNamespace)),
    ("node", Argument::Named(Named::Node)),
    ("process", Argument::Named(Named::Process)),
    ("container", Argument::Named(Named::Container)),
    ("pod", Argument::Named(Named::Pod)),
    ("dev", Argument::Named(Named::Device)),
    ("mac", Argument::Named(Named::HardwareAddress)),
    ("verdict", Argument::Verdict),
    ("decision", Argument::Decision),
    ("event", Argument::ConntrackEvent),
    ("state", Argument::State),
    ("weight", Argument::Free),
];

/// What may stand at the end of `text`, which is what was typed up to the cursor. `known` lists what there is to name.
/// Nothing is offered where the text before cannot be read.
pub fn complete(text: &str, known: impl Fn(Named) -> Vec<String>) -> Completion {
    let nothing = Completion { span: text.len()..text.len(), words: Vec::new() };
    let Ok(mut tokens) = lexer::tokens(text) else { return nothing };
    let begun =
        tokens.pop_if(|token| token.span.end == text.len() && matches!(token.kind, TokenKind::Word(_)));
    let span = begun.map_or(nothing.span.clone(), |token| token.span);
    let Some(next) = tokens.iter().try_fold(Next::Condition, Next::after) else { return nothing };
    let prefix = text.get(span.clone()).unwrap_or_default().to_lowercase();
    let mut words = next.words(known);
    words.retain(|word| word.to_lowercase().starts_with(&prefix));
    Completion { span, words }
}

impl Next {
    /// What comes after a token; `None` if the token cannot stand there.
    fn after(self, token: &Token) -> Option<Self> {
        let word = match &token.kind {
            TokenKind::Word(word) => word.to_lowercase(),
            TokenKind::Quoted(_) => return matches!(self, Self::Argument(_)).then_some(Self::Joint),
            TokenKind::Open => return (self == Self::Condition).then_some(Self::Condition),
            TokenKind::Close => return (self == Self::Joint).then_some(Self::Joint),
            TokenKind::Less => return (self == Self::Argument(Argument::Free)).then_some(self),
        };
        let argument = |all: &[(&str, Argument)]| {
            all.iter().find(|&&(known, _)| known == word).map(|&(_, argument)| Self::Argument(argument))
        };
        match self {
            Self::Argument(_) => Some(Self::Joint),
            Self::Joint => matches!(word.as_str(), "and" | "or").then_some(Self::Condition),
            Self::End => argument(&ENDS),
            Self::Condition => match word.as_str() {
                "not" => Some(Self::Condition),
                "src" | "dst" => Some(Self::End),
                "failed" => Some(Self::Joint),
                _ => argument(&ENDS)
                    .or_else(|| argument(&CONDITIONS))
                    .or_else(|| words::kind(&word).map(|_| Self::Joint)),
            },
        }
    }

    fn words(self, known: impl Fn(Named) -> Vec<String>) -> Vec<String> {
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let ends = || ENDS.iter().map(|&(word, _)| word.to_owned());
        match self {
            Self::Joint => owned(&["and", "or"]),
            Self::End => ends().collect(),
            Self::Condition => ends()
                .chain(owned(&["src", "dst"]))
                .chain(CONDITIONS.iter().map(|&(word, _)| word.to_owned()))
                .chain(owned(&["failed", "not"]))
                .chain(types().map(|kind| kind.name().to_owned()))
                .collect(),
            Self::Argument(argument) => match argument {
                Argument::Named(named) => known(named).iter().map(|name| syntax::quoted(name)).collect(),
                Argument::RetransmitKind => RetransmitKind::ALL.map(|kind| kind.name().to_owned()).into(),
                Argument::Family => words::FAMILIES.map(|family| family.to_string()).into(),
                Argument::Verdict => Verdict::ALL.map(|verdict| verdict.name().to_owned()).into(),
                Argument::Decision => IpvsDecision::ALL.map(|decision| decision.name().to_owned()).into(),
                Argument::ConntrackEvent => ConntrackEvent::ALL.map(|event| event.name().to_owned()).into(),
                Argument::State => words::STATES.map(|state| state.to_lowercase().replace('_', "-")).into(),
                Argument::Free => Vec::new(),
            },
        }
    }
}

/// Types of events a filter can ask for.
fn types() -> impl Iterator<Item = RecordKind> {
    RecordKind::ALL.into_iter().filter(|&kind| words::family_of(kind).is_some())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Named, complete};
    use crate::filter::{parse, parser};

    fn known(named: Named) -> Vec<String> {
        let all: &[&str] = match named {
            Named::Address => &["10.0.0.5", "10.0.0.50", "fd00::5"],
            Named::Port => &["80", "8080"],
            Named::NetworkNamespace => &["4026531840"],
            Named::Node => &["node-a"],
            Named::Process => &["nginx", "my app"],
            Named::Container => &["web"],
            Named::Pod => &["shop/web-1"],
            Named::Device => &["eth0", "cali1234"],
            Named::HardwareAddress => &["02:00:00:00:00:01"],
        };
        all.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn words_are_offered_where_they_may_stand() {
        for (text, span, words) in [
            ("ho", 0..2, &["host"][..]),
            ("not (SR", 5..7, &["src"]),
            ("src ", 4..4, &["host", "net", "port"]),
            ("src p", 4..5, &["port"]),
            ("host 10", 5..7, &["10.0.0.5", "10.0.0.50"]),
            ("dst port 8", 9..10, &["80", "8080"]),
            ("kind s", 5..6, &["syn", "syn-ack", "slow-start"]),
            ("kind syn", 5..8, &["syn", "syn-ack"]),
            ("kind syn ", 9..9, &["and", "or"]),
            ("failed", 0..6, &["failed"]),
            ("failed ", 7..7, &["and", "or"]),
            ("(ipvs) a", 7..8, &["and"]),
            ("weight < 5 ", 11..11, &["and", "or"]),
            ("state syn-", 6..10, &["syn-recv", "syn-sent", "syn-sent2"]),
            ("process ", 8..8, &["nginx", "\"my app\""]),
            ("process \"my app\" or dev", 20..23, &["dev"]),
            ("process \"my", 11..11, &[]),
            ("weight ", 7..7, &[]),
            ("kind ( ", 7..7, &[]),
            ("host 1 host ", 12..12, &[]),
            ("80 ", 3..3, &[]),
        ] {
            let completion = complete(text, known);
            assert_eq!(
                (completion.span, completion.words.as_slice()),
                (span, &words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>()[..]),
                "{text}"
            );
        }
    }

    #[test]
    fn every_word_of_the_language_is_offered() {
        let offered = complete("", known).words;
        for word in parser::condition_words() {
            assert!(offered.iter().any(|offered| offered == word), "{word}");
        }
        for word in &offered {
            let error = parse(&format!("{word} ")).err();
            let is_known = error.is_none_or(|error| error.span().start >= word.len());
            assert!(is_known, "{word}");
        }
    }

    proptest! {
        #[test]
        fn whoever_takes_what_is_offered_gets_a_filter(choices in prop::collection::vec(any::<prop::sample::Index>(), 1..30)) {
            let mut text = String::new();
            for choice in choices {
                let words = complete(&text, known).words;
                if words.is_empty() {
                    // What cannot be listed: a prefix after `net`, or a weight.
                    text.push_str(if text.ends_with("net ") { "10.0.0.0/8 " } else { "<7 " });
                } else {
                    text.push_str(&words[choice.index(words.len())]);
                    text.push(' ');
                }
                match parse(&text) {
                    Ok(_) => prop_assert_eq!(complete(&text, known).words, ["and", "or"]),
                    // It is only not finished.
                    Err(error) => prop_assert!(
                        error.span().start == text.trim_end().len() || error.message().contains("deep"),
                        "{}", error
                    ),
                }
            }
        }
    }
}
