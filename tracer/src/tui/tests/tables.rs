//! The screens that are tables: what stands in them, and that nothing of it needs a manual.

use super::{COLOURLESS, SIZES, draw, press, text};
use crate::{
    event::{Body, Direction, IpvsChangeKind, IpvsDecision, ListedWhy, Verdict},
    state::{
        State,
        fixture::{busy, claim, event, ipvs, ipvs_change, listed, mac, proposal},
    },
    tui::{
        model::{Model, Screen, Source},
        rows,
    },
};
use crossterm::event::KeyCode;

fn picture(state: State, screen: Screen, size: (u16, u16)) -> String {
    let mut model = Model::new(state, Source::Node);
    model.screen = screen;
    text(&draw(&model, COLOURLESS, size))
}

fn all(events: impl IntoIterator<Item = (u64, Body)>) -> State {
    let mut state = State::default();
    for (milliseconds, body) in events {
        state.apply(&event(milliseconds, body));
    }
    state
}

#[test]
fn whatever_rows_are_sorted_by_is_shown_and_marked() {
    let mut model = Model::new(busy(), Source::Node);
    for screen in Screen::ALL {
        model.screen = screen;
        for measure in rows::measures(screen) {
            for size in SIZES {
                let picture = text(&draw(&model, COLOURLESS, size));
                assert!(picture.contains(&format!("sorted by {measure} ·")), "{screen:?} {measure} {size:?}");
                assert_eq!(picture.matches('▾').count(), 1, "{screen:?} {measure} {size:?}\n{picture}");
            }
            press(&mut model, &[KeyCode::Char('s')]);
        }
        assert_eq!(model.sorted_by(), 0, "{screen:?}");
    }
}

const SERVICE: &str = "10.96.0.10:443";
const DRAINED: &str = "10.42.2.17:8443";

/// A real server that is drained at 10 s, and a client that comes by a port used before at 40 s.
fn dialled(decision: IpvsDecision, reuse_mode: i32) -> State {
    let Body::Ipvs(mut decided) = ipvs(decision, "10.42.1.9:40000", SERVICE, Some(DRAINED), 0) else {
        unreachable!("it makes nothing else")
    };
    decided.reuse_mode = reuse_mode;
    decided.persistent = decision == IpvsDecision::Scheduled;
    all([
        (1_000, listed(ListedWhy::News, SERVICE, DRAINED, 5)),
        (10_000, ipvs_change(IpvsChangeKind::Weight, SERVICE, Some(DRAINED), Some(5), Some(0))),
        (40_000, Body::Ipvs(decided)),
        (45_000, ipvs(IpvsDecision::Scheduled, "10.42.1.9:1", SERVICE, Some("10.42.2.18:8443"), 5)),
    ])
}

/// The words of a picture, so that it does not matter where lines are broken.
fn words(picture: &str) -> String {
    picture.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_drained_server_that_is_dialled_explains_itself() {
    let cases = [
        (IpvsDecision::Reused, 0, "as it always does with net.ipv4.vs.conn_reuse_mode 0"),
        (IpvsDecision::Reused, 1, "for net.ipv4.vs.conn_reuse_mode 1 gives up none in that state"),
        (IpvsDecision::Scheduled, 1, "is of a persistent service: what IPVS keeps of that client names"),
    ];
    for (decision, reuse_mode, why) in cases {
        for size in SIZES {
            let picture = words(&picture(dialled(decision, reuse_mode), Screen::Ipvs, size));
            for expected in [
                "still dialled, drained 35s ago",
                "10.42.2.17:8443 of tcp 10.96.0.10:443 is drained (weight 5 → 0 35s ago)",
                "yet got 1 new connection. The last, 5.0s ago from 10.42.1.9:40000",
                why,
            ] {
                assert!(
                    picture.contains(expected),
                    "{decision} {reuse_mode} {size:?}: {expected}\n{picture}"
                );
            }
        }
    }
}

#[test]
fn a_server_that_drains_in_peace_is_not_accused() {
    let state = all([
        (1_000, listed(ListedWhy::News, SERVICE, DRAINED, 5)),
        (10_000, ipvs_change(IpvsChangeKind::Weight, SERVICE, Some(DRAINED), Some(5), Some(0))),
        (45_000, ipvs(IpvsDecision::Scheduled, "10.42.1.9:1", SERVICE, Some("10.42.2.18:8443"), 5)),
    ]);
    for size in SIZES {
        let picture = words(&picture(state.clone(), Screen::Ipvs, size));
        assert!(picture.contains("drained 35s ago, 12 active"), "{size:?}\n{picture}");
        assert!(!picture.contains("dialled"), "{size:?}\n{picture}");
    }
}

#[test]
fn who_answered_for_an_address_is_a_lane_each() {
    let at = |second: u64, verdict, proposed: u8, previous: Option<u8>| {
        (second * 1_000, proposal("10.0.0.9", verdict, Some(mac(proposed)), previous.map(mac)))
    };
    let state = all([
        at(0, Verdict::Learned, 1, None),
        at(10, Verdict::Ignored, 2, Some(1)),
        at(20, Verdict::Changed, 2, Some(1)),
        (30_000, claim("10.0.0.9", mac(3), Direction::In)),
        (40_000, claim("10.0.0.9", mac(9), Direction::Out)),
    ]);
    let picture = picture(state, Screen::Neighbours, (80, 24));
    let symbols = ['━', '●', '◆', '×', '○', '!'];
    let lane = |start: &str| {
        let line = picture.lines().rfind(|line| line.starts_with(start)).unwrap_or_default();
        line.chars().enumerate().filter(|(_, symbol)| symbols.contains(symbol)).collect::<Vec<_>>()
    };
    let shape = |lane: &[(usize, char)]| lane.iter().map(|&(_, symbol)| symbol).collect::<String>();
    let (first, second) = (lane("  02:42:ac:11:00:01"), lane("  02:42:ac:11:00:02"));
    assert!(shape(&first).starts_with("●━") && !shape(&first).contains('×'), "{picture}");
    assert!(shape(&second).starts_with("×◆━"), "{picture}");
    // The one is kept until the other takes over, and that one until now.
    assert_eq!(first.last().map(|(place, _)| place + 1), second.get(1).map(|(place, _)| *place), "{picture}");
    assert_eq!(shape(&lane("  02:42:ac:11:00:03")), "○", "{picture}");
    for expected in [
        "02:42:ac:11:00:02 kept",
        "━ kept  × ignored  ◆ took over  ● confirmed  ○ claimed",
        "this node claims the address itself as 02:42:ac:11:00:09, 1 times",
    ] {
        assert!(picture.contains(expected), "{expected}\n{picture}");
    }
}

#[test]
fn the_whole_reason_of_a_missing_hook_is_read_at_eighty_columns() {
    let mut model = Model::new(busy(), Source::Node);
    model.screen = Screen::Hooks;
    let picture = words(&text(&draw(&model, COLOURLESS, (80, 24))));
    for expected in [
        "Hooks, 11 missing",
        "Not seen without it: attempts that failed",
        "missing: the kernel has neither fentry (CONFIG_FUNCTION_TRACER) nor kprobes.",
    ] {
        assert!(picture.contains(expected), "{expected}\n{picture}");
    }
}
