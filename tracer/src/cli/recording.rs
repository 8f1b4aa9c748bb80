//! A session that a command records.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::anyhow;
use clap::Args;

use super::scope;
use crate::{
    block::Block,
    session::{Condition, Recorder, RecorderOptions, RecorderStatus, Rotation, Standing},
};

/// How long a disk that does not answer is waited for at the end.
const PATIENCE: Duration = Duration::from_secs(30);

/// When a recording goes on in another file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "Recording in several files, FILE.0001 and so on")]
#[expect(clippy::struct_field_names, reason = "they are the names of the options")]
pub(super) struct RotationArguments {
    /// Begin another file when one has this size: 100M, 1G.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_size: Option<u64>,
    /// Begin another file after this long: 10m, 1h.
    #[arg(long, value_name = "TIME", value_parser = scope::duration)]
    max_time: Option<Duration>,
    /// Keep so many files, and delete the oldest one for each that follows.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    max_files: Option<u32>,
}

impl RotationArguments {
    /// These, and from `before` what these leave open.
    pub(super) fn over(self, before: Self) -> Self {
        Self {
            max_size: self.max_size.or(before.max_size),
            max_time: self.max_time.or(before.max_time),
            max_files: self.max_files.or(before.max_files),
        }
    }

    /// What they ask for.
    pub(super) fn rotation(self) -> Rotation {
        Rotation { max_bytes: self.max_size, max_time: self.max_time, max_files: self.max_files }
    }
}

/// A whole number of bytes and a unit: `100M`, `1G`; powers of 1024.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|character: char| character.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 =
        number.parse().map_err(|_| "a size is a whole number and a unit, as in 100M".to_owned())?;
    let shift = match unit.trim_end_matches("iB") {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(format!("no such unit as {unit:?}; there are K, M, G and T")),
    };
    match number.checked_mul(1 << shift) {
        Some(0) | None => Err("no file can have that size".to_owned()),
        Some(bytes) => Ok(bytes),
    }
}

/// What was told so far, and the session it is recorded in, if it is.
#[derive(Default)]
pub(super) struct Recording {
    standing: Standing,
    recorder: Option<Recorder>,
}

impl Recording {
    /// Begins to record where a file is named.
    pub(super) fn new(path: Option<&Path>, force: bool, rotation: Rotation) -> anyhow::Result<Self> {
        let mut recording = Self::default();
        if let Some(path) = path {
            recording.begin(path, force, rotation)?;
        }
        Ok(recording)
    }

    /// Begins to record from here; a file that is there is replaced only with `force`.
    fn begin(&mut self, path: &Path, force: bool, rotation: Rotation) -> anyhow::Result<()> {
        let options = RecorderOptions { path: path.to_owned(), force, rotation };
        self.recorder = Some(Recorder::create(options, &self.standing)?);
        Ok(())
    }

    /// Begins to record from here into a new file that another thread makes; how that goes is part of the status.
    pub(super) fn begin_aside(&mut self, path: PathBuf, rotation: Rotation) -> anyhow::Result<()> {
        let options = RecorderOptions { path, force: false, rotation };
        self.recorder = Some(Recorder::begin(options, &self.standing)?);
        Ok(())
    }

    /// Takes the next block, whether or not it is recorded.
    pub(super) fn take(&mut self, block: &Block) {
        if let Some(recorder) = &mut self.recorder {
            recorder.take(block, &self.standing);
        }
        self.standing.note(block);
    }

    /// Begins another file if it is time; to be called now and then.
    pub(super) fn tick(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.rotate(&self.standing);
        }
    }

    /// How the recording goes, if there is one.
    pub(super) fn status(&self) -> Option<RecorderStatus> {
        self.recorder.as_ref().map(Recorder::status)
    }

    /// Ends the recording, if there is one, and says how it went; an error if it ended before.
    pub(super) fn finish(&mut self) -> anyhow::Result<Option<RecorderStatus>> {
        let Some(finish) = self.end() else { return Ok(None) };
        let status = finish();
        outcome(&status)?;
        Ok(Some(status))
    }

    /// Ends the recording; whoever calls the result waits until the file is finished.
    pub(super) fn end(&mut self) -> Option<impl FnOnce() -> RecorderStatus + Send + use<>> {
        let mut recorder = self.recorder.take()?;
        recorder.close(&self.standing);
        Some(move || recorder.finish(PATIENCE))
    }
}

/// What a recording that is finished came to; an error if it ended before, or never began.
pub(super) fn outcome(status: &RecorderStatus) -> anyhow::Result<()> {
    match &status.condition {
        Condition::Ended(reason) => Err(anyhow!("recording has ended: {reason}{}", lost(status))),
        Condition::Refused(reason) => Err(anyhow!("cannot record: {reason}")),
        Condition::Opening | Condition::Writing | Condition::Waiting(_) => Ok(()),
    }
}

/// `; 5 records could not be written`, if so.
pub(super) fn lost(status: &RecorderStatus) -> String {
    match status.lost_records {
        0 => String::new(),
        lost => format!("; {} could not be written", crate::tui::text::counted(lost, "record")),
    }
}

/// A name for a session of a host that begins now.
pub(super) fn name(directory: &Path, host: &str) -> PathBuf {
    let host: String = host
        .chars()
        .map(|character| {
            let is_plain = character.is_ascii_alphanumeric() || "-_.".contains(character);
            if is_plain { character } else { '-' }
        })
        .collect();
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    directory.join(format!("tracer-{host}-{time}.tracer"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{name, size};

    #[test]
    fn sizes_have_units() {
        for (text, expected) in
            [("100M", 100 << 20), ("1G", 1 << 30), ("64KiB", 64 << 10), ("4096", 4096), ("2T", 2 << 40)]
        {
            assert_eq!(size(text), Ok(expected), "{text}");
        }
        for text in ["", "M", "0", "0K", "-1M", "1.5G", "1X", "18446744073709551615K"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_stays_in_its_directory() {
        for (host, expected) in [("node-1.example", "node-1.example"), ("../x y\u{1b}", "..-x-y-")] {
            let name = name(Path::new("/var/log"), host);
            assert_eq!(name.parent(), Some(Path::new("/var/log")), "{name:?}");
            let name = name.file_name().unwrap().to_string_lossy().into_owned();
            assert!(
                name.starts_with(&format!("tracer-{expected}-20")) && name.ends_with("Z.tracer"),
                "{name}"
            );
        }
    }
}
