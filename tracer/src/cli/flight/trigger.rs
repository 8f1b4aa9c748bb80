//! What makes a flight recorder write.

use std::str::FromStr;

use crate::findings::{IDS, watch::Wanted};

/// One of them, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    /// A finding that opens and is a warning or worse.
    Finding,
    /// A finding of that rule.
    FindingOf(String),
    /// SIGUSR1.
    Signal,
    /// A key on the terminal.
    Key,
}

impl FromStr for Trigger {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("finding:")) {
            ("finding", _) => Ok(Self::Finding),
            ("signal", _) => Ok(Self::Signal),
            ("key", _) => Ok(Self::Key),
            (_, Some(id)) if IDS.contains(&id) => Ok(Self::FindingOf(id.to_owned())),
            (_, Some(_)) => Err(format!("no rule has that id; there are {}", IDS.join(", "))),
            _ => Err("a trigger is finding, finding:ID, signal or key".to_owned()),
        }
    }
}

/// All that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Triggers {
    /// The findings that are waited for, if any are.
    pub(super) finding: Option<Wanted>,
    /// Whether SIGUSR1 counts.
    pub(super) signal: bool,
    /// Whether a key counts.
    pub(super) key: bool,
}

impl Triggers {
    /// Those asked for; all there are if none is.
    pub(super) fn new(asked: &[Trigger]) -> Self {
        if asked.is_empty() {
            return Self { finding: Some(Wanted::Trouble), signal: true, key: true };
        }
        let ids: Vec<String> = asked
            .iter()
            .filter_map(|trigger| match trigger {
                Trigger::FindingOf(id) => Some(id.clone()),
                _ => None,
            })
            .collect();
        // Every finding that is bad enough, and beside it those of some rules however bad they are.
        let finding = match (asked.contains(&Trigger::Finding), ids.is_empty()) {
            (false, true) => None,
            (true, true) => Some(Wanted::Trouble),
            (false, false) => Some(Wanted::Ids(ids)),
            (true, false) => Some(Wanted::TroubleAndIds(ids)),
        };
        let (signal, key) = (asked.contains(&Trigger::Signal), asked.contains(&Trigger::Key));
        Self { finding, signal, key }
    }

    /// In words. A key counts only where there is a terminal to press it on.
    pub(super) fn names(&self, has_keyboard: bool, key: char) -> String {
        let mut names = Vec::new();
        names.extend(self.finding.as_ref().map(|wanted| match wanted {
            Wanted::Trouble => "finding".to_owned(),
            Wanted::Ids(ids) => ids.join(", "),
            Wanted::TroubleAndIds(ids) => format!("finding, {}", ids.join(", ")),
        }));
        names.extend(self.signal.then(|| "SIGUSR1".to_owned()));
        names.extend((self.key && has_keyboard).then(|| format!("key {key}")));
        if names.is_empty() {
            "nothing: there is no terminal for the key".to_owned()
        } else {
            names.join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Trigger, Triggers};
    use crate::findings::watch::Wanted;

    fn triggers(text: &str) -> Triggers {
        let asked: Vec<Trigger> =
            text.split(',').filter(|word| !word.is_empty()).map(|word| word.parse().unwrap()).collect();
        Triggers::new(&asked)
    }

    #[test]
    fn triggers_are_what_was_asked_for_and_all_if_nothing_was() {
        for (text, finding, signal, key, names) in [
            ("", Some(Wanted::Trouble), true, true, "finding, SIGUSR1, key f"),
            ("signal", None, true, false, "SIGUSR1"),
            ("key", None, false, true, "key f"),
            ("finding", Some(Wanted::Trouble), false, false, "finding"),
            (
                "finding:ruleset-bloat,finding:routing-loop",
                Some(Wanted::Ids(vec!["ruleset-bloat".to_owned(), "routing-loop".to_owned()])),
                false,
                false,
                "ruleset-bloat, routing-loop",
            ),
            (
                "finding,finding:family-unseen,key",
                Some(Wanted::TroubleAndIds(vec!["family-unseen".to_owned()])),
                false,
                true,
                "finding, family-unseen, key f",
            ),
        ] {
            let triggers = triggers(text);
            assert_eq!(triggers, Triggers { finding, signal, key }, "{text}");
            assert_eq!(triggers.names(true, 'f'), names, "{text}");
        }
        assert_eq!(triggers("key").names(false, 'f'), "nothing: there is no terminal for the key");
        for wrong in ["", "keys", "finding:", "finding:nothing", "Signal"] {
            assert!(wrong.parse::<Trigger>().is_err(), "{wrong}");
        }
    }
}
