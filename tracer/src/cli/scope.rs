//! Options that say what to look at, of every command that has events.

use std::{collections::BTreeSet, str::FromStr, sync::Arc, time::Duration};

use clap::Args;

use tracer_common::hook::Way;

use super::{netns::NetnsChoice, thresholds::ThresholdArguments};
use crate::{
    filter::Filter,
    findings::Rules,
    probe::{Options, table::Family},
    state::{Limits, State},
};

/// What to look at, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(super) struct Scope {
    /// Only these families: retransmit, neighbour, conntrack, ipvs, path, ruleset.
    #[arg(long, value_name = "FAMILY,…", value_delimiter = ',')]
    only: Vec<OnlyFamily>,
    /// One network namespace, by name (ip netns), path or inode number; or all, which is the default.
    #[arg(long, value_name = "all|NAME|PATH|INODE")]
    netns: Option<NetnsChoice>,
    /// End by itself after this long, counted from when everything is attached: 30s, 5m, 1h.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Do not attach by these ways, even where they hold: for trying the ones behind them.
    #[arg(long, value_name = "WAY,…", value_delimiter = ',', hide = true)]
    avoid: Vec<AvoidedWay>,
    #[command(flatten)]
    thresholds: ThresholdArguments,
}

impl Scope {
    /// What to attach. Fails if there is no such network namespace.
    pub(super) fn options(&self) -> anyhow::Result<Options> {
        let families = self.families();
        let defaults = Options::default();
        Ok(Options {
            families: if families.is_empty() { defaults.families.clone() } else { families },
            only_netns: self.netns()?,
            avoided: self.avoid.iter().map(|avoided| avoided.0).collect(),
            ..defaults
        })
    }

    /// The rules that judge events.
    pub(super) fn rules(&self) -> anyhow::Result<Arc<Rules>> {
        self.thresholds.rules()
    }

    /// The state in which events are judged: one for each run of a command.
    pub(super) fn state(&self) -> anyhow::Result<State> {
        Ok(State::new(Limits::default()).judged_by(self.rules()?))
    }

    /// How long, from when everything is attached.
    pub(super) fn duration(&self) -> Option<Duration> {
        self.duration
    }

    fn families(&self) -> BTreeSet<Family> {
        self.only.iter().map(|only| only.0).collect()
    }

    /// The inode of the one network namespace to look at.
    fn netns(&self) -> anyhow::Result<Option<u32>> {
        self.netns.as_ref().map_or(Ok(None), NetnsChoice::inode)
    }

    /// This, and from `before` what this leaves open.
    fn over(self, before: Self) -> Self {
        Self {
            only: if self.only.is_empty() { before.only } else { self.only },
            netns: self.netns.or(before.netns),
            duration: self.duration.or(before.duration),
            avoid: if self.avoid.is_empty() { before.avoid } else { self.avoid },
            thresholds: self.thresholds.over(before.thresholds),
        }
    }
}

/// What to look at, and what of it to show.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(super) struct View {
    #[command(flatten)]
    pub(super) scope: Scope,
    /// Show only what meets this: 'host 10.0.0.5 and port 80 and kind syn-ack'.
    #[arg(long, value_name = "EXPRESSION")]
    pub(super) filter: Option<Filter>,
}

impl View {
    /// This, and from `before` what this leaves open.
    pub(super) fn over(self, before: Self) -> Self {
        Self { scope: self.scope.over(before.scope), filter: self.filter.or(before.filter) }
    }

    /// What to show of a session, which holds more than the scope asks for. Fails if there is no such network
    /// namespace.
    pub(super) fn for_session(&self) -> anyhow::Result<Option<Filter>> {
        let parts = [
            Filter::families(self.scope.families()),
            self.scope.netns.as_ref().map_or(Ok(None), NetnsChoice::filter)?,
            self.filter.clone(),
        ];
        Ok(parts.into_iter().flatten().reduce(Filter::and))
    }
}

/// A family that can be chosen: all but owners, which belong to retransmits.
#[derive(Clone, Copy, Debug, PartialEq)]
struct OnlyFamily(Family);

impl FromStr for OnlyFamily {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let chosen = Family::ALL.into_iter().filter(|&family| family != Family::Owner);
        let names: Vec<&str> = chosen.clone().map(Family::name).collect();
        chosen
            .into_iter()
            .find(|family| family.name() == text)
            .map(Self)
            .ok_or_else(|| format!("no such family; there are {}", names.join(", ")))
    }
}

/// A way of attaching.
#[derive(Clone, Copy, Debug, PartialEq)]
struct AvoidedWay(Way);

impl FromStr for AvoidedWay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Way::ALL
            .into_iter()
            .find(|way| way.name() == text)
            .map(Self)
            .ok_or_else(|| format!("no such way; there are {}", Way::ALL.map(Way::name).join(", ")))
    }
}

/// A number and a unit, `s` if there is none.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|character: char| character.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 =
        number.parse().map_err(|_| "a time is a whole number and a unit, as in 30s".to_owned())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs).ok_or_else(too_long),
        "h" => number.checked_mul(3600).map(Duration::from_secs).ok_or_else(too_long),
        _ => Err(format!("no such unit as {unit:?}; there are ms, s, m and h")),
    }
}

fn too_long() -> String {
    "longer than can be counted".to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;

    #[test]
    fn times_have_units() {
        for (text, expected) in
            [("30s", 30_000), ("1500ms", 1_500), ("2m", 120_000), ("1h", 3_600_000), ("7", 7_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(expected)), "{text}");
        }
        for text in ["", "s", "-1s", "1d", "1.5s", "99999999999999999999s", "18446744073709551615h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
