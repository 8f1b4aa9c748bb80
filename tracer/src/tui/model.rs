//! What the screens show: the state, and where the user is in it. No drawing happens here.

use super::{
    opened::{Opened, Target},
    player::Player,
    prompt::Prompt,
    rows,
};
pub use crate::state::Subject;
use crate::{
    block::Block,
    event::Text,
    filter::Filter,
    history::{History, Moments, USUAL_HISTORY_BYTES},
    session::RecorderStatus,
    state::{Limits, State},
};

/// One of the screens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Screen {
    /// The whole node at a glance.
    Overview,
    /// Flows that retransmit.
    Retransmits,
    /// Who answers for which address.
    Neighbours,
    /// Virtual services and their real servers.
    Ipvs,
    /// Connection tracking.
    Conntrack,
    /// Every event.
    Timeline,
    /// Hooks and accounting.
    Hooks,
}

impl Screen {
    /// All of them, in the order of their tabs.
    pub const ALL: [Self; 7] = [
        Self::Overview,
        Self::Retransmits,
        Self::Neighbours,
        Self::Ipvs,
        Self::Conntrack,
        Self::Timeline,
        Self::Hooks,
    ];

    /// Its name on the tab.
    pub fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Retransmits => "Retransmits",
            Self::Neighbours => "Neighbours",
            Self::Ipvs => "IPVS",
            Self::Conntrack => "Conntrack",
            Self::Timeline => "Timeline",
            Self::Hooks => "Hooks",
        }
    }

    /// The one `steps` tabs to the right, around the end.
    #[must_use]
    pub fn after(self, steps: usize) -> Self {
        Self::ALL[(self as usize + steps) % Self::ALL.len()]
    }
}

/// Where the events come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The running node.
    #[default]
    Node,
    /// A session.
    Session,
}

/// Everything the screens show.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Model {
    /// The states of now and of the last while, or of a session.
    pub history: Moments,
    /// How a session plays.
    pub player: Player,
    /// The screen shown.
    pub screen: Screen,
    /// The selected row of every screen, in the order of [`Screen::ALL`].
    pub selected: [usize; Screen::ALL.len()],
    /// What the user selected on every screen: its row is found again wherever it goes. `None` stays where it is, at the
    /// top to begin with.
    pub chosen: [Option<Target>; Screen::ALL.len()],
    /// The measure every screen is sorted by, an index into its list of measures.
    pub sort: [usize; Screen::ALL.len()],
    /// The subject or finding that is open, if one is.
    pub details: Option<Opened>,
    /// Whether the help lies on top.
    pub help: bool,
    /// The line being typed, if one is.
    pub prompt: Option<Prompt>,
    /// Filters entered, the newest last.
    pub past_filters: Vec<String>,
    /// Whether the timeline's selected row is always the newest event.
    pub is_following: bool,
    /// Events when the timeline's row was selected.
    events_then: u64,
    /// Whether the user went to another moment, rather than stayed at one.
    pub is_past: bool,
    /// Whether the mouse is tracer's and not the terminal's.
    pub has_mouse: bool,
    /// Where the events come from.
    pub source: Source,
    /// Whether the source of events has ended.
    pub ended: bool,
    /// What of the events is shown, if not all.
    pub filter: Option<String>,
    /// What the user should know besides the events: the latest, and how many there were.
    pub notice: Option<(Text, usize)>,
    /// What came of the last key, until the next one.
    pub answer: Option<Text>,
    /// What is recorded at the same time, if anything is.
    pub recording: Option<RecorderStatus>,
    /// Rows of the terminal.
    pub height: u16,
}

impl Model {
    /// The first picture of a state, with as much history as is usual.
    pub fn new(state: State, source: Source) -> Self {
        Self::with_history(History::new(state, None, Limits::default(), USUAL_HISTORY_BYTES), source)
    }

    /// The first picture of a history.
    pub fn with_history(history: impl Into<Moments>, source: Source) -> Self {
        Self {
            history: history.into(),
            player: Player::default(),
            screen: Screen::Overview,
            selected: [0; Screen::ALL.len()],
            chosen: [const { None }; Screen::ALL.len()],
            sort: [0; Screen::ALL.len()],
            details: None,
            help: false,
            prompt: None,
            past_filters: Vec::new(),
            is_following: true,
            events_then: 0,
            is_past: false,
            has_mouse: false,
            source,
            ended: false,
            filter: None,
            notice: None,
            answer: None,
            recording: None,
            height: 24,
        }
    }

    /// The state to draw: of now, or of the moment the user stays at.
    pub fn shown(&self) -> &State {
        self.history.shown()
    }

    /// The state of now, for what no block tells.
    ///
    /// # Panics
    /// If a session is shown, which has none.
    #[cfg(test)]
    pub(super) fn live(&mut self) -> &mut State {
        match &mut self.history {
            Moments::Coming(history) => history.live_mut(),
            Moments::Session(_) => panic!("a session has no state of now"),
        }
    }

    /// Takes in the next block.
    pub fn take(&mut self, block: &Block) {
        self.history.take(block);
    }

    /// Whether the picture stands still.
    pub fn is_paused(&self) -> bool {
        self.history.moment().is_some()
    }

    /// Events that came after the moment shown.
    pub fn events_behind(&self) -> u64 {
        self.history.live().events().saturating_sub(self.shown().events())
    }

    /// How long ago the moment shown is, in nanoseconds.
    pub fn time_behind_ns(&self) -> u64 {
        let now = self.history.end();
        self.history.moment().map_or(0, |moment| now.boot_ns.saturating_sub(moment.boot_ns))
    }

    /// Stays at this moment, or goes back to now; a session is played, or stopped.
    pub fn toggle_pause(&mut self) {
        self.is_past = false;
        if let Some(replay) = self.history.session_mut() {
            return self.player.toggle(replay);
        }
        if self.is_paused() { self.history.resume() } else { self.history.pause() }
    }

    /// Shows from now on only what meets a filter, as the user typed it, or everything.
    pub fn set_filter(&mut self, text: Option<String>, filter: Option<Filter>) {
        const FILTERS_KEPT: usize = 100;
        if let Some(text) = &text {
            self.past_filters.retain(|past| past != text);
            self.past_filters.push(text.clone());
            let excess = self.past_filters.len().saturating_sub(FILTERS_KEPT);
            self.past_filters.drain(..excess);
        }
        self.filter = text;
        self.history.set_filter(filter);
        self.selected = [0; Screen::ALL.len()];
        self.chosen = [const { None }; Screen::ALL.len()];
        self.is_following = true;
    }

    /// Finds the row again of what the user selected on the screen shown. What has gone leaves the selection where it
    /// was.
    pub fn hold_selection(&mut self) {
        let (screen, measure, selected) = (self.screen, self.sorted_by(), self.selected_row());
        // An event need not be about anything, and stays selected all the same.
        let Some(target) = &self.chosen[screen as usize] else { return self.hold_event() };
        // Two lines of the overview may be about the same: the selected one stays if it still is.
        if screen == Screen::Overview
            && rows::target(self.shown(), screen, measure, selected).as_ref() == Some(target)
        {
            return;
        }
        if let Some(row) = rows::position(self.shown(), screen, measure, target) {
            self.selected[screen as usize] = row;
        }
        self.hold_event();
    }

    /// The same for the timeline, whose rows move on by one with every event, and back in another moment.
    fn hold_event(&mut self) {
        let events = self.shown().events();
        let last = self.shown().timeline.events().len().saturating_sub(1);
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let newer = count(events.saturating_sub(self.events_then));
        let fewer = count(self.events_then.saturating_sub(events));
        let selected = &mut self.selected[Screen::Timeline as usize];
        *selected = if self.is_following {
            0
        } else {
            selected.saturating_add(newer).saturating_sub(fewer).min(last)
        };
        self.events_then = events;
    }

    /// The selected row of the screen shown.
    pub fn selected_row(&self) -> usize {
        self.selected[self.screen as usize]
    }

    /// The measure the screen shown is sorted by.
    pub fn sorted_by(&self) -> usize {
        self.sort[self.screen as usize]
    }
}
