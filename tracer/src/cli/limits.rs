//! Options that say how much the screens remember.

use std::num::NonZeroU32;

use clap::Args;

use crate::state::Limits;

/// How much is kept at most; what is not said stays as it is by default. What a full table gives up for something newer
/// is counted and shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "How much is remembered; what is forgotten for newer things is counted")]
#[expect(clippy::struct_field_names, reason = "they are the names of the options")]
pub(super) struct LimitArguments {
    /// Flows that retransmit, and owners of sockets [default: 100000].
    #[arg(long, value_name = "NUMBER")]
    max_flows: Option<NonZeroU32>,
    /// Neighbours [default: 16384].
    #[arg(long, value_name = "NUMBER")]
    max_neighbours: Option<NonZeroU32>,
    /// Conntrack entries decided about [default: 50000].
    #[arg(long, value_name = "NUMBER")]
    max_conntrack_entries: Option<NonZeroU32>,
    /// Virtual services of IPVS [default: 10000].
    #[arg(long, value_name = "NUMBER")]
    max_services: Option<NonZeroU32>,
    /// Real servers of all virtual services [default: 50000].
    #[arg(long, value_name = "NUMBER")]
    max_reals: Option<NonZeroU32>,
    /// Peers whose route was looked up [default: 20000].
    #[arg(long, value_name = "NUMBER")]
    max_peers: Option<NonZeroU32>,
    /// Events of the timeline [default: 16384].
    #[arg(long, value_name = "NUMBER")]
    max_events: Option<NonZeroU32>,
}

impl LimitArguments {
    /// The limits they ask for.
    pub(super) fn limits(&self) -> Limits {
        let defaults = Limits::default();
        let or = |asked: Option<NonZeroU32>, default| asked.map_or(default, |number| number.get() as usize);
        Limits {
            flows: or(self.max_flows, defaults.flows),
            owners: or(self.max_flows, defaults.owners),
            neighbours: or(self.max_neighbours, defaults.neighbours),
            conntrack_entries: or(self.max_conntrack_entries, defaults.conntrack_entries),
            services: or(self.max_services, defaults.services),
            reals: or(self.max_reals, defaults.reals),
            peers: or(self.max_peers, defaults.peers),
            timeline: or(self.max_events, defaults.timeline),
            ..defaults
        }
    }

    /// These, and from `before` what these leave open.
    pub(super) fn over(self, before: Self) -> Self {
        Self {
            max_flows: self.max_flows.or(before.max_flows),
            max_neighbours: self.max_neighbours.or(before.max_neighbours),
            max_conntrack_entries: self.max_conntrack_entries.or(before.max_conntrack_entries),
            max_services: self.max_services.or(before.max_services),
            max_reals: self.max_reals.or(before.max_reals),
            max_peers: self.max_peers.or(before.max_peers),
            max_events: self.max_events.or(before.max_events),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches as _};

    use super::LimitArguments;
    use crate::state::Limits;

    fn command() -> Command {
        LimitArguments::augment_args(Command::new("tracer"))
    }

    fn parsed(arguments: &[&str]) -> LimitArguments {
        let arguments = [&["tracer"], arguments].concat();
        LimitArguments::from_arg_matches(&command().get_matches_from(arguments)).unwrap()
    }

    #[test]
    fn what_is_asked_for_is_the_limit_and_the_rest_is_default() {
        let asked = ["--max-flows", "5", "--max-neighbours", "6", "--max-conntrack-entries", "7"];
        let more = ["--max-services", "8", "--max-reals", "9", "--max-peers", "10", "--max-events", "11"];
        let expected = Limits {
            flows: 5,
            owners: 5,
            neighbours: 6,
            conntrack_entries: 7,
            services: 8,
            reals: 9,
            peers: 10,
            timeline: 11,
            ..Limits::default()
        };
        assert_eq!(parsed(&[&asked[..], &more[..]].concat()).limits(), expected);
        assert_eq!(parsed(&more).over(parsed(&asked)).limits(), expected);
        assert_eq!(parsed(&[]).limits(), Limits::default());
        for wrong in ["0", "-1", "many", "4294967296"] {
            assert!(command().try_get_matches_from(["tracer", "--max-flows", wrong]).is_err(), "{wrong}");
        }
    }

    /// The help says the defaults in words, which a change of them would make wrong.
    #[test]
    fn the_help_tells_the_defaults() {
        let Limits { flows, neighbours, conntrack_entries, services, reals, peers, timeline, .. } =
            Limits::default();
        let told: Vec<String> = command()
            .get_arguments()
            .filter_map(|argument| {
                let help = argument.get_help()?.to_string();
                Some(help.split_once("[default: ")?.1.trim_end_matches(']').to_owned())
            })
            .collect();
        let kept = [flows, neighbours, conntrack_entries, services, reals, peers, timeline];
        assert_eq!(told, kept.map(|limit| limit.to_string()));
    }
}
