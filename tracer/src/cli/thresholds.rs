//! Options that set the thresholds of the rules which find what is wrong.

use std::{fs, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use clap::Args;

use crate::findings::{
    Rules,
    thresholds::{Thresholds, Wrong},
};

/// Thresholds that are not to be as usual.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(super) struct ThresholdArguments {
    /// Judge by the thresholds in this file; docs/findings.md has one with all of them as they are usually.
    #[arg(long, value_name = "FILE", help_heading = "When a finding is one")]
    thresholds: Option<PathBuf>,
    /// Judge by this threshold, whatever a file says: ruleset-bloat.duplicates=500. May be given more than once.
    #[arg(long, value_name = "ID.FIELD=VALUE", help_heading = "When a finding is one", value_parser = one)]
    threshold: Vec<String>,
}

impl ThresholdArguments {
    /// The rules with them.
    pub(super) fn rules(&self) -> anyhow::Result<Arc<Rules>> {
        let mut thresholds = Thresholds::usual()?;
        if let Some(path) = &self.thresholds {
            let name = path.display();
            let text =
                fs::read_to_string(path).with_context(|| format!("cannot read the thresholds in {name}"))?;
            thresholds.set_all(&text).with_context(|| format!("cannot judge by the thresholds in {name}"))?;
        }
        for one in &self.threshold {
            thresholds.set_one(one).context("cannot judge by --threshold")?;
        }
        Ok(Arc::new(thresholds.rules()?))
    }

    /// These, and from `before` what these leave open.
    pub(super) fn over(self, before: Self) -> Self {
        Self {
            thresholds: self.thresholds.or(before.thresholds),
            threshold: before.threshold.into_iter().chain(self.threshold).collect(),
        }
    }
}

/// Reads one threshold, so that a mistake in it is wrong use.
fn one(text: &str) -> Result<String, String> {
    let told = |wrong: Wrong| wrong.what.trim_start_matches(&format!("{text}: ")).to_owned();
    Thresholds::usual().and_then(|mut usual| usual.set_one(text)).map_err(told)?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::ThresholdArguments;
    use crate::findings::Rules;

    fn duplicates(arguments: &ThresholdArguments) -> u32 {
        arguments.rules().expect("thresholds").ruleset_bloat.duplicates
    }

    #[test]
    fn a_single_one_goes_over_the_file_and_the_later_over_the_earlier() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("thresholds.toml");
        fs::write(&file, "[ruleset-bloat]\nduplicates = 7\n").unwrap();
        let usual = ThresholdArguments::default();
        assert_eq!(*usual.rules().unwrap(), Rules::default());
        let of_file = ThresholdArguments { thresholds: Some(file.clone()), ..usual.clone() };
        assert_eq!(duplicates(&of_file), 7);
        let one = |value: u32| vec![format!("ruleset-bloat.duplicates={value}")];
        let both = ThresholdArguments { threshold: one(8), ..of_file };
        assert_eq!(duplicates(&both), 8);
        let later = ThresholdArguments { threshold: one(9), ..usual };
        assert_eq!(duplicates(&later.over(both)), 9);
    }

    #[test]
    fn a_mistake_on_the_command_line_is_told_once() {
        assert_eq!(super::one("ruleset-bloat.duplicates=7"), Ok("ruleset-bloat.duplicates=7".to_owned()));
        let expected = "ruleset-bloat has no threshold duplicate: did you mean duplicates?";
        assert_eq!(super::one("ruleset-bloat.duplicate=7"), Err(expected.to_owned()));
    }

    #[test]
    fn what_is_wrong_names_the_file_and_the_line() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("thresholds.toml");
        let told = |text: &str| {
            fs::write(&file, text).unwrap();
            let arguments = ThresholdArguments { thresholds: Some(file.clone()), threshold: Vec::new() };
            format!("{:#}", arguments.rules().expect_err("wrong"))
        };
        let expected = format!(
            "cannot judge by the thresholds in {}: line 2: ruleset-bloat has no threshold grow: did you mean growth?",
            file.display()
        );
        assert_eq!(told("[ruleset-bloat]\ngrow = 7\n"), expected);
        let missing =
            ThresholdArguments { thresholds: Some("/nowhere/t.toml".into()), threshold: Vec::new() };
        assert!(format!("{:#}", missing.rules().expect_err("no file")).contains("/nowhere/t.toml"));
    }
}
