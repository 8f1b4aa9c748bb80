//! Open subjects: everything known of one thing, in time order.

use crossterm::event::KeyCode;

use super::{COLOURLESS, draw, press, snapshot, text};
use crate::{
    event::{Body, Direction, Netns, RetransmitKind},
    state::{
        FlowKey, NetworkKey, RealKey, ServiceKey, Subject,
        fixture::{NETNS, at, busy, endpoints, event, icmp, retransmit, tcp_service},
        story::{CLIENT, CLIENT_POD, MASQUERADED, REAL, SERVER_POD, VIRTUAL, story, within},
    },
    tui::{
        model::{Model, Source},
        opened::Opened,
        theme::Theme,
    },
};

fn opened(subject: Subject) -> Model {
    let mut model = Model::new(story(), Source::Node);
    model.details = Some(Opened::new(subject));
    model
}

fn flow(netns: Netns, source: &str, destination: &str) -> Subject {
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
    assert_eq!(model.details.as_ref().map(|opened| opened.target.clone()), Some(Subject::Real(real).into()));
    press(&mut model, &[KeyCode::Enter]);
    let place = |model: &Model| {
        model.details.as_ref().map(|opened| (opened.target.clone(), opened.line, opened.depth()))
    };
    assert_eq!(place(&model), Some((Subject::Service(service()).into(), 0, 2)));
    // The last line leads nowhere.
    press(&mut model, &[KeyCode::End, KeyCode::Enter, KeyCode::Esc]);
    assert_eq!(place(&model), Some((Subject::Real(real).into(), 0, 1)));
    press(&mut model, &[KeyCode::Esc]);
    assert_eq!(place(&model), Some((flow(CLIENT_POD, CLIENT, VIRTUAL).into(), 1, 0)));
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
fn where_rows_are_few_the_cause_stays_and_what_was_sent_again_is_gathered() {
    let picture = |rows| text(&draw(&opened(flow(CLIENT_POD, CLIENT, VIRTUAL)), COLOURLESS, (80, rows)));
    let (high, low) = (picture(60), picture(24));
    assert_eq!(high.matches("SYN again").count(), 3, "{high}");
    assert!(low.contains("SYN again ×4") && low.contains("SYN-ACK again ×2"), "{low}");
    for expected in
        ["weight 100 → 0", "reused, weight 0", "was TIME_WAIT", "SYN-ACK again", "host-unreachable"]
    {
        assert!(high.contains(expected) && low.contains(expected), "{expected} in {high} and {low}");
    }
}

#[test]
fn without_unicode_an_open_subject_is_ascii() {
    let mut model = opened(flow(CLIENT_POD, CLIENT, VIRTUAL));
    press(&mut model, &[KeyCode::Down, KeyCode::Enter, KeyCode::Esc]);
    let ascii = Theme { unicode: false, ..COLOURLESS };
    for size in [(80, 40), (200, 50)] {
        let picture = text(&draw(&model, ascii, size));
        // A character without a likeness becomes a question mark; the keys have one of their own.
        assert!(picture.is_ascii() && !picture.replace("? help", "").contains('?'), "{picture}");
        assert!(picture.contains("> 10.42.2.17:8443") && picture.contains("|<"), "{picture}");
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
