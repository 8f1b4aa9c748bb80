//! Pods, containers and namespaces by name on the screens.

use std::sync::Arc;

use super::{COLOURLESS, draw, press, text};
use crate::{
    event::{
        Address, Body, Change, Container, Event, Namespace, Netns, Pod, Process, RetransmitKind, Runtime,
        Text, Verdict,
    },
    state::{
        State,
        fixture::{at, mac, proposal, retransmit},
    },
    tui::model::{Model, Screen, Source},
};
use crossterm::event::KeyCode;

const NODE: u32 = 4_026_531_840;
const POD: u32 = 4_026_532_301;
const PEER: u32 = 4_026_532_302;
const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (240, 60)];

fn pod(name: &str) -> Pod {
    let uid = Text::new("3fa0c1d2-7b1e-4c55-9a0e-0d6c5b4a3f21");
    Pod { namespace: Text::new("shop"), name: Text::new(name), uid }
}

fn namespace(name: Option<&str>, process: &str, pod: Option<Pod>) -> Body {
    Body::Namespace(Arc::new(Namespace {
        change: Change::Present,
        is_of_node: name.is_none(),
        name: name.map(Text::new),
        process: Some(Process { id: 4_100, command: Text::new(process) }),
        pod,
    }))
}

fn container(cgroup_id: u64, runtime: Runtime, name: &str, pod: Option<Pod>) -> Body {
    let id = Text::new("4b5e57f6eb2f42b9039b3d1e13929295f231749c510cbe341cd68036d9af97e2");
    let (runtime, cgroup_id) = (Some(runtime), Some(cgroup_id));
    Body::Container(Arc::new(Container {
        cgroup_id,
        process_id: None,
        runtime,
        id,
        name: Text::new(name),
        pod,
    }))
}

fn address(address: &str) -> Body {
    Body::Address(Address {
        change: Change::Present,
        address: address.parse().unwrap(),
        prefix_bits: 24,
        peer: None,
        device: Some(Text::new("eth0")),
        interface_index: 2,
        flags: 0,
        scope: 0,
        is_found_later: false,
    })
}

fn syn(source: &str, cgroup_id: u64, command: &str) -> Body {
    let mut told = retransmit(RetransmitKind::Syn, source, "10.244.1.7:5432");
    told.cgroup_id = Some(cgroup_id);
    told.process = Some(Process { id: 4_200, command: Text::new(command) });
    Body::Retransmit(told)
}

/// A pod that dials another of the same node, a container that is no pod's, with a name from hell, and a service.
fn named() -> State {
    let mut state = State::default();
    for (milliseconds, netns, body) in [
        (1_000, NODE, namespace(None, "systemd", None)),
        (1_000, POD, namespace(Some("cni-5f2a"), "pause", Some(pod("web-6d4b75cb6d-w4b72")))),
        (1_000, PEER, namespace(Some("cni-77aa"), "pause", Some(pod("db-0")))),
        (1_000, POD, address("10.244.1.5")),
        (1_000, PEER, address("10.244.1.7")),
        (2_000, 0, container(11, Runtime::Crio, "nginx", Some(pod("web-6d4b75cb6d-w4b72")))),
        (2_000, 0, container(12, Runtime::Docker, "\x1b[31m日本語🦀\u{202e}", None)),
        (3_000, POD, syn("10.244.1.5:40000", 11, "nginx")),
        (4_000, NODE, syn("192.0.2.1:40001", 12, "curl")),
        (5_000, NODE, syn("192.0.2.1:40002", 13, "node-agent")),
        (6_000, POD, proposal("10.244.1.1", Verdict::Learned, Some(mac(1)), None)),
    ] {
        state.apply(&Event { time: at(milliseconds), netns: Netns::here(netns), cpu: 0, body });
    }
    state
}

#[test]
fn pods_and_containers_are_named() {
    let mut model = Model::new(named(), Source::Node);
    for size in SIZES {
        for (name, screen) in [("retransmits", Screen::Retransmits), ("timeline", Screen::Timeline)] {
            model.screen = screen;
            let picture = text(&draw(&model, COLOURLESS, size));
            insta::assert_snapshot!(format!("named_{name}_{}x{}", size.0, size.1), picture);
        }
    }
}

#[test]
fn a_flow_tells_whose_it_is_and_whose_its_peer() {
    let mut model = Model::new(named(), Source::Node);
    // The last of the flows, by how long nothing was acknowledged.
    press(&mut model, &[KeyCode::Char('2'), KeyCode::End, KeyCode::Enter]);
    for size in SIZES {
        let picture = text(&draw(&model, COLOURLESS, size));
        let words = picture.split_whitespace().collect::<Vec<_>>().join(" ");
        for told in ["nginx (pid 4200)", "pod shop/web-6d4b75cb6d-w4b72", "peer pod shop/db-0"] {
            assert!(words.contains(told), "{told}, {size:?}\n{picture}");
        }
    }
}
