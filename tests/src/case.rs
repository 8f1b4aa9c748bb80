//! The cases: what each proves and what it needs.

use std::path::PathBuf;

use anyhow::Result;

use self::fallback::Fallback;
use crate::{expect::Events, need::Need, tracer::Tracer};

mod claim;
mod clean_node;
mod conntrack;
mod conntrack_counters;
mod conntrack_finding;
mod conntrack_race;
mod export;
mod fallback;
mod finding_neighbour;
mod finding_path;
mod finding_ruleset;
mod flight;
mod icmp;
mod incident;
mod ipvs;
mod ipvs_change;
mod lifecycle;
mod loops;
mod names;
mod neighbour;
mod quiet;
mod reconcile;
mod record;
mod report;
mod retransmit;
mod route;
mod ruleset;
mod ruleset_variants;
mod screen;
mod storm;
mod translation;
mod until;

/// One case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it proves, in one line.
    pub proves: &'static str,
    /// What the machine has to have.
    pub needs: &'static [Need],
    /// Plays it.
    pub run: fn(&Setting) -> Result<()>,
}

/// What a case is given.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The program under test.
    pub program: PathBuf,
    /// The name of the case.
    pub case: &'static str,
    /// The way of attaching to avoid, and what takes its place; none in most cases.
    fallback: Option<Fallback>,
}

impl Setting {
    /// For that case, with no way of attaching avoided.
    pub fn new(program: PathBuf, case: &'static str) -> Self {
        Self { program, case, fallback: None }
    }

    /// Starts `tracer events --json` with more arguments; returns when it is ready.
    pub fn trace(&self, arguments: &[&str]) -> Result<Tracer> {
        self.trace_into(Events::default(), arguments)
    }

    /// As [`trace`](Self::trace), with what it says added to `events`.
    fn trace_into(&self, events: Events, arguments: &[&str]) -> Result<Tracer> {
        let Some(fallback) = &self.fallback else {
            return Tracer::start(&self.program, self.case, arguments, events);
        };
        let arguments = [arguments, &["--avoid", fallback.avoided.name()]].concat();
        let tracer = Tracer::start(&self.program, self.case, &arguments, events)?;
        tracer.ask(|events| fallback.is_taken(events))?;
        Ok(tracer)
    }
}

/// Every case, in the order they run.
pub fn all() -> impl Iterator<Item = &'static Case> {
    [
        lifecycle::CASES,
        retransmit::CASES,
        neighbour::CASES,
        claim::CASES,
        conntrack::CASES,
        ipvs_change::CASES,
        conntrack_race::CASES,
        conntrack_counters::CASES,
        conntrack_finding::CASES,
        ipvs::CASES,
        ipvs::finding::CASES,
        ipvs::rollout::CASES,
        ruleset::CASES,
        route::CASES,
        icmp::CASES,
        loops::CASES,
        names::CASES,
        incident::CASES,
        finding_path::CASES,
        finding_path::CONTRARY,
        finding_path::BY_NODE,
        finding_path::RING,
        clean_node::CASES,
        quiet::CASES,
        finding_neighbour::CASES,
        finding_neighbour::BEHIND,
        finding_neighbour::CONTRARY,
        record::CASES,
        storm::CASES,
        translation::CASES,
        export::CASES,
        report::CASES,
        screen::CASES,
        flight::CASES,
        until::CASES,
        finding_ruleset::CASES,
        ruleset_variants::CASES,
        fallback::CASES,
    ]
    .into_iter()
    .flatten()
}

/// Tells a figure that is measured and not judged.
fn note(text: &str) {
    println!("note {text}");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::all;

    #[test]
    fn names_are_unique_and_fit_the_command_line() {
        let names: BTreeSet<&str> = all().map(|case| case.name).collect();
        assert_eq!(names.len(), all().count());
        for case in all() {
            assert!(
                case.name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
                "{}",
                case.name
            );
            assert!(!case.proves.is_empty() && !case.proves.contains('\n'), "{}", case.name);
        }
    }
}
