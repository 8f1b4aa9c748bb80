//! Options of the commands that show the screens.

use clap::Args;

use crate::{
    filter::Filter,
    history::USUAL_HISTORY_BYTES,
    tui::{Options, Source},
};

/// How the screens behave.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(super) struct Screens {
    /// Keep about so many MiB of past records, compressed, to go back in time and to apply another filter to. Usually
    /// 64.
    #[arg(long, value_name = "MIB")]
    history: Option<u16>,
    /// Take the mouse from the start: it selects rows and screens. The terminal's own selection then needs Shift.
    #[arg(long)]
    mouse: bool,
}

impl Screens {
    /// These, and from `before` what these leave open.
    pub(super) fn over(self, before: Self) -> Self {
        Self { history: self.history.or(before.history), mouse: self.mouse || before.mouse }
    }

    /// What that means for the screens.
    pub(super) fn options(&self, source: Source, filter: Option<Filter>) -> Options {
        let history_bytes =
            self.history.map_or(USUAL_HISTORY_BYTES, |mebibytes| usize::from(mebibytes) << 20);
        Options { history_bytes, source, filter, has_mouse: self.mouse, ..Options::default() }
    }
}
