//! The list of findings when some are over, when there are many, and when what they say is long.

use crossterm::event::KeyCode;

use super::{COLOURLESS, SIZES, draw, press, snapshot, text};
use crate::{
    event::Netns,
    findings::{About, Finding, Severity, sample::told},
    state::{State, Subject, fixture::at},
    tui::{
        model::{Model, Source},
        theme::Theme,
        update::{Input, update},
    },
};

fn finding(place: u32, severity: Severity, what: &str) -> Finding {
    let about = About::Subject(Subject::Namespace(Netns::here(place)));
    Finding::new("path-outage", about, severity, format!("10.0.0.{place}"), what.to_owned())
}

/// Of a node where these were found, and then those.
fn model(then: Vec<Finding>, now: Vec<Finding>) -> Model {
    let mut state = State::default();
    state.hooks.ready = true;
    state.findings.put(at(1_000), then);
    state.findings.put(at(2_000), now);
    Model::new(state, Source::Node)
}

#[test]
fn what_is_over_stays_on_the_list_behind_what_goes_on() {
    let mut model = Model::new(told(), Source::Node);
    let state = model.live();
    let goes_on = finding(9, Severity::Warning, "a flow has got no answer for 6 s");
    state.findings.put(at(100_000), vec![goes_on]);
    snapshot("over_overview", &mut model);
    press(&mut model, &[KeyCode::Down, KeyCode::Enter]);
    snapshot("over_opened", &mut model);
    // Its end is told, and what it is about names it.
    press(&mut model, &[KeyCode::Enter]);
    let picture = text(&draw(&model, COLOURLESS, (120, 40)));
    let line = picture.lines().find(|line| line.contains("finding ")).unwrap_or_else(|| panic!("{picture}"));
    assert!(line.contains("critical"), "{picture}");
}

#[test]
fn much_that_is_over_leaves_room_for_the_rest() {
    let over: Vec<Finding> = (1..=30).map(|place| finding(place, Severity::Critical, "was silent")).collect();
    let mut model = model(over, vec![finding(99, Severity::Notice, "goes on")]);
    for size in SIZES {
        update(&mut model, Input::Height(size.1));
        press(&mut model, &[KeyCode::Home]);
        let picture = text(&draw(&model, COLOURLESS, size));
        assert_eq!(picture.matches("was silent").count(), 5, "{picture}");
        assert!(picture.contains("goes on") && picture.contains("1 of 31"), "{picture}");
        press(&mut model, &[KeyCode::End]);
        let picture = text(&draw(&model, COLOURLESS, size));
        assert!(picture.contains("31 of 31") && picture.contains("▸"), "{picture}");
        assert!(picture.contains("10.0.0.30") || picture.contains("10.0.0.1 "), "{picture}");
    }
}

#[test]
fn of_thirty_that_go_on_each_is_reached() {
    let open: Vec<Finding> = (1..=30).map(|place| finding(place, Severity::Warning, "is silent")).collect();
    let mut model = model(Vec::new(), open.clone());
    update(&mut model, Input::Height(24));
    for (row, finding) in open.iter().enumerate() {
        let picture = text(&draw(&model, COLOURLESS, (80, 24)));
        let selected =
            picture.lines().find(|line| line.starts_with('▸')).unwrap_or_else(|| panic!("{picture}"));
        assert!(selected.contains(&format!("{} ", finding.who)), "{row}: {selected}");
        assert!(picture.contains("Events a second"), "{picture}");
        press(&mut model, &[KeyCode::Down]);
    }
}

#[test]
fn long_sentences_are_read_to_their_end() {
    let words = |mark: &str| (0..40).map(|word| format!("{mark}{word}")).collect::<Vec<_>>();
    let (title, evidence, advice) = (words("title"), words("evidence"), words("advice"));
    let mut long = finding(1, Severity::Critical, &title.join(" "));
    long.evidence = vec![evidence.join(" "), "short".to_owned()];
    long.advice = vec![advice.join(" ")];
    let mut model = model(Vec::new(), vec![long]);
    press(&mut model, &[KeyCode::Enter]);
    for (columns, rows) in [(60, 16), (80, 24), (120, 40)] {
        update(&mut model, Input::Height(rows));
        press(&mut model, &[KeyCode::Home]);
        let mut seen = String::new();
        for _ in 0..10 {
            seen.push_str(&text(&draw(&model, Theme { unicode: false, ..COLOURLESS }, (columns, rows))));
            seen.push('\n');
            press(&mut model, &[KeyCode::Down]);
        }
        let seen: Vec<&str> = seen.split_whitespace().collect();
        for word in [&title, &evidence, &advice].into_iter().flatten() {
            assert!(seen.contains(&word.as_str()), "{word} is not seen at {columns}×{rows}");
        }
    }
}

#[test]
fn a_sentence_that_goes_on_below_is_told_from_the_next() {
    let mut model = model(
        Vec::new(),
        vec![Finding {
            evidence: vec!["a ".repeat(60).trim().to_owned(), "b".to_owned()],
            ..finding(1, Severity::Critical, "what")
        }],
    );
    press(&mut model, &[KeyCode::Enter]);
    let picture = text(&draw(&model, COLOURLESS, (80, 24)));
    let begins = |mark: char| {
        let lines = picture.lines().filter(|line| line.contains(&format!(" {mark}")) && !line.contains("at"));
        lines.filter_map(|line| line.rfind("  ").map(|place| place + 2)).collect::<Vec<_>>()
    };
    let (first, second) = (begins('a'), begins('b'));
    assert!(first.len() > 1 && first[1] == first[0] + 2, "{first:?} {picture}");
    assert_eq!(second, [first[0]], "{picture}");
}
