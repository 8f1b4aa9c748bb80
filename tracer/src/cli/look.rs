//! Options that say how the screens look.

use clap::Args;

use crate::tui::theme::Choice;

/// How the screens look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Args)]
pub(super) struct Look {
    /// How it looks, where that is not found out: dark, light (what is behind), none, 16, 256, true (colours), ascii,
    /// unicode. TRACER_THEME takes the same words.
    #[arg(long, value_name = "WORD,…")]
    theme: Option<Choice>,
}

impl Look {
    /// What was asked for.
    pub(super) fn theme(self) -> Choice {
        self.theme.unwrap_or_default()
    }

    /// This, and from `before` what this leaves open.
    pub(super) fn over(self, before: Self) -> Self {
        Self { theme: self.theme.map(|theme| theme.or(before.theme())).or(before.theme) }
    }
}
