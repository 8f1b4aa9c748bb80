//! The subjects and findings that are open, one on top of the other, and what keys do there.

use super::{
    keys::{Action, Motion},
    model::{Model, Subject},
    view,
};
use crate::findings::Key;

/// What can be open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A subject.
    Subject(Subject),
    /// A finding.
    Finding(Key),
}

impl From<Subject> for Target {
    fn from(subject: Subject) -> Self {
        Self::Subject(subject)
    }
}

/// An open subject or finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Which.
    pub target: Target,
    /// The line the user is at; past the end for the last one, whatever comes.
    pub line: usize,
    /// The one it was opened from.
    pub under: Option<Box<Self>>,
}

impl Opened {
    /// Opened from a list.
    pub fn new(target: impl Into<Target>) -> Self {
        Self { target: target.into(), line: 0, under: None }
    }

    /// How many lie beneath.
    pub fn depth(&self) -> usize {
        self.under.as_ref().map_or(0, |under| 1 + under.depth())
    }
}

/// What an action does to what is open; whether it was one for it.
pub(super) fn act(model: &mut Model, action: Action) -> bool {
    let Some(opened) = model.details.as_ref().filter(|_| !model.help) else { return false };
    match action {
        Action::Move(motion) => {
            let lines = view::open_lines(model.shown(), &opened.target);
            let page = usize::from(model.height) / 2;
            let line = moved(opened.line, lines.len().saturating_sub(1), page, motion);
            if let Some(opened) = &mut model.details {
                opened.line = line;
            }
        }
        Action::Open => {
            let mut lines = view::open_lines(model.shown(), &opened.target);
            let here = opened.line.min(lines.len().saturating_sub(1));
            let other = lines.get_mut(here).and_then(Option::take);
            if let Some(target) = other.filter(|target| *target != opened.target) {
                let under = model.details.take().map(Box::new);
                model.details = Some(Opened { target, line: 0, under });
            }
        }
        Action::Back => {
            model.details = model.details.take().and_then(|opened| opened.under).map(|under| *under);
        }
        _ => return false,
    }
    true
}

/// Where a motion leads. The end is kept as such, so that it stays the end while lines are added.
fn moved(line: usize, last: usize, page: usize, motion: Motion) -> usize {
    let from = line.min(last);
    match motion {
        Motion::Up => from.saturating_sub(1),
        Motion::Down => (from + 1).min(last),
        Motion::PageUp => from.saturating_sub(page),
        Motion::PageDown => (from + page).min(last),
        Motion::First => 0,
        Motion::Last => usize::MAX,
    }
}
