//! What makes a flight recorder write.

use std::str::FromStr;

use crate::findings::watch::{Awaited, Wanted};

/// One of them, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    /// A finding that opens.
    Finding(Awaited),
    /// SIGUSR1.
    Signal,
    /// A key on the terminal.
    Key,
}

impl FromStr for Trigger {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "signal" => Ok(Self::Signal),
            "key" => Ok(Self::Key),
            _ if text.starts_with("finding") => text.parse().map(Self::Finding),
            _ => Err("a trigger is finding, finding:ID, signal or key".to_owned()),
        }
    }
}

/// All that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Triggers {
    /// The findings that are waited for.
    pub(super) finding: Wanted,
    /// Whether SIGUSR1 counts.
    pub(super) signal: bool,
    /// Whether a key counts.
    pub(super) key: bool,
}

impl Triggers {
    /// Those asked for; all there are if none is.
    pub(super) fn new(asked: &[Trigger]) -> Self {
        if asked.is_empty() {
            return Self { finding: Wanted(vec![Awaited::Trouble]), signal: true, key: true };
        }
        let finding = asked.iter().filter_map(|trigger| match trigger {
            Trigger::Finding(awaited) => Some(awaited.clone()),
            _ => None,
        });
        let finding = Wanted(finding.collect());
        let (signal, key) = (asked.contains(&Trigger::Signal), asked.contains(&Trigger::Key));
        Self { finding, signal, key }
    }

    /// In words. A key counts only where there is a terminal to press it on.
    pub(super) fn names(&self, has_keyboard: bool, key: char) -> String {
        let mut names = Vec::new();
        names.extend(Some(self.finding.names()).filter(|names| !names.is_empty()));
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
    use crate::findings::watch::{Awaited, Wanted};

    fn triggers(text: &str) -> Triggers {
        let asked: Vec<Trigger> =
            text.split(',').filter(|word| !word.is_empty()).map(|word| word.parse().unwrap()).collect();
        Triggers::new(&asked)
    }

    fn wanted(ids: &[&str]) -> Wanted {
        let awaited = |id: &&str| match *id {
            "" => Awaited::Trouble,
            id => Awaited::Rule(id.to_owned()),
        };
        Wanted(ids.iter().map(awaited).collect())
    }

    #[test]
    fn triggers_are_what_was_asked_for_and_all_if_nothing_was() {
        for (text, finding, signal, key, names) in [
            ("", wanted(&[""]), true, true, "finding, SIGUSR1, key f"),
            ("signal", wanted(&[]), true, false, "SIGUSR1"),
            ("key", wanted(&[]), false, true, "key f"),
            ("finding", wanted(&[""]), false, false, "finding"),
            (
                "finding:ruleset-bloat,finding:routing-loop",
                wanted(&["ruleset-bloat", "routing-loop"]),
                false,
                false,
                "ruleset-bloat, routing-loop",
            ),
            (
                "finding,finding:path-outage,key",
                wanted(&["", "path-outage"]),
                false,
                true,
                "finding, path-outage, key f",
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
