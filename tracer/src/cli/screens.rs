//! Options of the commands that show the screens.

use std::{path::PathBuf, sync::Arc};

use clap::Args;

use crate::{
    filter::Filter,
    history::USUAL_HISTORY_BYTES,
    state::Limits,
    tui::{Options, Source, theme::Choice},
};

/// How the screens behave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Args)]
pub(super) struct Screens {
    /// Keep about so many mebibytes of past records, compressed, to go back in time and to apply another filter to;
    /// in a replay, of states to begin at on the way to a moment. Usually 64, in a replay 512.
    #[arg(long, value_name = "MIB")]
    history: Option<u16>,
    #[arg(
        long,
        value_name = "WORD,…",
        help = "How the screens look, where that is not found out: dark, light (what is behind), none, 16, 256, true \
                (colours), ascii, unicode. TRACER_THEME takes the same words"
    )]
    theme: Option<Choice>,
    /// Take the mouse from the start: it selects rows and screens. The terminal's own selection then needs Shift.
    #[arg(long)]
    mouse: bool,
}

impl Screens {
    /// These, and from `before` what these leave open.
    pub(super) fn over(self, before: Self) -> Self {
        let theme = match (self.theme, before.theme) {
            (Some(theme), Some(before)) => Some(theme.or(before)),
            (theme, before) => theme.or(before),
        };
        Self { history: self.history.or(before.history), theme, mouse: self.mouse || before.mouse }
    }

    /// How much history was asked for, in bytes.
    pub(super) fn history_bytes(self) -> Option<usize> {
        self.history.map(|mebibytes| usize::from(mebibytes) << 20)
    }

    /// What that means for the screens.
    pub(super) fn options(self, source: Source, filter: Option<Filter>, limits: Limits) -> Options {
        let history_bytes = self.history_bytes().unwrap_or(USUAL_HISTORY_BYTES);
        let theme = self.theme.unwrap_or_default();
        Options {
            limits,
            rules: Arc::default(),
            history_bytes,
            source,
            theme,
            filter,
            has_mouse: self.mouse,
            markers: None,
            commands: None,
            directory: PathBuf::new(),
        }
    }
}
