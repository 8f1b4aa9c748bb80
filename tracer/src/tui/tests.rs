//! Every screen as a user sees it, and what keys do.

mod findings;
mod hostile;
mod interaction;
mod names;
mod over;
mod playing;
mod subject;
mod tables;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer};

use super::{
    model::{Model, Screen, Source},
    text::width,
    theme::Theme,
    update::{Effect, Input, update},
    view,
};
use crate::{
    event::{Body, RetransmitKind, Text},
    state::{
        State,
        fixture::{attaching, busy, event, quiet, retransmit},
    },
};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (240, 60)];
const COLOURLESS: Theme = Theme { unicode: true, ..Theme::PLAIN };

fn draw(model: &Model, theme: Theme, (columns, rows): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| view::draw(frame, model, theme)).unwrap();
    terminal.backend().buffer().clone()
}

/// The text of a picture: what a terminal shows, without colours.
fn text(buffer: &Buffer) -> String {
    let mut lines = Vec::new();
    for row in buffer.area.rows() {
        let mut line = String::new();
        let mut covered = 0;
        for column in row.columns() {
            // A wide character covers the cell after it.
            if covered > 0 {
                covered -= 1;
                continue;
            }
            let symbol = buffer[(column.x, column.y)].symbol();
            covered = width(symbol).saturating_sub(1);
            line.push_str(symbol);
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

fn press(model: &mut Model, keys: &[KeyCode]) -> Option<Effect> {
    let mut effect = None;
    for &key in keys {
        effect = update(model, Input::Key(KeyEvent::new(key, KeyModifiers::NONE)));
    }
    effect
}

fn snapshot(name: &str, model: &mut Model) {
    for size in SIZES {
        update(model, Input::Height(size.1));
        let picture = text(&draw(model, COLOURLESS, size));
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), picture);
    }
}

#[test]
fn every_screen_of_a_busy_node() {
    let mut model = Model::new(busy(), Source::Node);
    for screen in Screen::ALL {
        model.screen = screen;
        snapshot(&format!("busy_{screen:?}").to_lowercase(), &mut model);
    }
}

#[test]
fn every_screen_of_a_quiet_node() {
    let mut model = Model::new(quiet(), Source::Node);
    for screen in Screen::ALL {
        model.screen = screen;
        snapshot(&format!("quiet_{screen:?}").to_lowercase(), &mut model);
    }
}

#[test]
fn the_first_pictures() {
    snapshot("nothing_yet", &mut Model::new(State::default(), Source::Node));
    snapshot("attaching", &mut Model::new(attaching(), Source::Node));
}

#[test]
fn the_help() {
    let mut model = Model::new(busy(), Source::Node);
    press(&mut model, &[KeyCode::Char('?')]);
    snapshot("help", &mut model);
}

#[test]
fn details_of_every_kind_of_row() {
    let mut model = Model::new(busy(), Source::Node);
    for (key, down) in [('2', 0), ('3', 0), ('4', 0), ('4', 1), ('5', 0), ('6', 0), ('7', 2)] {
        let mut keys = vec![KeyCode::Char(key), KeyCode::Home];
        keys.extend(std::iter::repeat_n(KeyCode::Down, down));
        keys.push(KeyCode::Enter);
        press(&mut model, &keys);
        assert!(model.details.is_some());
        snapshot(&format!("details_{key}_{down}"), &mut model);
    }
    press(&mut model, &[KeyCode::Esc]);
    assert_eq!(model.details, None);
}

#[test]
fn without_unicode_every_screen_is_ascii() {
    let mut model = Model::new(busy(), Source::Node);
    let theme = Theme::PLAIN;
    for screen in Screen::ALL {
        model.screen = screen;
        assert!(text(&draw(&model, theme, (120, 40))).is_ascii(), "{screen:?}");
    }
    model.screen = Screen::Overview;
    insta::assert_snapshot!("ascii_overview_80x24", text(&draw(&model, theme, (80, 24))));
}

#[test]
fn no_terminal_is_too_small_or_too_large() {
    let mut model = Model::new(busy(), Source::Node);
    press(&mut model, &[KeyCode::Char('2'), KeyCode::Enter]);
    for help in [false, true] {
        model.help = help;
        for screen in Screen::ALL {
            model.screen = screen;
            for size in [(1, 1), (2, 3), (10, 4), (40, 6), (79, 9), (500, 120)] {
                draw(&model, COLOURLESS, size);
            }
        }
    }
}

#[test]
fn losses_and_missing_hooks_are_told_in_words_on_every_screen() {
    let state = busy();
    let missing = format!("{} missing", state.hooks.missing());
    assert_ne!(missing, "0 missing");
    let mut model = Model::new(state, Source::Node);
    for screen in Screen::ALL {
        model.screen = screen;
        for size in SIZES {
            let picture = text(&draw(&model, COLOURLESS, size));
            assert!(picture.contains("42 lost"), "{screen:?} {size:?}");
            assert!(picture.contains(&missing), "{screen:?} {size:?}");
        }
    }
}

#[test]
fn keys_move_within_the_rows_and_around_the_screens() {
    let mut model = Model::new(busy(), Source::Node);
    press(&mut model, &[KeyCode::Char('2'), KeyCode::Up]);
    assert_eq!((model.screen, model.selected_row()), (Screen::Retransmits, 0));
    press(&mut model, &[KeyCode::End, KeyCode::Down]);
    assert_eq!(model.selected_row(), 3_001);
    press(&mut model, &[KeyCode::PageUp, KeyCode::Char('k')]);
    assert_eq!(model.selected_row(), 3_001 - 18 - 1);
    press(&mut model, &[KeyCode::BackTab, KeyCode::BackTab]);
    assert_eq!(model.screen, Screen::Hooks);
    press(&mut model, &[KeyCode::Tab]);
    assert_eq!(model.screen, Screen::Overview);
    assert_eq!(press(&mut model, &[KeyCode::Char('q')]), Some(Effect::Quit));
}

#[test]
fn sorting_goes_around_and_shows() {
    let mut model = Model::new(busy(), Source::Node);
    model.screen = Screen::Retransmits;
    let mut seen = Vec::new();
    for _ in 0..5 {
        let picture = text(&draw(&model, COLOURLESS, (120, 40)));
        let by = picture.split("sorted by ").nth(1).and_then(|rest| rest.split(" ·").next()).unwrap();
        seen.push(by.to_owned());
        press(&mut model, &[KeyCode::Char('s')]);
    }
    assert_eq!(seen, ["retransmits", "last seen", "rate", "longest outage", "longest run"]);
}

#[test]
fn a_paused_picture_stands_still_and_loses_nothing() {
    let mut model = Model::new(busy(), Source::Node);
    model.screen = Screen::Retransmits;
    let before = text(&draw(&model, COLOURLESS, (80, 24)));
    press(&mut model, &[KeyCode::Char('p')]);
    for index in 0..5_000 {
        let told = retransmit(RetransmitKind::Syn, "198.51.100.1:1", "198.51.100.2:2");
        model.live().apply(&event(125_000 + index, Body::Retransmit(told)));
    }
    let paused = text(&draw(&model, COLOURLESS, (80, 24)));
    assert!(paused.contains("PAUSED, 5,000 events behind"), "{paused}");
    let below = |picture: &str| picture.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(below(&before), below(&paused));
    press(&mut model, &[KeyCode::Char('p')]);
    let resumed = text(&draw(&model, COLOURLESS, (80, 24)));
    assert!(resumed.contains("198.51.100.1:1"), "{resumed}");
}

#[test]
fn an_ended_source_is_told() {
    for (source, before, after) in
        [(Source::Node, "LIVE", "ENDED"), (Source::Session, "READING", "END OF SESSION")]
    {
        let mut model = Model::new(busy(), source);
        assert!(text(&draw(&model, COLOURLESS, (80, 24))).contains(before));
        update(&mut model, Input::Ended);
        assert!(text(&draw(&model, COLOURLESS, (80, 24))).contains(after));
    }
}

#[test]
fn filter_and_notices_are_told() {
    let mut model = Model::new(quiet(), Source::Session);
    model.filter = Some("host 10.0.0.5 and kind syn-ack".to_owned());
    for notice in ["a.trace: 17 damaged bytes at offset 4096 were skipped", "a.trace: the file is\x1b[2J cut"]
    {
        update(&mut model, Input::Notice(Text::new(notice)));
    }
    update(&mut model, Input::Ended);
    snapshot("filter_and_notices", &mut model);
}

#[test]
fn what_nobody_asked_for_is_neither_missing_nor_empty() {
    let mut state = State::default();
    state.apply(&event(1_000, Body::Ready));
    let mut model = Model::new(state, Source::Node);
    for (screen, expected) in [
        (Screen::Hooks, "not asked"),
        (Screen::Overview, "not seen here: no ipvs hook"),
        (Screen::Conntrack, "not seen here: no conntrack hook"),
    ] {
        model.screen = screen;
        let picture = text(&draw(&model, COLOURLESS, (80, 24)));
        assert!(picture.contains(expected), "{picture}");
    }
}
