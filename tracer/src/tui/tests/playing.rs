//! A session, as one plays it and goes about in it.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{COLOURLESS, SIZES, draw, interaction, text};
use crate::{
    history::{Indexer, Recorded, Replay, recording::Recording},
    state::Limits,
    tui::{
        model::{Model, Screen, Source},
        theme::Theme,
        update::{Input, take_found, update},
        when::When,
    },
};

const SECOND_NS: u64 = 1_000_000_000;

/// A session from second 10 to second 60, with what happened at some of them and a mark, and who goes through it.
fn session() -> (Model, Indexer) {
    let blocks = [
        interaction::sample_at(10 * SECOND_NS),
        interaction::sample_at(20 * SECOND_NS),
        interaction::marker_at(31 * SECOND_NS),
        interaction::sample_at(60 * SECOND_NS),
    ];
    let recorded: std::sync::Arc<dyn Recorded> = Recording::new(&blocks);
    let mut replay = Replay::new(recorded, None, None, Limits::default(), 1 << 20);
    let indexer = replay.take_indexer().unwrap();
    (Model::with_history(replay, Source::Session), indexer)
}

/// The same gone through.
fn indexed() -> Model {
    let (mut model, indexer) = session();
    for found in indexer {
        take_found(&mut model, found);
    }
    settle(&mut model);
    model
}

fn settle(model: &mut Model) {
    while model.history.has_work() {
        model.history.work();
    }
    // A new filter has it gone through again.
    if let Some(indexer) = model.history.session_mut().and_then(Replay::take_indexer) {
        for found in indexer {
            take_found(model, found);
        }
        settle(model);
    }
}

fn press(model: &mut Model, code: KeyCode, modifiers: KeyModifiers) {
    update(model, Input::Key(KeyEvent::new(code, modifiers)));
    settle(model);
}

fn keys(model: &mut Model, typed: &str) {
    for character in typed.chars() {
        press(model, KeyCode::Char(character), KeyModifiers::NONE);
    }
}

fn type_time(model: &mut Model, typed: &str) {
    keys(model, "t");
    update(model, Input::Paste(typed.to_owned()));
    press(model, KeyCode::Enter, KeyModifiers::NONE);
}

fn pass(model: &mut Model, seconds: f64) {
    update(model, Input::Elapsed(Duration::from_secs_f64(seconds)));
    settle(model);
}

/// What the header says at its right.
fn mode(model: &Model) -> String {
    let picture = text(&draw(model, COLOURLESS, (80, 24)));
    picture.lines().next().unwrap().rsplit("  ").next().unwrap().trim().to_owned()
}

/// Seconds since boot of the moment shown.
fn second(model: &Model) -> f64 {
    Duration::from_nanos(model.history.moment().unwrap().boot_ns).as_secs_f64()
}

#[test]
fn it_opens_at_its_end_and_says_how_far_it_has_been_read() {
    let (mut model, mut indexer) = session();
    assert_eq!(mode(&model), "READING, 0%");
    take_found(&mut model, indexer.next().unwrap());
    take_found(&mut model, indexer.next().unwrap());
    assert!(mode(&model).starts_with("READING, 3"), "{}", mode(&model));
    for found in indexer {
        take_found(&mut model, found);
    }
    assert_eq!((mode(&model).as_str(), second(&model)), ("END OF SESSION", 60.0));
    assert_eq!(model.notice.as_ref().unwrap().0.as_str(), "what is missing");
}

#[test]
fn time_goes_on_as_fast_as_one_likes_and_ends_with_the_session() {
    let mut model = indexed();
    let all = model.shown().events();
    keys(&mut model, " ");
    assert_eq!((mode(&model).as_str(), second(&model)), ("PLAYING 1×", 10.0));
    assert_eq!(model.shown().events(), all / 3);
    for (pressed, seconds, expected_second, expected_mode) in [
        ("", 1.5, 11.5, "PLAYING 1×"),
        ("+", 1.0, 13.5, "PLAYING 2×"),
        ("+=", 0.5, 18.5, "PLAYING 10×"),
        ("-", 1.0, 22.5, "PLAYING 4×"),
        ("---", 1.0, 23.5, "PLAYING 1×"),
        ("p", 5.0, 23.5, "AT 00:00:13 OF 00:00:50"),
        ("p+++++++", 0.01, 29.5, "PLAYING 600×"),
        ("", 1.0, 60.0, "PLAYING 600×"),
        ("", 1.0, 60.0, "END OF SESSION"),
    ] {
        keys(&mut model, pressed);
        pass(&mut model, seconds);
        assert!((second(&model) - expected_second).abs() < 1e-6, "{pressed:?}: {}", second(&model));
        assert_eq!(mode(&model), expected_mode, "{pressed:?}");
    }
    assert_eq!(model.shown().events(), all);
}

#[test]
fn keys_go_to_other_moments() {
    let mut model = indexed();
    let (none, shift, control) = (KeyModifiers::NONE, KeyModifiers::SHIFT, KeyModifiers::CONTROL);
    for (code, modifiers, expected) in [
        (KeyCode::Left, none, 59.0),
        (KeyCode::Left, shift, 49.0),
        (KeyCode::Right, none, 50.0),
        (KeyCode::Right, control, 60.0),
        (KeyCode::Left, control, 10.0),
        (KeyCode::Char('$'), none, 60.0),
        (KeyCode::Char('['), none, 31.0),
        (KeyCode::Char('['), none, 20.0),
        (KeyCode::Char(']'), none, 31.0),
        (KeyCode::Char('N'), shift, 10.0),
        (KeyCode::Char('n'), none, 60.0),
        (KeyCode::Char('0'), none, 10.0),
    ] {
        press(&mut model, code, modifiers);
        assert!((second(&model) - expected).abs() < 1e-6, "{code:?}: {}", second(&model));
    }
}

#[test]
fn a_jump_says_what_it_leads_to() {
    let mut model = indexed();
    let mut answers = Vec::new();
    for key in ['[', '[', '0', '[', 'n', 'N', '$', 'N', 'N', 'n', ']', 'm', '+'] {
        press(&mut model, KeyCode::Char(key), KeyModifiers::NONE);
        let answer = model.answer.as_ref().map_or("", |answer| answer.as_str());
        answers.push(format!("{key} {:>4.1} {answer}", second(&model)));
    }
    insta::assert_snapshot!("session_jumps", answers.join("\n"));
    assert!(model.prompt.is_none());
}

#[test]
fn moments_are_typed() {
    let mut model = indexed();
    for (typed, expected) in
        [("50%", 35.0), ("+5s", 40.0), ("-10", 30.0), ("0%", 10.0), ("-1h", 10.0), ("+1h", 60.0)]
    {
        type_time(&mut model, typed);
        assert!((second(&model) - expected).abs() < 1e-6, "{typed}: {}", second(&model));
    }
    // The times of day are those of the header.
    type_time(&mut model, "35s");
    assert!(model.prompt.is_some(), "no unit without a sign");
    let told = text(&draw(&model, COLOURLESS, (80, 24)));
    assert!(told.contains("expected a time"), "{told}");
    press(&mut model, KeyCode::Esc, KeyModifiers::NONE);
    type_time(&mut model, "-20s");
    let header = text(&draw(&model, COLOURLESS, (80, 24)));
    let time_of_day =
        header.lines().next().unwrap().split(" UTC").next().unwrap().rsplit(' ').next().unwrap();
    let (shown, time_of_day) = (second(&model), time_of_day.to_owned());
    type_time(&mut model, "0%");
    type_time(&mut model, &time_of_day);
    assert!((second(&model) - shown).abs() < 1.0, "{time_of_day}");
}

#[test]
fn a_filter_applies_to_the_moment_shown_and_to_every_other() {
    let mut model = indexed();
    type_time(&mut model, "50%");
    keys(&mut model, "/failed");
    press(&mut model, KeyCode::Enter, KeyModifiers::NONE);
    let told =
        |model: &Model| model.shown().timeline.events().iter().filter(|event| event.netns.inode != 0).count();
    assert_eq!((second(&model), told(&model)), (35.0, 4));
    keys(&mut model, "$");
    assert_eq!((second(&model), told(&model), mode(&model).as_str()), (60.0, 6, "END OF SESSION"));
    keys(&mut model, "0");
    assert_eq!(told(&model), 2);
}

#[test]
fn it_may_begin_elsewhere() {
    for (start, is_playing, expected, expected_mode) in [
        (When::Share(50), false, 35.0, "AT 00:00:25 OF 00:00:50"),
        (When::Way(-20_000_000_000), true, 40.0, "PLAYING 1×"),
        (When::Share(0), true, 10.0, "PLAYING 1×"),
    ] {
        let (mut model, indexer) = session();
        (model.player.start, model.player.is_playing) = (Some(start), is_playing);
        // The screens are drawn meanwhile, and time passes.
        for found in indexer {
            take_found(&mut model, found);
            if !model.history.has_work() {
                continue;
            }
            settle(&mut model);
        }
        assert!((second(&model) - expected).abs() < 1e-6, "{start:?}: {}", second(&model));
        assert_eq!(mode(&model), expected_mode);
    }
}

#[test]
fn its_extent_is_on_every_screen() {
    let mut model = indexed();
    type_time(&mut model, "50%");
    for screen in [Screen::Overview, Screen::Timeline] {
        model.screen = screen;
        for size in SIZES {
            update(&mut model, Input::Height(size.1));
            let picture = text(&draw(&model, COLOURLESS, size));
            insta::assert_snapshot!(
                format!("session_{screen:?}_{}x{}", size.0, size.1).to_lowercase(),
                picture
            );
        }
    }
    let (mut half, mut indexer) = session();
    for _ in 0..3 {
        take_found(&mut half, indexer.next().unwrap());
    }
    for model in [&mut model, &mut half] {
        for size in [(40, 8), (41, 9), (60, 10), (79, 24), (500, 120)] {
            draw(model, COLOURLESS, size);
        }
        assert!(text(&draw(model, Theme::PLAIN, (80, 24))).is_ascii());
    }
    let bar = text(&draw(&half, COLOURLESS, (80, 24)));
    let bar = bar.lines().find(|line| line.contains('├')).unwrap();
    assert!(bar.contains('┄') && bar.contains('●'), "{bar}");
}

#[test]
fn a_node_is_not_played() {
    let mut model = Model::new(crate::state::fixture::quiet(), Source::Node);
    keys(&mut model, "+");
    assert!(model.answer.as_ref().is_some_and(|answer| answer.as_str().contains("only a session is played")));
    for (source, has, lacks) in [
        (Source::Node, "mark this moment", "play faster"),
        (Source::Session, "play faster", "mark this moment"),
    ] {
        let mut model = Model::new(crate::state::fixture::quiet(), source);
        keys(&mut model, "?");
        let help = text(&draw(&model, COLOURLESS, (80, 24)));
        assert!(help.contains(has) && !help.contains(lacks), "{help}");
        assert!(help.contains("Ctrl-U"), "the help is cut: {help}");
    }
}
