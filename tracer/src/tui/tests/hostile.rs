//! Every screen of a node whose names and addresses are as bad as they can be.
//!
//! What a cell shows may never be what a terminal obeys, and wide characters may never push what stands beside them.

use ratatui::buffer::Buffer;

use super::{COLOURLESS, draw, press, snapshot, text};
use crate::{
    state::fixture::hostile,
    tui::{
        model::{Model, Screen, Source},
        text::width,
        theme::Theme,
    },
};
use crossterm::event::KeyCode;

/// What is wrong with a picture, if anything is.
fn fault(buffer: &Buffer) -> Option<String> {
    let columns = usize::from(buffer.area.width);
    for row in buffer.area.rows() {
        let mut cells = 0;
        while cells < columns {
            let symbol = buffer[(row.x + u16::try_from(cells).unwrap(), row.y)].symbol();
            if let Some(character) = symbol.chars().find(|character| is_harmful(*character)) {
                return Some(format!("row {} holds {character:?}", row.y));
            }
            // The cells that a wide character covers hold nothing of their own.
            let covered = width(symbol).max(1);
            for cell in cells + 1..(cells + covered).min(columns) {
                let hidden = buffer[(row.x + u16::try_from(cell).unwrap(), row.y)].symbol();
                if !hidden.trim().is_empty() {
                    return Some(format!("row {}: {hidden:?} is hidden behind {symbol:?}", row.y));
                }
            }
            if cells + covered > columns {
                return Some(format!("row {}: {symbol:?} hangs over the edge", row.y));
            }
            cells += covered;
        }
    }
    None
}

fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[test]
fn every_screen_holds_and_nothing_is_obeyed() {
    let mut model = Model::new(hostile::node(), Source::Node);
    for screen in Screen::ALL {
        for (keys, what) in [(&[][..], "list"), (&[KeyCode::Enter][..], "subject")] {
            model.screen = screen;
            press(&mut model, keys);
            for (theme, size) in [
                (COLOURLESS, (40, 8)),
                (COLOURLESS, (61, 17)),
                (COLOURLESS, (99, 33)),
                (Theme::PLAIN, (120, 40)),
                (COLOURLESS, (240, 60)),
            ] {
                let picture = draw(&model, theme, size);
                let fault = fault(&picture);
                assert_eq!(fault, None, "{screen:?} {what} {size:?}:\n{}", text(&picture));
            }
            press(&mut model, &[KeyCode::Esc]);
        }
    }
}

#[test]
fn every_screen_of_a_hostile_node() {
    let mut model = Model::new(hostile::node(), Source::Node);
    for screen in Screen::ALL {
        model.screen = screen;
        snapshot(&format!("hostile_{screen:?}").to_lowercase(), &mut model);
    }
}

#[test]
fn every_row_of_thousands_can_be_reached() {
    let mut model = Model::new(hostile::node(), Source::Node);
    for screen in Screen::ALL {
        model.screen = screen;
        press(&mut model, &[KeyCode::End]);
        let last = model.selected_row();
        let picture = text(&draw(&model, COLOURLESS, (120, 40)));
        let place = format!("{0} of {0}", crate::tui::text::exact(last as u64 + 1));
        assert!(picture.contains(&place), "{screen:?} {place}:\n{picture}");
    }
}
