//! Keys: one table drives what they do, the footer, and the help.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{
    model::{Screen, Source},
    prompt::{Edit, Purpose, Reach, Turn},
};

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
    /// Freeze the picture, or go back to now.
    Pause,
    /// Show another moment.
    Travel(Leap),
    /// Play a session faster, or slower.
    Speed {
        /// Which of the two.
        is_faster: bool,
    },
    /// Keep the newest event of the timeline selected, or the one selected now.
    Follow,
    /// Begin to type.
    Type(Purpose),
    /// Copy to the terminal's clipboard.
    Copy(Extent),
    /// Take the mouse, or leave it to the terminal.
    Mouse,
    /// Begin to record to a file, or end it.
    Record,
    /// Write all that is kept to a session file.
    WriteHistory,
}

/// How far in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leap {
    /// That many seconds back.
    Back(u64),
    /// That many seconds on.
    On(u64),
    /// To the last marked moment before.
    MarkerBefore,
    /// To the first marked moment after.
    MarkerAfter,
    /// To where the last finding before opened or closed.
    FindingBefore,
    /// To where the first finding after opened or closed.
    FindingAfter,
    /// To the first moment there is.
    Begin,
    /// To the last one, which on a node is now.
    End,
}

impl Action {
    /// Whether it can be done with what comes from there.
    pub fn is_for(self, source: Source) -> bool {
        match self {
            Self::Type(Purpose::Marker) | Self::Record => source == Source::Node,
            Self::Speed { .. } => source == Source::Session,
            _ => true,
        }
    }
}

/// How much of a row is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What it is, in one line.
    Line,
    /// Everything known of it.
    Everything,
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
pub struct Binding<A = Action> {
    /// The keys; Shift is disregarded where no line has it.
    pub keys: &'static [(KeyCode, KeyModifiers)],
    /// What they do.
    pub action: A,
    /// The keys' names, as help and footer print them; empty for a key that another line tells too.
    pub name: &'static str,
    /// The key and what it does in one word, if it stands in the footer.
    pub footer: Option<(&'static str, &'static str)>,
    /// What it does in a sentence.
    pub help: &'static str,
}

/// Cells a help text has on a terminal of 80 columns.
pub const HELP_CELLS: usize = 24;

const NONE: KeyModifiers = KeyModifiers::NONE;
const SHIFT: KeyModifiers = KeyModifiers::SHIFT;
const CONTROL: KeyModifiers = KeyModifiers::CONTROL;

const fn key<A>(
    keys: &'static [(KeyCode, KeyModifiers)],
    action: A,
    name: &'static str,
    footer: Option<(&'static str, &'static str)>,
    help: &'static str,
) -> Binding<A> {
    Binding { keys, action, name, footer, help }
}

/// Every key there is, while nothing is typed.
pub const BINDINGS: [Binding; 44] = [
    key(
        &[(KeyCode::Char('q'), NONE), (KeyCode::Char('c'), CONTROL)],
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
    key(
        &[(KeyCode::Char('1'), NONE)],
        Action::Show(Screen::Overview),
        "1 to 7",
        None,
        "screens by their number",
    ),
    key(&[(KeyCode::Char('2'), NONE)], Action::Show(Screen::Retransmits), "", None, ""),
    key(&[(KeyCode::Char('3'), NONE)], Action::Show(Screen::Neighbours), "", None, ""),
    key(&[(KeyCode::Char('4'), NONE)], Action::Show(Screen::Ipvs), "", None, ""),
    key(&[(KeyCode::Char('5'), NONE)], Action::Show(Screen::Conntrack), "", None, ""),
    key(&[(KeyCode::Char('6'), NONE)], Action::Show(Screen::Timeline), "", None, ""),
    key(&[(KeyCode::Char('7'), NONE)], Action::Show(Screen::Hooks), "", None, ""),
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
    key(&[(KeyCode::PageUp, NONE)], Action::Move(Motion::PageUp), "PgUp PgDn", None, "one page up, down"),
    key(&[(KeyCode::PageDown, NONE)], Action::Move(Motion::PageDown), "", None, ""),
    key(
        &[(KeyCode::Home, NONE), (KeyCode::Char('g'), NONE)],
        Action::Move(Motion::First),
        "Home End",
        None,
        "first row, last (g, G)",
    ),
    key(&[(KeyCode::End, NONE), (KeyCode::Char('G'), NONE)], Action::Move(Motion::Last), "", None, ""),
    key(&[(KeyCode::Enter, NONE)], Action::Open, "Enter", Some(("Enter", "details")), "details of the row"),
    key(&[(KeyCode::Esc, NONE)], Action::Back, "Esc", None, "close details or help"),
    key(&[(KeyCode::Char('s'), NONE)], Action::Sort, "s", Some(("s", "sort")), "sort by the next measure"),
    key(
        &[(KeyCode::Char('/'), NONE)],
        Action::Type(Purpose::Filter),
        "/",
        Some(("/", "filter")),
        "filter what is shown",
    ),
    key(
        &[(KeyCode::Char('p'), NONE), (KeyCode::Char(' '), NONE)],
        Action::Pause,
        "p Space",
        Some(("p", "pause")),
        "pause, or go on",
    ),
    key(
        &[(KeyCode::Char('+'), NONE), (KeyCode::Char('='), NONE)],
        Action::Speed { is_faster: true },
        "+ -",
        Some(("+-", "speed")),
        "play faster, slower",
    ),
    key(&[(KeyCode::Char('-'), NONE)], Action::Speed { is_faster: false }, "", None, ""),
    key(
        &[(KeyCode::Left, NONE)],
        Action::Travel(Leap::Back(1)),
        "← →",
        Some(("←→", "time")),
        "1 s; Shift 10 s, Ctrl 60",
    ),
    key(&[(KeyCode::Right, NONE)], Action::Travel(Leap::On(1)), "", None, ""),
    key(&[(KeyCode::Left, SHIFT)], Action::Travel(Leap::Back(10)), "", None, ""),
    key(&[(KeyCode::Right, SHIFT)], Action::Travel(Leap::On(10)), "", None, ""),
    key(&[(KeyCode::Left, CONTROL)], Action::Travel(Leap::Back(60)), "", None, ""),
    key(&[(KeyCode::Right, CONTROL)], Action::Travel(Leap::On(60)), "", None, ""),
    key(
        &[(KeyCode::Char('0'), NONE), (KeyCode::Home, CONTROL)],
        Action::Travel(Leap::Begin),
        "0 $",
        None,
        "first moment, last",
    ),
    key(&[(KeyCode::Char('$'), NONE), (KeyCode::End, CONTROL)], Action::Travel(Leap::End), "", None, ""),
    key(&[(KeyCode::Char('t'), NONE)], Action::Type(Purpose::Moment), "t", None, "go to a time"),
    key(
        &[(KeyCode::Char('n'), NONE)],
        Action::Travel(Leap::FindingAfter),
        "n N",
        None,
        "finding after, before",
    ),
    key(&[(KeyCode::Char('N'), NONE)], Action::Travel(Leap::FindingBefore), "", None, ""),
    key(
        &[(KeyCode::Char('['), NONE)],
        Action::Travel(Leap::MarkerBefore),
        "[ ]",
        None,
        "marker before, after",
    ),
    key(&[(KeyCode::Char(']'), NONE)], Action::Travel(Leap::MarkerAfter), "", None, ""),
    key(
        &[(KeyCode::Char('m'), NONE)],
        Action::Type(Purpose::Marker),
        "m",
        Some(("m", "mark")),
        "mark this moment",
    ),
    key(
        &[(KeyCode::Char('r'), NONE)],
        Action::Record,
        "r",
        Some(("r", "record")),
        "record to a file, or end",
    ),
    key(&[(KeyCode::Char('f'), NONE)], Action::WriteHistory, "f", None, "write the last while"),
    key(&[(KeyCode::Char('F'), NONE)], Action::Follow, "F", None, "follow the newest event"),
    key(
        &[(KeyCode::Char('y'), NONE)],
        Action::Copy(Extent::Line),
        "y Y",
        Some(("y", "copy")),
        "copy the row; all of it",
    ),
    key(&[(KeyCode::Char('Y'), NONE)], Action::Copy(Extent::Everything), "", None, ""),
    key(&[(KeyCode::Char('M'), NONE)], Action::Mouse, "M", None, "take or leave the mouse"),
];

/// What a key press asks for.
pub fn action_of(event: &KeyEvent) -> Option<Action> {
    // Terminals disagree on whether `?` and Shift-Tab carry the Shift they need.
    let find = |modifiers| BINDINGS.iter().find(|binding| binding.keys.contains(&(event.code, modifiers)));
    let binding = find(event.modifiers).or_else(|| find(event.modifiers - SHIFT))?;
    Some(binding.action)
}

/// What a key press asks for while the user types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// Insert a character.
    Character(char),
    /// Change the line.
    Edit(Edit),
    /// Take it.
    Enter,
    /// Leave it.
    Leave,
}

const fn edit(
    keys: &'static [(KeyCode, KeyModifiers)],
    edit: Edit,
    name: &'static str,
    help: &'static str,
) -> Binding<Typed> {
    key(keys, Typed::Edit(edit), name, None, help)
}

/// Every key while the user types that is no character: what is usual in shells.
pub const TYPING: [Binding<Typed>; 15] = [
    key(&[(KeyCode::Enter, NONE)], Typed::Enter, "Enter", None, "take the line"),
    key(
        &[(KeyCode::Esc, NONE), (KeyCode::Char('c'), CONTROL), (KeyCode::Char('g'), CONTROL)],
        Typed::Leave,
        "Esc",
        None,
        "leave it",
    ),
    edit(&[(KeyCode::Tab, NONE)], Edit::Complete(Turn::Next), "Tab", "complete the word"),
    edit(&[(KeyCode::BackTab, NONE)], Edit::Complete(Turn::Previous), "", ""),
    edit(
        &[(KeyCode::Up, NONE), (KeyCode::Char('p'), CONTROL)],
        Edit::Recall(Turn::Previous),
        "↑ ↓",
        "lines entered before",
    ),
    edit(&[(KeyCode::Down, NONE), (KeyCode::Char('n'), CONTROL)], Edit::Recall(Turn::Next), "", ""),
    edit(&[(KeyCode::Char('u'), CONTROL)], Edit::Remove(Reach::Start), "Ctrl-U", "empty the line; W a word"),
    edit(&[(KeyCode::Char('w'), CONTROL)], Edit::Remove(Reach::WordBack), "", ""),
    edit(&[(KeyCode::Char('k'), CONTROL)], Edit::Remove(Reach::End), "", ""),
    edit(&[(KeyCode::Left, NONE), (KeyCode::Char('b'), CONTROL)], Edit::Go(Reach::Back), "", ""),
    edit(&[(KeyCode::Right, NONE), (KeyCode::Char('f'), CONTROL)], Edit::Go(Reach::On), "", ""),
    edit(&[(KeyCode::Home, NONE), (KeyCode::Char('a'), CONTROL)], Edit::Go(Reach::Start), "", ""),
    edit(&[(KeyCode::End, NONE), (KeyCode::Char('e'), CONTROL)], Edit::Go(Reach::End), "", ""),
    edit(&[(KeyCode::Backspace, NONE), (KeyCode::Char('h'), CONTROL)], Edit::Remove(Reach::Back), "", ""),
    edit(&[(KeyCode::Delete, NONE), (KeyCode::Char('d'), CONTROL)], Edit::Remove(Reach::On), "", ""),
];

/// What a key press asks for while the user types.
pub fn typed(event: &KeyEvent) -> Option<Typed> {
    let modifiers = event.modifiers - SHIFT;
    let binding = TYPING.iter().find(|binding| binding.keys.contains(&(event.code, modifiers)));
    match (binding, event.code) {
        (Some(binding), _) => Some(binding.action),
        (None, KeyCode::Char(character)) if modifiers == NONE => Some(Typed::Character(character)),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::{Action, BINDINGS, HELP_CELLS, Leap, TYPING, Typed, action_of, typed};
    use crate::tui::model::Screen;

    #[test]
    fn no_key_has_two_meanings_and_every_screen_has_a_key() {
        let mut seen = HashSet::new();
        for binding in &BINDINGS {
            for key in binding.keys {
                assert!(seen.insert(key), "{key:?}");
            }
        }
        let mut seen = HashSet::new();
        for binding in &TYPING {
            for key in binding.keys {
                assert!(seen.insert(key), "{key:?}");
            }
        }
        let texts = BINDINGS.iter().map(|binding| binding.help);
        for help in texts.chain(TYPING.iter().map(|binding| binding.help)) {
            assert!(help.len() <= HELP_CELLS, "{help}");
        }
        for screen in Screen::ALL {
            assert!(BINDINGS.iter().any(|binding| binding.action == Action::Show(screen)), "{screen:?}");
        }
    }

    #[test]
    fn shift_changes_a_key_only_where_the_table_says_so() {
        for (code, modifiers, expected) in [
            (KeyCode::Char('?'), KeyModifiers::SHIFT, Some(Action::Help)),
            (KeyCode::BackTab, KeyModifiers::SHIFT, Some(Action::PreviousScreen)),
            (KeyCode::Char('c'), KeyModifiers::CONTROL, Some(Action::Quit)),
            (KeyCode::Char('c'), KeyModifiers::NONE, None),
            (KeyCode::Char('q'), KeyModifiers::ALT, None),
            (KeyCode::Left, KeyModifiers::NONE, Some(Action::Travel(Leap::Back(1)))),
            (KeyCode::Left, KeyModifiers::SHIFT, Some(Action::Travel(Leap::Back(10)))),
        ] {
            assert_eq!(action_of(&KeyEvent::new(code, modifiers)), expected, "{code:?} {modifiers:?}");
        }
    }

    #[test]
    fn while_typing_every_character_is_one() {
        for character in ['q', 'p', ' ', '?', 'M', 'é'] {
            for modifiers in [KeyModifiers::NONE, KeyModifiers::SHIFT] {
                let event = KeyEvent::new(KeyCode::Char(character), modifiers);
                assert_eq!(typed(&event), Some(Typed::Character(character)), "{event:?}");
            }
        }
        assert_eq!(typed(&KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Some(Typed::Leave));
        assert_eq!(typed(&KeyEvent::new(KeyCode::Char('x'), KeyModifiers::ALT)), None);
    }
}
