//! What sessions cost: bytes an event, recording and reading in records a second, and finding a place:
//! `cargo bench --bench session [-- FILE…]`.
//!
//! Two samples are made up, the same in every run; recorded sessions can be named besides. Every figure is the median
//! of several rounds; speeds are in time of the one core they ran on, opening and seeking in time that passes.

#[path = "../throughput/mix.rs"]
mod mix;
mod storm;

use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::time::{ClockId, clock_gettime};
use tracer::{
    block::Block,
    session::{SessionFile, SessionReader, SessionWriter},
};

/// Records of a made-up sample.
const RECORDS: u32 = 1_000_000;

/// Rounds of which the median is told.
const ROUNDS: usize = 7;

/// Records to record, read and seek in.
struct Sample {
    name: String,
    blocks: Vec<Block>,
}

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test --all-targets` runs benchmarks too, and wants only to see them end well.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (records, rounds) = if is_bench { (RECORDS, ROUNDS) } else { (2_000, 1) };
    let mut samples = vec![
        Sample { name: "storm of 10,000 SYNs a second".to_owned(), blocks: storm::blocks(records) },
        Sample { name: "busy node, 100,000 flows".to_owned(), blocks: mix::run(records / 10, 0..records) },
    ];
    for file in std::env::args().skip(1).filter(|argument| !argument.starts_with('-')) {
        let blocks: io::Result<Vec<Block>> = SessionReader::open(Path::new(&file))?.collect();
        samples.push(Sample { name: file, blocks: blocks? });
    }
    let directory = tempfile::tempdir()?;
    println!(
        "{:<32} {:>9} {:>11} {:>13} {:>13} {:>9} {:>9} {:>9}",
        "", "records", "bytes each", "record 1/s", "read 1/s", "open ms", "scan ms", "seek ms"
    );
    for sample in &samples {
        tell(sample, rounds, &directory.path().join("session"))?;
    }
    Ok(())
}

/// Measures one sample and prints its line.
fn tell(sample: &Sample, rounds: usize, path: &Path) -> Result<(), Box<dyn Error>> {
    let file = written(&sample.blocks)?;
    fs::write(path, &file)?;
    let records: u32 = SessionFile::open(path)?.frames().iter().map(|frame| frame.records).sum();
    let recording = median(rounds, || cpu_time_of(|| written(&sample.blocks)))?;
    let reading = median(rounds, || cpu_time_of(|| read(&file)))?;
    let opening = median(rounds, || time_of(|| SessionFile::open(path)))?;
    let session = SessionFile::open(path)?;
    let places = session.frames().len();
    let mut place = 0;
    let seeking = median(rounds, || {
        place = (place + places * 2 / 3 + 1) % places.max(1);
        time_of(|| session.read(place))
    })?;
    let cut: PathBuf = path.with_extension("cut");
    fs::write(&cut, file.get(..file.len() - 1).unwrap_or_default())?;
    let scanning = median(rounds, || time_of(|| SessionFile::open(&cut)))?;
    let a_second = |time: Duration| f64::from(records) / time.as_secs_f64();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    #[expect(clippy::cast_precision_loss, reason = "files are far below 2^52 bytes")]
    let bytes_each = file.len() as f64 / f64::from(records);
    println!(
        "{:<32} {records:>9} {bytes_each:>11.2} {:>13.0} {:>13.0} {:>9.2} {:>9.2} {:>9.2}",
        sample.name,
        a_second(recording),
        a_second(reading),
        milliseconds(opening),
        milliseconds(scanning),
        milliseconds(seeking),
    );
    Ok(())
}

fn written(blocks: &[Block]) -> io::Result<Vec<u8>> {
    let mut writer = SessionWriter::new(Vec::new())?;
    for block in blocks {
        writer.append(block)?;
    }
    writer.finish()
}

/// Bytes of all records.
fn read(file: &[u8]) -> Result<usize, Box<dyn Error>> {
    let mut record_bytes = 0;
    for block in SessionReader::new(file, Path::new("sample"))? {
        record_bytes += std::hint::black_box(block?).0.len();
    }
    Ok(record_bytes)
}

/// The median of several rounds.
fn median<E>(rounds: usize, mut round: impl FnMut() -> Result<Duration, E>) -> Result<Duration, E> {
    let mut times: Vec<Duration> = (0..rounds).map(|_| round()).collect::<Result<_, _>>()?;
    times.sort_unstable();
    Ok(times.get(rounds / 2).copied().unwrap_or_default())
}

/// How long this thread ran for it.
fn cpu_time_of<T, E: Into<Box<dyn Error>>>(
    work: impl FnOnce() -> Result<T, E>,
) -> Result<Duration, Box<dyn Error>> {
    let begin: Duration = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into();
    std::hint::black_box(work().map_err(Into::into)?);
    let end: Duration = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into();
    Ok(end.saturating_sub(begin))
}

/// How long it took.
fn time_of<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<Duration, E> {
    let begin = Instant::now();
    std::hint::black_box(work()?);
    Ok(begin.elapsed())
}
