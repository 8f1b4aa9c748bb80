//! Filters, other moments, the clipboard and the mouse, as a user meets them.

use bytes::Bytes;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use tracer_common::record::{MarkerRecord, RecordHeader, RecordKind};
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::{COLOURLESS, draw, press, text};
use crate::{
    block::Block,
    decode::records,
    event::{Body, RetransmitKind},
    history::History,
    output::tests::every_event,
    state::{
        Limits, State,
        fixture::{busy, event, retransmit},
    },
    tui::{
        model::{Model, Screen, Source},
        mouse::{Pointed, pointed},
        opened::Target,
        update::{Effect, Input, update},
    },
};

const SECOND_NS: u64 = 1_000_000_000;

/// The sample of every event, with all its records at one time.
pub(super) fn sample_at(time_ns: u64) -> Block {
    let bytes: Vec<u8> = records(&every_event().0)
        .flat_map(|(header, record)| {
            let (_, body) = RecordHeader::read_from_prefix(record).unwrap();
            [RecordHeader { time_ns, ..header }.as_bytes(), body].concat()
        })
        .collect();
    Block(Bytes::from(bytes))
}

pub(super) fn marker_at(time_ns: u64) -> Block {
    let kind = RecordKind::Marker as u16;
    let header = RecordHeader { time_ns, kind, length_bytes: 24, ..RecordHeader::default() };
    Block(Bytes::copy_from_slice(MarkerRecord { header }.as_bytes()))
}

/// A node on which the sample happened at each of these seconds.
fn node(seconds: &[u64]) -> Model {
    let history = History::new(State::default(), None, Limits::default(), 1 << 20);
    let mut model = Model::with_history(history, Source::Node);
    for second in seconds {
        model.take(&sample_at(second * SECOND_NS));
    }
    model
}

fn settle(model: &mut Model) {
    while model.history.has_work() {
        model.history.work();
    }
}

fn key(model: &mut Model, code: KeyCode, modifiers: KeyModifiers) -> Option<Effect> {
    let effect = update(model, Input::Key(KeyEvent::new(code, modifiers)));
    settle(model);
    effect
}

fn opened(model: &Model) -> Option<Target> {
    model.details.as_ref().map(|opened| opened.target.clone())
}

fn keys(model: &mut Model, typed: &str) {
    for character in typed.chars() {
        key(model, KeyCode::Char(character), KeyModifiers::NONE);
    }
}

fn picture(model: &Model) -> String {
    text(&draw(model, COLOURLESS, (80, 24)))
}

/// The last lines of the picture, from the one that is typed in on.
fn typed_lines(model: &Model) -> String {
    let picture = picture(model);
    let lines: Vec<&str> = picture.lines().collect();
    let first = lines.iter().rposition(|line| line.starts_with(" /") || line.starts_with(" mark:")).unwrap();
    lines[first..first + 3].join("\n")
}

#[test]
fn a_filter_is_typed_completed_and_applied_to_what_happened_before() {
    let mut model = node(&[10, 20]);
    let all = model.shown().events();
    keys(&mut model, "/");
    let mut seen = vec![typed_lines(&model)];
    for typed in ["ki", "\t", "s", "\t", "\t", "\t"] {
        match typed {
            "\t" => drop(key(&mut model, KeyCode::Tab, KeyModifiers::NONE)),
            typed => keys(&mut model, typed),
        }
        seen.push(typed_lines(&model));
    }
    insta::assert_snapshot!("prompt_completes", seen.join("\n────\n"));

    key(&mut model, KeyCode::Char('u'), KeyModifiers::CONTROL);
    keys(&mut model, "kind syn and failed");
    assert_eq!(model.filter, None);
    key(&mut model, KeyCode::Enter, KeyModifiers::NONE);
    assert_eq!((model.filter.as_deref(), model.prompt.is_none()), (Some("kind syn and failed"), true));
    let told = model.shown().timeline.events().iter().filter(|event| event.netns.inode != 0).count();
    assert_eq!(told, 4);
    assert!(picture(&model).contains("showing only: kind syn and failed"));

    model.take(&sample_at(30 * SECOND_NS));
    assert_eq!(model.shown().timeline.events().iter().filter(|event| event.netns.inode != 0).count(), 6);

    keys(&mut model, "/");
    key(&mut model, KeyCode::Char('u'), KeyModifiers::CONTROL);
    key(&mut model, KeyCode::Enter, KeyModifiers::NONE);
    assert_eq!((model.filter.as_deref(), model.shown().events()), (None, all / 2 * 3));

    keys(&mut model, "/");
    key(&mut model, KeyCode::Up, KeyModifiers::NONE);
    assert_eq!(model.prompt.as_ref().unwrap().text(), "kind syn and failed");
    key(&mut model, KeyCode::Esc, KeyModifiers::NONE);
    assert_eq!((model.filter.as_deref(), model.prompt.is_none()), (None, true));
}

#[test]
fn a_mistake_is_shown_at_its_place_and_changes_nothing() {
    let mut model = node(&[10]);
    let mut seen = Vec::new();
    for typed in ["port http and kind syn", "host 10.0.0.", "host", "(failed", "ipvs \u{1b}[31m or"] {
        keys(&mut model, "/");
        key(&mut model, KeyCode::Char('u'), KeyModifiers::CONTROL);
        update(&mut model, Input::Paste(typed.to_owned()));
        seen.push(typed_lines(&model));
        key(&mut model, KeyCode::Enter, KeyModifiers::NONE);
        seen.push(typed_lines(&model));
        assert_eq!(model.filter, None);
        key(&mut model, KeyCode::Esc, KeyModifiers::NONE);
    }
    insta::assert_snapshot!("prompt_mistakes", seen.join("\n────\n"));
    // Wherever the cursor is, it is seen.
    keys(&mut model, "/");
    update(&mut model, Input::Paste("host 10.0.0.5 or ".repeat(20)));
    assert!(typed_lines(&model).lines().next().unwrap().ends_with("or"));
}

#[test]
fn what_is_pasted_elsewhere_is_no_key() {
    let mut model = node(&[10]);
    let before = picture(&model);
    assert_eq!(update(&mut model, Input::Paste("qp2/m".to_owned())), None);
    assert_eq!(picture(&model), before);
}

#[test]
fn other_moments_are_shown_as_they_were() {
    let mut model = node(&[10, 20, 30]);
    let all = model.shown().events();
    model.take(&marker_at(31 * SECOND_NS));
    model.take(&sample_at(60 * SECOND_NS));
    let now = model.shown().events();
    let mut at = |code, modifiers| {
        key(&mut model, code, modifiers);
        let header = picture(&model).lines().next().unwrap().rsplit("  ").next().unwrap().to_owned();
        (model.shown().events(), header)
    };
    let left = (KeyCode::Left, KeyModifiers::NONE);
    let far_left = (KeyCode::Left, KeyModifiers::SHIFT);
    let far_right = (KeyCode::Right, KeyModifiers::SHIFT);
    assert_eq!(at(left.0, left.1), (all + 1, format!("1.0s AGO, {} events behind", all / 3)));
    assert_eq!(at(far_left.0, far_left.1).0, all + 1);
    assert_eq!(at(KeyCode::Char('['), KeyModifiers::NONE).1, format!("29s AGO, {} events behind", all / 3));
    assert_eq!(at(far_left.0, far_left.1).0, all / 3 * 2);
    for _ in 0..5 {
        at(far_left.0, far_left.1);
    }
    let (first, header) = at(left.0, left.1);
    assert_eq!((first, header.split(',').next().unwrap()), (all / 3, "50s AGO"));
    // The sample's own changes of IPVS are markers too.
    assert_eq!(at(KeyCode::Char(']'), KeyModifiers::NONE).0, all / 3 * 2);
    assert_eq!(at(KeyCode::Char(']'), KeyModifiers::NONE).0, all / 3 * 3);
    assert_eq!(at(KeyCode::Char(']'), KeyModifiers::NONE).0, all + 1);
    at(far_right.0, far_right.1);
    at(far_right.0, far_right.1);
    assert_eq!(at(far_right.0, far_right.1), (now, "LIVE".to_owned()));
    // A filter applies to the moment shown.
    at(far_left.0, far_left.1);
    keys(&mut model, "/failed");
    key(&mut model, KeyCode::Enter, KeyModifiers::NONE);
    assert_eq!(model.shown().timeline.events().iter().filter(|event| event.netns.inode != 0).count(), 6);
    keys(&mut model, "p");
    assert_eq!(model.shown().timeline.events().iter().filter(|event| event.netns.inode != 0).count(), 8);
}

#[test]
fn the_selected_event_stays_unless_the_newest_is_followed() {
    let mut model = node(&[10]);
    model.screen = Screen::Timeline;
    let selected = |model: &Model| {
        let events = model.shown().timeline.events();
        events[events.len() - 1 - model.selected_row()].clone()
    };
    press(&mut model, &[KeyCode::Down, KeyCode::Down]);
    let before = selected(&model);
    for second in 11..20 {
        model.take(&sample_at(second * SECOND_NS));
    }
    model.hold_selection();
    assert_eq!((selected(&model), model.is_following), (before.clone(), false));
    assert!(picture(&model).contains("F follows"));
    let shift = KeyModifiers::SHIFT;
    for (code, modifiers) in [(KeyCode::Left, KeyModifiers::NONE), (KeyCode::Right, shift)] {
        key(&mut model, code, modifiers);
        model.hold_selection();
        assert_eq!((selected(&model), model.is_past), (before.clone(), code == KeyCode::Left));
    }
    keys(&mut model, "F");
    model.take(&sample_at(30 * SECOND_NS));
    assert_eq!((model.selected_row(), model.is_following), (0, true));
}

#[test]
fn the_selected_row_stays_selected_wherever_it_goes() {
    let mut model = Model::new(busy(), Source::Node);
    press(&mut model, &[KeyCode::Char('2'), KeyCode::Char('s'), KeyCode::Down, KeyCode::Down]);
    let target = model.chosen[Screen::Retransmits as usize].clone();
    for index in 0..7 {
        let told = retransmit(RetransmitKind::Syn, &format!("198.51.100.1:{index}"), "198.51.100.2:2");
        model.live().apply(&event(125_000 + index, Body::Retransmit(told)));
    }
    press(&mut model, &[KeyCode::Enter]);
    assert_eq!((model.selected_row(), opened(&model)), (9, target));
    press(&mut model, &[KeyCode::Esc, KeyCode::Up]);
    assert_eq!(model.selected_row(), 8);
    press(&mut model, &[KeyCode::Home]);
    let told = retransmit(RetransmitKind::Syn, "198.51.100.1:9", "198.51.100.2:2");
    model.live().apply(&event(126_000, Body::Retransmit(told)));
    model.hold_selection();
    assert_eq!(model.selected_row(), 0);
}

#[test]
fn markers_carry_what_was_typed() {
    let mut model = node(&[10]);
    assert_eq!(key(&mut model, KeyCode::Char('m'), KeyModifiers::NONE), Some(Effect::NoteMoment));
    keys(&mut model, "rollout q");
    assert!(typed_lines(&model).starts_with(" mark: rollout q"));
    let effect = key(&mut model, KeyCode::Enter, KeyModifiers::NONE);
    assert!(matches!(&effect, Some(Effect::Mark(text)) if text.as_str() == "rollout q"), "{effect:?}");
    model.source = Source::Session;
    assert_eq!(key(&mut model, KeyCode::Char('m'), KeyModifiers::NONE), None);
    assert!(model.prompt.is_none() && model.answer.is_some());
}

#[test]
fn rows_are_copied_whole() {
    let mut model = Model::new(busy(), Source::Node);
    let copied = |model: &mut Model, character| match key(model, KeyCode::Char(character), KeyModifiers::NONE)
    {
        Some(Effect::Copy(text)) => text,
        other => panic!("{other:?}"),
    };
    let fact = copied(&mut model, 'y');
    let first = model.shown().findings.listed().first().map(|row| row.finding.text());
    assert!(fact.starts_with("critical ") && Some(&fact) == first.as_ref(), "{fact}");
    let mut empty = Model::new(State::default(), Source::Node);
    assert_eq!(key(&mut empty, KeyCode::Char('y'), KeyModifiers::NONE), None);
    let mut seen = Vec::new();
    for screen in [Screen::Retransmits, Screen::Ipvs, Screen::Timeline] {
        model.screen = screen;
        for character in ['y', 'Y'] {
            let text = copied(&mut model, character);
            assert!(text.len() <= 64 << 10 && !text.contains("  …"), "{text}");
            seen.push(text.lines().take(6).collect::<Vec<_>>().join("\n"));
        }
    }
    assert_eq!(seen.iter().filter(|text| text.lines().count() == 1).count(), 3, "{seen:#?}");
}

#[test]
fn the_mouse_points_at_tabs_and_rows() {
    let mut model = Model::new(busy(), Source::Node);
    press(&mut model, &[KeyCode::Char('2'), KeyCode::Down, KeyCode::Down]);
    let mouse = |kind, column, row| MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
    let click = MouseEventKind::Down(MouseButton::Left);
    let drawn = draw(&model, COLOURLESS, (80, 24));
    let lines: Vec<String> = text(&drawn).lines().map(str::to_owned).collect();
    let selected = u16::try_from(lines.iter().position(|line| line.starts_with('▸')).unwrap()).unwrap();
    for (row, expected) in [(selected, 0), (selected + 3, 3), (selected - 2, -2)] {
        assert_eq!(pointed(mouse(click, 9, row), &drawn), Some(Pointed::Row(expected)));
    }
    for screen in Screen::ALL {
        let column = u16::try_from(lines[1].find(screen.title()).unwrap()).unwrap();
        for column in [column - 2, column, column + 3] {
            assert_eq!(pointed(mouse(click, column, 1), &drawn), Some(Pointed::Tab(screen)), "{column}");
        }
    }
    assert_eq!(pointed(mouse(MouseEventKind::Moved, 9, selected), &drawn), None);

    update(&mut model, Input::Mouse(Pointed::Row(3)));
    assert_eq!((model.selected_row(), opened(&model)), (5, None));
    update(&mut model, Input::Mouse(Pointed::Wheel(-3)));
    update(&mut model, Input::Mouse(Pointed::Row(0)));
    assert!(model.selected_row() == 2 && model.details.is_some());
    update(&mut model, Input::Mouse(Pointed::Tab(Screen::Ipvs)));
    assert_eq!((model.screen, opened(&model)), (Screen::Ipvs, None));
    assert_eq!(key(&mut model, KeyCode::Char('M'), KeyModifiers::NONE), Some(Effect::Mouse(true)));
}
