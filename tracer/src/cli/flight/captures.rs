//! The files of a flight recorder.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use crate::{
    block::Block,
    event::Text,
    history::Kept,
    session::{Capture, Ending, Standing, Written},
    tui::text::{counted, size},
};

/// What is being written, and what was.
#[derive(Debug)]
pub(super) struct Captures {
    output: PathBuf,
    tail_ns: u64,
    /// Triggers that follow each other make a file no longer than this behind the first of them.
    longest_ns: u64,
    most_files: Option<u32>,
    running: Option<Running>,
    ending: Vec<Ending>,
    written: VecDeque<Written>,
    /// How many there were, those removed since included, and their bytes.
    files: usize,
    bytes: u64,
    /// What is to be told.
    told: Vec<String>,
    failure: Option<anyhow::Error>,
}

#[derive(Debug)]
struct Running {
    capture: Capture,
    end_ns: u64,
    latest_end_ns: u64,
}

/// What it came to.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Files written.
    pub(super) files: usize,
    /// Their length together.
    pub(super) bytes: u64,
    /// What is still to be told.
    pub(super) told: Vec<String>,
    /// Why a file could not be written.
    pub(super) failure: Option<anyhow::Error>,
}

impl Captures {
    /// For files that are named by `output`, each with `tail_ns` behind its trigger; of more than `most_files` the oldest
    /// are removed. Fails if there is no such directory.
    pub(super) fn new(
        output: PathBuf,
        tail_ns: u64,
        longest_ns: u64,
        most_files: Option<u32>,
    ) -> anyhow::Result<Self> {
        let directory = match output.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let found = directory.metadata();
        let metadata = found.with_context(|| format!("cannot write sessions to {}", directory.display()))?;
        if !metadata.is_dir() || output.file_name().is_none() {
            bail!("{} is no name for session files: give DIRECTORY/NAME", output.display());
        }
        Ok(Self {
            output,
            tail_ns,
            longest_ns: longest_ns.max(tail_ns),
            most_files,
            running: None,
            ending: Vec::new(),
            written: VecDeque::new(),
            files: 0,
            bytes: 0,
            told: Vec::new(),
            failure: None,
        })
    }

    /// How long is written behind a trigger.
    pub(super) fn tail_ns(&self) -> u64 {
        self.tail_ns
    }

    /// How much of the tail is left, if a file is being written.
    pub(super) fn tail_left_ns(&self, now_ns: u64) -> Option<u64> {
        self.running.as_ref().map(|running| running.end_ns.saturating_sub(now_ns))
    }

    /// Files that are finished.
    pub(super) fn count(&self) -> usize {
        self.files
    }

    /// Why a file waits for the disk, if one does.
    pub(super) fn waits_for(&self) -> Option<String> {
        let running = self.running.as_ref().and_then(|running| running.capture.waits_for());
        running.or_else(|| self.ending.iter().find_map(Ending::waits_for))
    }

    /// Writes what is kept, or goes on writing if it is at it already. `standing` is what holds by now.
    pub(super) fn trigger(
        &mut self,
        why: &str,
        now_ns: u64,
        now: Timestamp,
        standing: &Standing,
        kept: impl FnOnce() -> Kept,
    ) {
        /// Files that may wait for a slow disk.
        const MOST_ENDING: usize = 2;
        let why = Text::new(&format!("flight recorder: {why}"));
        let end_ns = now_ns.saturating_add(self.tail_ns);
        if let Some(running) = &mut self.running {
            running.end_ns = end_ns.min(running.latest_end_ns);
            running.capture.mark(now_ns, &why, standing);
            return;
        }
        if self.ending.len() >= MOST_ENDING {
            self.told.push(format!("{why}: not written, for the disk is still busy with the files before"));
            return;
        }
        let path = named(&self.output, now);
        match Capture::begin(path, kept(), &why) {
            Ok(capture) => {
                self.told.push(why.to_string());
                let latest_end_ns = now_ns.saturating_add(self.longest_ns);
                self.running = Some(Running { capture, end_ns, latest_end_ns });
            }
            Err(error) => self.told.push(format!("{why}: {error:#}")),
        }
    }

    /// Takes a block into the file that is being written, if one is. Its records come before `now_ns`; `standing` is what
    /// held before them.
    pub(super) fn take(&mut self, block: &Block, now_ns: u64, standing: &Standing) {
        if let Some(running) = &mut self.running {
            running.capture.take(block, standing);
        }
        if let Some(running) = self.running.take_if(|running| now_ns >= running.end_ns) {
            self.ending.push(running.capture.end(standing));
        }
    }

    /// Looks after files that have been written; what there is to tell.
    pub(super) fn reap(&mut self) -> Vec<String> {
        let (over, ending): (Vec<Ending>, Vec<Ending>) = self.ending.drain(..).partition(Ending::is_over);
        self.ending = ending;
        for ending in over {
            self.close(ending);
        }
        std::mem::take(&mut self.told)
    }

    fn close(&mut self, ending: Ending) {
        match ending.finish() {
            Ok(written) => {
                let lost = match written.lost {
                    0 => String::new(),
                    lost => format!("; {} lost, for the disk is too slow", counted(lost, "record")),
                };
                self.told.push(format!("{}: {}{lost}", written.path.display(), size(written.bytes)));
                self.files += 1;
                self.bytes += written.bytes;
                self.written.push_back(written);
                self.remove_oldest();
            }
            Err(error) => {
                let lost = match error.lost {
                    0 => String::new(),
                    lost => format!("; {} not in the file", counted(lost, "record")),
                };
                self.told.push(format!("{error}{lost}"));
                self.failure.get_or_insert_with(|| error.into());
            }
        }
    }

    fn remove_oldest(&mut self) {
        let Some(most) = self.most_files else { return };
        while self.written.len() > most as usize {
            let Some(oldest) = self.written.pop_front() else { return };
            if let Err(error) = oldest.remove() {
                self.told.push(format!("cannot remove {}: {error}", oldest.path.display()));
            }
        }
    }

    /// Ends the file that is being written, and waits for all.
    pub(super) fn finish(mut self, standing: &Standing) -> Outcome {
        let running = self.running.take().map(|running| running.capture.end(standing));
        let ending: Vec<Ending> = self.ending.drain(..).chain(running).collect();
        for ending in ending {
            self.close(ending);
        }
        let Self { files, bytes, told, failure, .. } = self;
        Outcome { files, bytes, told, failure }
    }
}

/// `run.tracer` is `run-20261122T101322Z.tracer`.
fn named(output: &Path, now: Timestamp) -> PathBuf {
    let stem = output.file_stem().unwrap_or_default().to_string_lossy();
    let ending = output.extension().map_or("tracer".into(), |ending| ending.to_string_lossy());
    output.with_file_name(format!("{stem}-{}.{ending}", now.strftime("%Y%m%dT%H%M%SZ")))
}

#[cfg(test)]
mod tests;
