//! What findings mean for the exit status.

use anyhow::bail;
use clap::Args;

use crate::findings::{Opened, Severity};

/// When findings make a command fail.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct FailOn {
    /// Exit with status 1 if a finding of this severity or worse was open at any time.
    #[arg(long, value_enum, value_name = "SEVERITY")]
    fail_on: Option<Severity>,
}

impl FailOn {
    /// Fails if a finding opened that was as bad as that.
    pub(super) fn verdict(self, opened: &Opened) -> anyhow::Result<()> {
        match (self.fail_on, opened.worst()) {
            (Some(limit), Some(worst)) if worst <= limit => {
                let (limit, worst) = (limit.names().0, worst.names().0);
                bail!("there were findings as bad as --fail-on {limit}, the worst {worst}")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FailOn;
    use crate::{
        findings::{About, Finding, FindingChange, FindingStatus, Opened, Severity},
        state::fixture::at,
    };

    #[test]
    fn findings_that_are_bad_enough_fail_a_command() {
        use Severity::{Critical, Notice, Warning};
        for (fail_on, worst, fails) in [
            (None, Some(Critical), false),
            (Some(Notice), None, false),
            (Some(Notice), Some(Notice), true),
            (Some(Warning), Some(Notice), false),
            (Some(Warning), Some(Critical), true),
            (Some(Critical), Some(Warning), false),
        ] {
            let mut opened = Opened::default();
            if let Some(severity) = worst {
                let finding = Finding::new("id", About::Node, severity, "who".to_owned(), "what".to_owned());
                let status = FindingStatus::Open;
                opened.note(&FindingChange { time: at(1), status, finding, explained_by: None });
            }
            let verdict = FailOn { fail_on }.verdict(&opened);
            assert_eq!(verdict.is_err(), fails, "{fail_on:?} {worst:?}: {verdict:?}");
        }
    }
}
