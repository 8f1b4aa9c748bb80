//! Keys: one table drives what they do, the footer, and the help.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::Screen;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Leave the program.
    Quit,
    /// Show or hide the help.
    Help,
    /// The next screen.
    NextScreen,
    /// The screen before.
    PreviousScreen,
    /// That screen.
    Show(Screen),
    /// Move the selection.
    Move(Motion),
    /// Show all that is known of the selected row.
    Open,
    /// Close what lies on top.
    Back,
    /// Sort by the next measure.
    Sort,
    /// Freeze the picture, or go on.
    Pause,
}

/// How far the selection moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// One page up.
    PageUp,
    /// One page down.
    PageDown,
    /// To the first row.
    First,
    /// To the last row.
    Last,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The keys, Shift disregarded.
    pub keys: &'static [(KeyCode, KeyModifiers)],
    /// What they do.
    pub action: Action,
    /// The keys' names, as help and footer print them; empty for a key that another line tells too.
    pub name: &'static str,
    /// The key and what it does in one word, if it stands in the footer.
    pub footer: Option<(&'static str, &'static str)>,
    /// What it does in a sentence.
    pub help: &'static str,
}

const NONE: KeyModifiers = KeyModifiers::NONE;

const fn key(
    keys: &'static [(KeyCode, KeyModifiers)],
    action: Action,
    name: &'static str,
    footer: Option<(&'static str, &'static str)>,
    help: &'static str,
) -> Binding {
    Binding { keys, action, name, footer, help }
}

/// Every key there is.
pub const BINDINGS: [Binding; 21] = [
    key(
        &[(KeyCode::Char('q'), NONE), (KeyCode::Char('c'), KeyModifiers::CONTROL)],
        Action::Quit,
        "q",
        Some(("q", "quit")),
        "leave; also Ctrl-C",
    ),
    key(
        &[(KeyCode::Char('?'), NONE), (KeyCode::F(1), NONE)],
        Action::Help,
        "?",
        Some(("?", "help")),
        "this help",
    ),
    key(&[(KeyCode::Tab, NONE)], Action::NextScreen, "Tab", Some(("Tab", "screen")), "next screen"),
    key(&[(KeyCode::BackTab, NONE)], Action::PreviousScreen, "Shift-Tab", None, "screen before"),
    key(&[(KeyCode::Char('1'), NONE)], Action::Show(Screen::Overview), "1", None, "Overview"),
    key(&[(KeyCode::Char('2'), NONE)], Action::Show(Screen::Retransmits), "2", None, "Retransmits"),
    key(&[(KeyCode::Char('3'), NONE)], Action::Show(Screen::Neighbours), "3", None, "Neighbours"),
    key(&[(KeyCode::Char('4'), NONE)], Action::Show(Screen::Ipvs), "4", None, "IPVS"),
    key(&[(KeyCode::Char('5'), NONE)], Action::Show(Screen::Conntrack), "5", None, "Conntrack"),
    key(&[(KeyCode::Char('6'), NONE)], Action::Show(Screen::Timeline), "6", None, "Timeline"),
    key(&[(KeyCode::Char('7'), NONE)], Action::Show(Screen::Hooks), "7", None, "Hooks"),
    key(
        &[(KeyCode::Up, NONE), (KeyCode::Char('k'), NONE)],
        Action::Move(Motion::Up),
        "↑ k",
        None,
        "one row up",
    ),
    key(
        &[(KeyCode::Down, NONE), (KeyCode::Char('j'), NONE)],
        Action::Move(Motion::Down),
        "↓ j",
        Some(("↑↓", "move")),
        "one row down",
    ),
    key(&[(KeyCode::PageUp, NONE)], Action::Move(Motion::PageUp), "PgUp", None, "one page up"),
    key(&[(KeyCode::PageDown, NONE)], Action::Move(Motion::PageDown), "PgDn", None, "one page down"),
    key(
        &[(KeyCode::Home, NONE), (KeyCode::Char('g'), NONE)],
        Action::Move(Motion::First),
        "Home g",
        None,
        "first row",
    ),
    key(
        &[(KeyCode::End, NONE), (KeyCode::Char('G'), NONE)],
        Action::Move(Motion::Last),
        "End G",
        None,
        "last row",
    ),
    key(&[(KeyCode::Enter, NONE)], Action::Open, "Enter", Some(("Enter", "details")), "details of the row"),
    key(&[(KeyCode::Esc, NONE)], Action::Back, "Esc", None, "close details or help"),
    key(&[(KeyCode::Char('s'), NONE)], Action::Sort, "s", Some(("s", "sort")), "sort by the next measure"),
    key(
        &[(KeyCode::Char('p'), NONE), (KeyCode::Char(' '), NONE)],
        Action::Pause,
        "p",
        Some(("p", "pause")),
        "pause; no event is lost",
    ),
];

/// What a key press asks for.
pub fn action_of(event: &KeyEvent) -> Option<Action> {
    // Terminals disagree on whether `?` and Shift-Tab carry the Shift they need.
    let modifiers = event.modifiers - KeyModifiers::SHIFT;
    let binding = BINDINGS.iter().find(|binding| binding.keys.contains(&(event.code, modifiers)))?;
    Some(binding.action)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::{Action, BINDINGS, action_of};
    use crate::tui::model::Screen;

    #[test]
    fn no_key_has_two_meanings_and_every_screen_has_a_key() {
        let mut seen = HashSet::new();
        for binding in &BINDINGS {
            for key in binding.keys {
                assert!(seen.insert(key), "{key:?}");
            }
        }
        for screen in Screen::ALL {
            assert!(BINDINGS.iter().any(|binding| binding.action == Action::Show(screen)), "{screen:?}");
        }
    }

    #[test]
    fn shift_does_not_change_a_key() {
        for (code, modifiers, expected) in [
            (KeyCode::Char('?'), KeyModifiers::SHIFT, Some(Action::Help)),
            (KeyCode::BackTab, KeyModifiers::SHIFT, Some(Action::PreviousScreen)),
            (KeyCode::Char('c'), KeyModifiers::CONTROL, Some(Action::Quit)),
            (KeyCode::Char('c'), KeyModifiers::NONE, None),
            (KeyCode::Char('q'), KeyModifiers::ALT, None),
        ] {
            assert_eq!(action_of(&KeyEvent::new(code, modifiers)), expected, "{code:?} {modifiers:?}");
        }
    }
}
