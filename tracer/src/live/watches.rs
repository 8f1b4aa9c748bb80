//! Which watches there are, and on which thread each runs.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::BytesMut;

use super::{
    conntrack::ConntrackWatch,
    ipvs::{IpvsWatch, ToldByHooks},
    namespaces::NamespaceWatch,
    path::{PathWatch, Unasked},
    rulesets::Rulesets,
    translations::TranslationWatch,
    watch::{Question, Watch, Watcher},
};
use crate::{
    kernel::Paths,
    namespaces::Census,
    probe::{Options, table::Family},
};

/// How long the node's readiness waits for the first look at every namespace.
const FIRST_ROUND: Duration = Duration::from_secs(5);

/// How long the end waits for the last records.
const LAST_RECORDS: Duration = Duration::from_secs(1);

/// The threads that watch namespaces.
pub(super) struct Watchers {
    watcher: Option<Watcher>,
    rulesets: Option<Watcher>,
}

impl Watchers {
    pub(super) fn start(
        paths: &Paths,
        options: &Options,
        ipvs_told: &ToldByHooks,
        unasked: &Unasked,
    ) -> anyhow::Result<Self> {
        let census = Arc::new(Mutex::new(Census::new(paths.proc.clone(), options.only_netns)));
        Ok(Self {
            watcher: Watcher::start(
                "watcher",
                Arc::clone(&census),
                watches(paths, options, ipvs_told, unasked),
            )?,
            rulesets: Watcher::start("rulesets", census, rulesets(paths, options))?,
        })
    }

    /// Batches of the snapshot of the start. Rule sets, which may take longer, are not waited for.
    pub(super) fn first_round(&self) -> impl Iterator<Item = BytesMut> {
        let deadline = Instant::now() + FIRST_ROUND;
        self.watcher.iter().flat_map(move |watcher| watcher.first_round(deadline))
    }

    /// Batches of records made so far.
    pub(super) fn batches(&self) -> impl Iterator<Item = BytesMut> {
        self.threads().flat_map(Watcher::batches)
    }

    /// Ends the threads; gives their last batches.
    pub(super) fn finish(&self) -> impl Iterator<Item = BytesMut> {
        let deadline = Instant::now() + LAST_RECORDS;
        self.threads().flat_map(move |watcher| watcher.finish(deadline))
    }

    /// Asks the watches something; whether it was taken. It is not where too many questions wait already.
    pub(super) fn ask(&self, question: Question) -> bool {
        self.watcher.as_ref().is_none_or(|watcher| watcher.ask(question))
    }

    fn threads(&self) -> impl Iterator<Item = &Watcher> {
        self.watcher.iter().chain(&self.rulesets)
    }
}

/// What is quick, or waits for changes.
fn watches(
    paths: &Paths,
    options: &Options,
    ipvs_told: &ToldByHooks,
    unasked: &Unasked,
) -> Vec<Box<dyn Watch>> {
    let mut watches: Vec<Box<dyn Watch>> = vec![Box::new(NamespaceWatch::new(paths.proc.clone()))];
    if options.families.contains(&Family::Conntrack) {
        watches.push(Box::new(ConntrackWatch::new(paths.clone())));
        watches.push(Box::new(TranslationWatch::new(paths, unasked.clone())));
    }
    if options.families.contains(&Family::Ipvs) {
        watches.push(Box::new(IpvsWatch::new(paths, ipvs_told.clone())));
    }
    watches.extend(
        PathWatch::new(paths, options, unasked.clone()).map(|watch| Box::new(watch) as Box<dyn Watch>),
    );
    watches
}

/// What may take long.
fn rulesets(paths: &Paths, options: &Options) -> Vec<Box<dyn Watch>> {
    if options.families.contains(&Family::Ruleset) {
        vec![Box::new(Rulesets::new(paths.clone()))]
    } else {
        Vec::new()
    }
}
