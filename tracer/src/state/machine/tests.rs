//! Prologues of session files, as the state takes them.

use std::sync::Arc;

use crate::{
    event::{
        Body, Clock, ClockChange, Event, Facts, Netns, RetransmitKind, SessionId, SessionPart, Text, Verdict,
    },
    state::{
        State,
        fixture::{at, event, mac, proposal, retransmit},
    },
};

fn session(milliseconds: u64, node: u16, is_under_way: bool) -> Event {
    let part = SessionPart { id: SessionId([7; 16]), part: 1, is_under_way };
    Event { netns: Netns { node, inode: 0 }, ..event(milliseconds, Body::Session(part)) }
}

fn begin(milliseconds: u64, node: u16) -> Event {
    Event { netns: Netns { node, inode: 0 }, ..event(milliseconds, Body::SessionBegin) }
}

fn marker(milliseconds: u64) -> Event {
    event(milliseconds, Body::Marker(Text::new("x")))
}

fn counts(state: &State) -> (usize, usize, usize, u64) {
    let (timeline, markers) = (state.timeline.events().len(), state.markers.iter().count());
    (timeline, markers, state.chronicle.iter().count(), state.events())
}

#[test]
fn what_was_known_before_is_known_and_did_not_happen() {
    let mut state = State::default();
    let learned = proposal("10.0.0.2", Verdict::Changed, Some(mac(1)), Some(mac(2)));
    for event in [session(5_000, 0, true), marker(1_000), event(2_000, learned)] {
        state.apply(&event);
    }
    assert_eq!((counts(&state), state.began().boot_ns), ((0, 0, 0, 0), 0));
    assert_eq!(state.neighbours.len(), 1);
    state.apply(&begin(5_000, 0));
    assert_eq!((state.began(), state.now()), (at(5_000), at(5_000)));
    // The kernel side may have written it a moment before the recording began.
    state.apply(&marker(4_999));
    state.apply(&event(6_000, Body::Retransmit(retransmit(RetransmitKind::Syn, "10.0.0.1:1", "10.0.0.2:2"))));
    assert_eq!((counts(&state), state.began()), ((2, 1, 1, 2), at(5_000)));
}

#[test]
fn a_session_from_the_beginning_begins_with_its_first_record() {
    let mut live = State::default();
    let mut replayed = State::default();
    for event in [session(500, 0, false), begin(500, 0)] {
        replayed.apply(&event);
    }
    for event in [marker(1_000), marker(2_000)] {
        live.apply(&event);
        replayed.apply(&event);
    }
    assert_eq!(
        (replayed.began(), replayed.now(), counts(&replayed)),
        (live.began(), live.now(), counts(&live))
    );
}

#[test]
fn a_prologue_whose_end_is_lost_ends_with_what_is_later() {
    let mut state = State::default();
    for event in [session(5_000, 0, true), marker(4_000), marker(5_001), marker(4_500)] {
        state.apply(&event);
    }
    assert_eq!(counts(&state), (2, 2, 2, 2));
}

#[test]
fn each_node_has_its_own() {
    let mut state = State::default();
    for event in [session(5_000, 0, true), begin(5_000, 0), session(6_000, 1, true), marker(5_500)] {
        state.apply(&event);
    }
    assert_eq!(counts(&state).0, 1);
    let of_second = Event { netns: Netns { node: 1, inode: 0 }, ..marker(5_500) };
    state.apply(&of_second);
    assert_eq!(counts(&state).0, 1);
    state.apply(&begin(6_000, 1));
    state.apply(&of_second);
    assert_eq!(counts(&state).0, 2);
    let part = state.machines.of(1).and_then(|machine| machine.session).unwrap();
    assert_eq!((part.part, part.id.to_string()), (1, "07".repeat(16)));
}

#[test]
fn the_newest_clock_and_facts_hold() {
    let mut state = State::default();
    let clock = |change, step_ns| Clock {
        change,
        wall_minus_boot_ns: 0,
        boot_minus_monotonic_ns: 0,
        step_ns,
        suspended_ns: 0,
        is_synchronised: None,
        largest_error_us: None,
    };
    let facts = |facts: &[(&str, &str)]| {
        let facts = facts.iter().map(|(name, value)| (Text::new(name), Text::new(value))).collect();
        Body::Facts(Arc::new(Facts(facts)))
    };
    for body in [
        Body::Clock(clock(ClockChange::Start, 0)),
        facts(&[("cpus", "4"), ("tracer", "1")]),
        Body::Clock(clock(ClockChange::Stepped, -5_000_000)),
        facts(&[("cpus", "8")]),
    ] {
        state.apply(&event(1, body));
    }
    let machine = state.machines.of(0).unwrap();
    assert_eq!(machine.clock, Some(clock(ClockChange::Stepped, -5_000_000)));
    let told: Vec<(&str, &str)> =
        machine.facts().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(told, [("cpus", "8"), ("tracer", "1")]);
    // The first reading is no news, the clock that was set is.
    assert_eq!(counts(&state), (1, 1, 1, 1));
    let many: Vec<(String, String)> =
        (0..5_000).map(|number| (format!("{number:05}"), String::new())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    state.apply(&event(2, facts(&many)));
    assert_eq!(state.machines.of(0).unwrap().facts().count(), 1_024);
}
