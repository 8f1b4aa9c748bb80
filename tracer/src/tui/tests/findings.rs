//! Findings: the list of them, one that is open, and where subjects name them.

use crossterm::event::KeyCode;

use super::{COLOURLESS, SIZES, draw, press, snapshot, text};
use crate::{
    findings::{
        Finding,
        sample::{client, drained, told},
    },
    state::{Subject, fixture::at},
    tui::{
        model::{Model, Screen, Source},
        opened::{Opened, Target},
        theme::Theme,
        update::Effect,
    },
};

fn model() -> Model {
    Model::new(told(), Source::Node)
}

fn opened(model: &Model) -> Option<Target> {
    model.details.as_ref().map(|opened| opened.target.clone())
}

fn cause(model: &Model) -> Finding {
    model.shown().findings.open()[0].clone()
}

fn line_of<'a>(picture: &'a str, part: &str) -> &'a str {
    picture.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{part} in {picture}"))
}

#[test]
fn causes_stand_above_what_they_explain() {
    let mut model = model();
    snapshot("findings_overview", &mut model);
    for size in SIZES {
        let picture = text(&draw(&model, COLOURLESS, size));
        let place = |part| picture.lines().position(|line| line.contains(part));
        let whom =
            ["→ 10.42.2.17:8443  ", "→ 10.96.0.10:443 ", "└ 10.42.2.17 ", "ip filter", "192.168.100.9"];
        let rows: Vec<usize> = whom.into_iter().filter_map(place).collect();
        assert!(rows.len() == whom.len() && rows.is_sorted(), "{rows:?} in {picture}");
    }
}

#[test]
fn a_finding_is_told_whole() {
    let mut model = model();
    press(&mut model, &[KeyCode::Enter]);
    assert_eq!(opened(&model), Some(Target::Finding(cause(&model).key())));
    snapshot("findings_opened", &mut model);
}

#[test]
fn everything_of_a_finding_is_reached_from_it_and_left_again() {
    let mut model = model();
    let cause = cause(&model);
    press(&mut model, &[KeyCode::Enter, KeyCode::Enter]);
    assert_eq!(opened(&model), Some(drained().into()));
    let picture = text(&draw(&model, COLOURLESS, (120, 40)));
    assert!(line_of(&picture, "finding ").contains("critical"), "{picture}");
    // The subject names the finding, first of all.
    press(&mut model, &[KeyCode::Enter]);
    assert_eq!(opened(&model), Some(Target::Finding(cause.key())));
    press(&mut model, &[KeyCode::Esc, KeyCode::Esc]);
    assert_eq!(opened(&model), Some(Target::Finding(cause.key())));
    press(&mut model, &[KeyCode::Esc]);
    assert_eq!(opened(&model), None);

    // What it explains is a row of the list.
    press(&mut model, &[KeyCode::Down, KeyCode::Enter]);
    assert_eq!(opened(&model), Some(Target::Finding(cause.symptoms[0].key())));
    let picture = text(&draw(&model, COLOURLESS, (80, 24)));
    let by = line_of(&picture, "explained by");
    assert!(by.contains("10.96.0.10:443 → 10.42.2.17:8443"), "{picture}");
}

#[test]
fn what_explains_a_flow_stands_above_it() {
    let mut model = model();
    model.details = Some(Opened::new(client()));
    let picture = text(&draw(&model, COLOURLESS, (80, 24)));
    let first = picture.lines().find(|line| line.starts_with('▸')).unwrap();
    assert!(first.contains("finding") && first.contains("10.96.0.10:443 → 10.42.2.17:8443"), "{picture}");
}

#[test]
fn a_finding_is_copied_with_what_to_do() {
    let mut model = model();
    let mut copied = |keys: &[KeyCode]| match press(&mut model, keys) {
        Some(Effect::Copy(text)) => text,
        other => panic!("{other:?}"),
    };
    let line = copied(&[KeyCode::Char('y')]);
    assert!(line.starts_with("critical 10.96.0.10:443 → 10.42.2.17:8443: new connections"), "{line}");
    let listed = copied(&[KeyCode::Char('Y')]);
    let open = copied(&[KeyCode::Enter, KeyCode::Char('Y')]);
    assert_eq!(listed, open);
    insta::assert_snapshot!("findings_copied", open);
    // A line of it by itself may be a command to paste.
    let place = model.shown().findings.open()[0].evidence.len() + 5;
    let mut keys = vec![KeyCode::Down; place];
    keys.push(KeyCode::Char('y'));
    let Some(Effect::Copy(line)) = press(&mut model, &keys) else { panic!("nothing copied") };
    assert_eq!(line, "sysctl -w net.ipv4.vs.conn_reuse_mode=1");
}

#[test]
fn the_selected_finding_stays_selected_and_one_that_closes_stays_open() {
    let mut model = model();
    let cause = cause(&model);
    press(&mut model, &[KeyCode::Down, KeyCode::Down]);
    let chosen = model.chosen[Screen::Overview as usize].clone();
    assert_eq!(chosen, Some(Target::Finding(cause.symptoms[1].key())));
    press(&mut model, &[KeyCode::Enter]);
    let state = model.live();
    let alone = Finding { symptoms: vec![cause.symptoms[1].clone()], ..cause.clone() };
    state.findings.put(at(100_000), vec![alone]);
    model.hold_selection();
    assert_eq!(model.selected_row(), 1);
    model.live().findings.put(at(101_000), vec![]);
    model.details = Some(Opened::new(Target::Finding(cause.key())));
    let picture = text(&draw(&model, COLOURLESS, (80, 24)));
    assert!(line_of(&picture, "seen").contains("closed at"), "{picture}");
    assert!(picture.contains("new connections reach a drained server"), "{picture}");
    let never = Finding { id: "routing-loop", ..cause };
    model.details = Some(Opened::new(Target::Finding(never.key())));
    let picture = text(&draw(&model, COLOURLESS, (80, 24)));
    assert!(picture.contains("nothing is kept of it any more"), "{picture}");
}

#[test]
fn no_open_finding_needs_a_large_terminal_unicode_or_a_subject() {
    let mut model = model();
    let ascii = Theme { unicode: false, ..COLOURLESS };
    let rows = model.shown().findings.listed().len();
    for row in 0..rows {
        model.details = None;
        let mut keys = vec![KeyCode::Char('1'), KeyCode::Home];
        keys.extend(std::iter::repeat_n(KeyCode::Down, row));
        keys.push(KeyCode::Enter);
        press(&mut model, &keys);
        assert!(matches!(opened(&model), Some(Target::Finding(_))), "{row}");
        for size in [(40, 8), (41, 9), (60, 12), (300, 100)] {
            assert!(text(&draw(&model, ascii, size)).is_ascii(), "{row} {size:?}");
        }
        press(&mut model, &[KeyCode::End, KeyCode::Enter]);
        draw(&model, COLOURLESS, (80, 24));
    }
    let namespace = model.shown().findings.open().iter().filter_map(|finding| finding.subject);
    assert!(namespace.into_iter().any(|subject| matches!(subject, Subject::Namespace(_))));
}
