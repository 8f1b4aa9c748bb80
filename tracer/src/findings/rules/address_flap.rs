//! An address keeps moving between hardware addresses.

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use super::{MOST_OF_A_RULE, Rule, View, tell_left_out};
use crate::{
    findings::{
        About, Finding, Severity,
        behind::{Behind, NextHop, behind},
        own,
    },
    state::{Move, Neighbour, NeighbourKey, SIGNS, Span, Subject},
    words::{duration, exact, time_of_day_milliseconds},
};

/// An address keeps moving between hardware addresses, and the kernel follows.
///
/// An address that goes to another host and comes back, once, moves twice; one that is given to one host after the other
/// never comes back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AddressFlap {
    /// Moves within the window from which on it is one; at most 16.
    pub moves: u32,
    /// Of these, back to a hardware address that had it within the window.
    pub back: u32,
    /// The window, in seconds.
    pub window_seconds: u32,
    /// Seconds without a move after which it is over.
    pub quiet_seconds: u32,
}

impl Default for AddressFlap {
    fn default() -> Self {
        Self { moves: 4, back: 2, window_seconds: 15, quiet_seconds: 20 }
    }
}

impl Rule for AddressFlap {
    const ID: &'static str = "address-flap";

    fn look(&self, view: &View<'_>, found: &mut Vec<Finding>) {
        let mut flapping: Vec<_> = view
            .state
            .neighbours
            .iter()
            .filter(|(_, neighbour)| !neighbour.contest.moves.is_empty())
            .filter_map(|(key, neighbour)| Some((key, neighbour, self.moves(view, key, neighbour)?)))
            .collect();
        flapping.sort_unstable_by_key(|(key, _, moves)| (std::cmp::Reverse(moves.len()), **key));
        let wanted: FxHashSet<NextHop> = flapping.iter().map(|(key, ..)| (key.netns, key.address)).collect();
        let mut suffering: FxHashMap<NextHop, Behind> = behind(view, &wanted);
        let all = flapping.len();
        found.extend(flapping.into_iter().take(MOST_OF_A_RULE).map(|(key, neighbour, moves)| {
            let behind = suffering.remove(&(key.netns, key.address)).unwrap_or_default();
            finding(view, (key, neighbour), &moves, behind)
        }));
        tell_left_out(found, Self::ID, all, Severity::Warning, ("addresses", "that keep moving"));
    }
}

impl AddressFlap {
    /// The last moves, if they are what the rule means.
    fn moves<'a>(
        &self,
        view: &View<'_>,
        key: &NeighbourKey,
        neighbour: &'a Neighbour,
    ) -> Option<Vec<&'a Move>> {
        let moves = &neighbour.contest.moves;
        let last = moves.back().filter(|last| view.is_within(last.time, self.quiet_seconds))?;
        let window_ns = u64::from(self.window_seconds) * 1_000_000_000;
        let near: Vec<&Move> = moves
            .iter()
            .filter(|one| last.time.boot_ns.saturating_sub(one.time.boot_ns) <= window_ns)
            .collect();
        let is_back =
            |&(place, one): &(usize, &&Move)| near[..place].iter().any(|before| before.from == one.to);
        let back = near.iter().enumerate().filter(is_back).count();
        let is_one = near.len() >= (self.moves as usize).min(SIGNS) && back >= self.back as usize;
        let stays = || view.was_open(Self::ID, &About::Subject(Subject::Neighbour(*key)));
        (is_one || stays()).then_some(near)
    }
}

fn finding(
    view: &View<'_>,
    (key, neighbour): (&NeighbourKey, &Neighbour),
    moves: &[&Move],
    behind: Behind,
) -> Finding {
    let words = |hardware| own::hardware_words(view.state, key.netns, hardware);
    let span =
        moves.first().zip(moves.last()).map(|(first, last)| Span { first: first.time, last: last.time });
    let mut holders = Vec::new();
    for holder in moves.iter().flat_map(|one| [one.from, one.to]) {
        if !holders.contains(&holder) {
            holders.push(holder);
        }
    }
    let names: Vec<String> = holders.iter().map(ToString::to_string).collect();
    let lasted_ns = span.map_or(0, |Span { first, last }| last.boot_ns.saturating_sub(first.boot_ns));
    let mut evidence: Vec<String> = moves
        .iter()
        .rev()
        .take(4)
        .map(|one| {
            format!("{}: from {} to {}", time_of_day_milliseconds(one.time), words(one.from), words(one.to))
        })
        .collect();
    evidence.extend(behind.evidence());
    let address = key.address;
    let device = &neighbour.device;
    let severity = if behind.unanswered > 0 { Severity::Critical } else { Severity::Warning };
    Finding {
        subject: Some(Subject::Neighbour(*key)),
        evidence,
        affects: behind.affects,
        advice: vec![
            format!(
                "see on the hosts with these MACs why each takes {address}: a VRRP group whose members do not hear each \
                 other (`journalctl -u keepalived`), a bond or a link that goes up and down, or two hosts configured \
                 with the same address"
            ),
            format!("confirm: `ip monitor neigh dev {device}` shows {address} with one MAC only"),
        ],
        span,
        ..Finding::new(
            AddressFlap::ID,
            About::Subject(Subject::Neighbour(*key)),
            severity,
            format!("{address} on {device}"),
            format!(
                "keeps moving: {} moves in {} between {}",
                exact(moves.len() as u64),
                duration(lasted_ns),
                names.join(", ")
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::AddressFlap;
    use crate::{
        event::{Body, ClaimOperation, Direction, Verdict},
        findings::{Severity, rules::Rule},
        state::fixture::{
            mac,
            wire::{claimed, looking, open, proposed, told},
        },
    };

    const ID: &str = AddressFlap::ID;

    /// Moves of an address, each with the number of the host that takes it over, from host 10 on.
    fn moves(address: &str, times: &[(u64, u8)]) -> Vec<(u64, Body)> {
        let mut before = 10;
        let mut events = Vec::new();
        for &(time, to) in times {
            events.push((time, proposed(address, Verdict::Changed, (mac(to), Some(mac(before))), false)));
            before = to;
        }
        events
    }

    #[test]
    fn an_address_that_goes_to_and_fro_is_one_until_it_rests() {
        for address in ["10.0.0.9", "fd00::9"] {
            let times: Vec<(u64, u8)> =
                (0..6).map(|turn| (5_000 + turn * 2_000, if turn % 2 == 0 { 11 } else { 10 })).collect();
            let events = moves(address, &times);
            let state = looking(events.clone(), 60_000);
            assert_eq!(told(&state, ID), [(11_000, "open"), (36_000, "closed")], "{address}");
            let state = looking(events, 16_000);
            let finding = open(&state, ID).unwrap();
            assert_eq!(finding.severity, Severity::Warning);
            assert_eq!(
                finding.what,
                "keeps moving: 6 moves in 10s between 02:42:ac:11:00:0a, 02:42:ac:11:00:0b"
            );
            assert!(finding.evidence[0].ends_with("from 02:42:ac:11:00:0b to 02:42:ac:11:00:0a"));
            assert!(finding.advice[0].contains("keepalived"));
        }
    }

    /// Where the kernel keeps no entry, as of an address that nobody here dials, it follows nobody.
    #[test]
    fn announcements_by_turns_are_moves_once_each() {
        let turns = (0..6_u64).map(|turn| (5_000 + turn * 2_000, if turn % 2 == 0 { 11 } else { 10 }));
        let heard = |(time, from): (u64, u8)| {
            (time, claimed("10.0.0.9", mac(from), Direction::In, ClaimOperation::Gratuitous))
        };
        let state = looking(turns.clone().map(heard), 60_000);
        assert_eq!(told(&state, ID), [(13_000, "open"), (36_000, "closed")]);
        let learned = proposed("10.0.0.9", Verdict::Learned, (mac(10), None), true);
        let mut followed = vec![(1_000, learned)];
        followed.extend(turns.clone().map(heard));
        followed.extend(moves("10.0.0.9", &turns.collect::<Vec<_>>()));
        let finding = looking(followed, 16_000);
        let finding = open(&finding, ID).unwrap();
        assert!(finding.what.starts_with("keeps moving: 6 moves in 10s"), "{}", finding.what);
    }

    #[test]
    fn an_address_that_comes_back_once_or_goes_on_and_on_is_none() {
        for (name, times) in [
            ("there and back", vec![(5_000, 11), (15_000, 10)]),
            ("twice, slowly", vec![(5_000, 11), (15_000, 10), (25_000, 11), (35_000, 10)]),
            ("from one to the next", vec![(5_000, 11), (7_000, 12), (9_000, 13), (11_000, 14), (13_000, 15)]),
        ] {
            assert_eq!(told(&looking(moves("10.0.0.9", &times), 60_000), ID), [], "{name}");
        }
    }

    /// In IPv6 each of several owners that answer one question takes the place of the one before.
    #[test]
    fn several_answers_to_one_question_are_no_moves() {
        let mut events = Vec::new();
        for question in 0..6 {
            let time = 5_000 + question * 500;
            let answer = |verdict, from, previous: Option<u8>| {
                proposed("fd00::9", verdict, (mac(from), previous.map(mac)), true)
            };
            events.push((time, answer(Verdict::Learned, 10, None)));
            events.push((time + 1, answer(Verdict::Changed, 11, Some(10))));
            events.push((time + 2, answer(Verdict::Changed, 12, Some(11))));
        }
        let state = looking(events, 20_000);
        assert!(told(&state, ID).is_empty());
        assert_eq!(
            open(&state, "duplicate-address").unwrap().what.split(':').next(),
            Some("3 MACs answer for it")
        );
    }
}
