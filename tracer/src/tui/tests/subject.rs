//! Open subjects: everything known of one thing, in time order.

use crossterm::event::KeyCode;

use super::{COLOURLESS, draw, press, snapshot, text};
use crate::{
    event::{
        Body, Conntrack, ConntrackEvent, Direction, Event, HardwareAddress, Ipvs, IpvsChangeKind,
        IpvsDecision, IpvsForward, ListedWhy, LookupResult, NeighbourState, Process, Retransmit,
        RetransmitKind, RouteLookup, RouteType, TcpState, Text, Verdict,
    },
    state::{
        FlowKey, NetworkKey, RealKey, ServiceKey, State, Subject,
        fixture::{
            NETNS, at, busy, conntrack, endpoints, event, icmp, ipvs, ipvs_change, listed, mac, proposal,
            retransmit, tcp_service,
        },
    },
    tui::{
        model::{Model, Source},
        opened::Opened,
    },
};

/// The namespaces of the pods that dial and that are dialled.
const CLIENT_POD: u32 = 4_026_532_100;
const SERVER_POD: u32 = 4_026_532_200;

const CLIENT: &str = "10.42.1.17:40000";
const VIRTUAL: &str = "10.96.0.10:443";
const REAL: &str = "10.42.2.17:8443";
const MASQUERADED: &str = "10.42.1.1:61000";

fn within(netns: u32, milliseconds: u64, body: Body) -> Event {
    Event { netns, ..event(milliseconds, body) }
}

fn syn(attempt: u32) -> Body {
    Body::Retransmit(Retransmit {
        attempt: Some(attempt),
        process: Some(Process { id: 4_711, command: Text::new("curl") }),
        socket_inode: Some(99),
        ..retransmit(RetransmitKind::Syn, CLIENT, VIRTUAL)
    })
}

fn syn_ack(attempt: u32) -> Body {
    Body::Retransmit(Retransmit {
        attempt: Some(attempt),
        tcp_state: TcpState(12),
        congestion_window: None,
        ..retransmit(RetransmitKind::SynAck, REAL, MASQUERADED)
    })
}

fn decided(decision: IpvsDecision, weight: i32) -> Body {
    match ipvs(decision, CLIENT, VIRTUAL, Some(REAL), weight) {
        Body::Ipvs(decided) => Body::Ipvs(Ipvs { forward: Some(IpvsForward::Nat), ..decided }),
        other => other,
    }
}

fn tracked(event: ConntrackEvent) -> Body {
    match conntrack(event, CLIENT, VIRTUAL, REAL) {
        Body::Conntrack(decision) => {
            Body::Conntrack(Conntrack { reply: Some(endpoints(REAL, MASQUERADED)), ..decision })
        }
        other => other,
    }
}

fn lookup(source: &str, destination: &str, gateway: &str, hardware: HardwareAddress) -> Body {
    Body::RouteLookup(RouteLookup {
        flow: endpoints(source, destination),
        result: LookupResult::Route(RouteType::UNICAST),
        gateway: Some(gateway.parse().unwrap()),
        device: Some(Text::new("eth0")),
        source: None,
        table: None,
        mark: 0,
        neighbour_state: Some(NeighbourState(2)),
        neighbour: Some(hardware),
    })
}

/// A client dials a drained real server again, whose node's address two hosts answer for.
fn story() -> State {
    let drained = ipvs_change(IpvsChangeKind::Weight, VIRTUAL, Some(REAL), Some(100), Some(0));
    let mut state = State::default();
    for told in [
        within(NETNS, 1_000, listed(ListedWhy::News, VIRTUAL, REAL, 100)),
        within(NETNS, 10_000, decided(IpvsDecision::Scheduled, 100)),
        within(NETNS, 40_000, proposal("192.168.100.1", Verdict::Learned, Some(mac(1)), None)),
        within(NETNS, 50_000, drained),
        within(NETNS, 60_000, decided(IpvsDecision::Reused, 0)),
        within(NETNS, 60_001, tracked(ConntrackEvent::Reused)),
        within(CLIENT_POD, 61_000, syn(1)),
        within(CLIENT_POD, 61_010, lookup(CLIENT, VIRTUAL, "10.42.1.1", mac(0x11))),
        within(NETNS, 61_020, lookup(MASQUERADED, REAL, "192.168.100.1", mac(1))),
        within(SERVER_POD, 61_100, syn_ack(1)),
        within(CLIENT_POD, 63_000, syn(2)),
        within(SERVER_POD, 63_100, syn_ack(2)),
        within(NETNS, 63_500, proposal("192.168.100.1", Verdict::Ignored, Some(mac(0x66)), Some(mac(1)))),
        within(CLIENT_POD, 67_000, syn(3)),
        within(CLIENT_POD, 75_000, syn(4)),
        within(NETNS, 75_001, icmp(Direction::In, 3, 1, CLIENT, REAL)),
        within(NETNS, 90_000, Body::Marker(Text::new("rollout begins"))),
    ] {
        state.apply(&told);
    }
    state
}

fn opened(subject: Subject) -> Model {
    let mut model = Model::new(story(), Source::Node);
    model.details = Some(Opened::new(subject));
    model
}

fn flow(netns: u32, source: &str, destination: &str) -> Subject {
    Subject::Flow(FlowKey { netns, endpoints: endpoints(source, destination) })
}

fn service() -> ServiceKey {
    ServiceKey { netns: NETNS, service: tcp_service(VIRTUAL) }
}

#[test]
fn a_connection_is_told_as_one_whichever_of_its_flows_is_opened() {
    snapshot("subject_client", &mut opened(flow(CLIENT_POD, CLIENT, VIRTUAL)));
    snapshot("subject_server", &mut opened(flow(SERVER_POD, REAL, MASQUERADED)));
}

#[test]
fn services_and_real_servers_tell_who_reached_them() {
    snapshot("subject_service", &mut opened(Subject::Service(service())));
    let real = RealKey { service: service(), address: Some(REAL.parse().unwrap()) };
    snapshot("subject_real", &mut opened(Subject::Real(real)));
}

#[test]
fn addresses_and_namespaces_tell_what_is_behind_them() {
    let host = NetworkKey::host(NETNS, "192.168.100.1".parse().unwrap());
    snapshot("subject_address", &mut opened(Subject::Network(host)));
    snapshot("subject_namespace", &mut opened(Subject::Namespace(NETNS)));
}

#[test]
fn lines_lead_to_other_subjects_and_back() {
    let mut model = opened(flow(CLIENT_POD, CLIENT, VIRTUAL));
    press(&mut model, &[KeyCode::Down, KeyCode::Enter]);
    let real = RealKey { service: service(), address: Some(REAL.parse().unwrap()) };
    assert_eq!(model.details.as_ref().map(|opened| opened.subject), Some(Subject::Real(real)));
    press(&mut model, &[KeyCode::Enter]);
    let place =
        |model: &Model| model.details.as_ref().map(|opened| (opened.subject, opened.line, opened.depth()));
    assert_eq!(place(&model), Some((Subject::Service(service()), 0, 2)));
    // The last line leads nowhere.
    press(&mut model, &[KeyCode::End, KeyCode::Enter, KeyCode::Esc]);
    assert_eq!(place(&model), Some((Subject::Real(real), 0, 1)));
    press(&mut model, &[KeyCode::Esc]);
    assert_eq!(place(&model), Some((flow(CLIENT_POD, CLIENT, VIRTUAL), 1, 0)));
    press(&mut model, &[KeyCode::Esc]);
    assert_eq!(model.details, None);
}

#[test]
fn the_end_stays_the_end_while_events_come() {
    let mut model = opened(flow(CLIENT_POD, CLIENT, VIRTUAL));
    press(&mut model, &[KeyCode::End]);
    assert!(text(&draw(&model, COLOURLESS, (80, 24))).contains("rollout begins"));
    let told = icmp(Direction::In, 3, 13, CLIENT, REAL);
    model.live().apply(&within(NETNS, 95_000, told));
    let picture = text(&draw(&model, COLOURLESS, (80, 24)));
    assert!(picture.lines().any(|line| line.starts_with('▸') && line.contains("prohibited")), "{picture}");
    assert_eq!(model.shown().now(), at(95_000));
}

#[test]
fn every_line_of_every_subject_can_be_reached() {
    for subject in [flow(CLIENT_POD, CLIENT, VIRTUAL), Subject::Service(service()), Subject::Namespace(NETNS)]
    {
        let mut model = opened(subject);
        let mut seen = String::new();
        for _ in 0..60 {
            seen.push_str(&text(&draw(&model, COLOURLESS, (80, 16))));
            press(&mut model, &[KeyCode::Down]);
        }
        // A terminal high enough for everything says what there is to be seen.
        let whole = text(&draw(&opened(subject), COLOURLESS, (80, 200)));
        for line in whole.lines().skip(3).filter(|line| !line.starts_with('▸')) {
            let is_diagram = line.contains('│') || line.contains(" · here");
            assert!(is_diagram || seen.contains(line.trim()), "{subject:?}: {line}");
        }
    }
}

#[test]
fn a_storm_drives_out_retransmits_but_not_what_explains_them() {
    let mut state = story();
    for index in 0..30_000u32 {
        let source = format!("10.42.7.{}:{}", index % 200, 20_000 + index % 5_000);
        let told = retransmit(RetransmitKind::Syn, &source, "10.42.9.9:80");
        state.apply(&event(100_000 + u64::from(index), Body::Retransmit(told)));
    }
    let mut model = Model::new(state, Source::Node);
    model.details = Some(Opened::new(flow(CLIENT_POD, CLIENT, VIRTUAL)));
    let picture = text(&draw(&model, COLOURLESS, (120, 60)));
    for expected in ["6 earlier no longer kept", "reused, weight 0", "weight 100 → 0", "host-unreachable"] {
        assert!(picture.contains(expected), "{expected} in {picture}");
    }
}

#[test]
fn no_open_subject_needs_a_large_terminal() {
    let mut model = Model::new(busy(), Source::Node);
    for (key, down) in [('2', 0), ('2', 1), ('3', 0), ('4', 0), ('4', 1), ('5', 3), ('6', 20), ('7', 2)] {
        let mut keys = vec![KeyCode::Char(key), KeyCode::Home];
        keys.extend(std::iter::repeat_n(KeyCode::Down, down));
        keys.push(KeyCode::Enter);
        press(&mut model, &keys);
        for size in [(40, 8), (41, 9), (60, 12), (300, 100)] {
            draw(&model, COLOURLESS, size);
        }
    }
}
