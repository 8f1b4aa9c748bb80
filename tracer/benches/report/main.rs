//! How long a report of ten million events takes, and how much memory: `cargo bench --bench report [-- FILE…]`.
//!
//! The session is made up, the same in every run: a storm on a busy node with a hundred thousand flows, 50,000 events a
//! second, and the accounting once a second as tracer samples it. Recorded sessions can be named besides.

#[path = "../throughput/mix.rs"]
mod mix;

use std::{
    error::Error,
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use tracer::{
    block::Block,
    output::report::Report,
    session::{SessionReader, SessionWriter},
};
use tracer_common::record::RecordHeader;
use zerocopy::FromBytes as _;

/// Flows that retransmit, as many as the state keeps.
const FLOWS: u32 = 100_000;

/// Records of one stretch, which is repeated.
const STRETCH: u32 = 1_000_000;
/// How long one takes: the made-up records are 20 µs apart.
const STRETCH_NS: u64 = 20_000_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test --all-targets` runs benchmarks too, and wants only to see them end well.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (flows, records, stretches) = if is_bench { (FLOWS, STRETCH, 10) } else { (100, 2_000, 2) };
    let directory = tempfile::tempdir()?;
    let made_up = directory.path().join("session");
    write_session(&made_up, &mix::run(flows, 0..records), stretches)?;
    println!(
        "{:<20} {:>10} {:>9} {:>9} {:>9} {:>9} {:>11} {:>11}",
        "", "records", "read s", "text ms", "page ms", "JSON ms", "page bytes", "peak MiB"
    );
    tell("made up", &made_up)?;
    for file in std::env::args().skip(1).filter(|argument| !argument.starts_with('-')) {
        tell(&file, &PathBuf::from(&file))?;
    }
    Ok(())
}

/// Reports a session and prints its line.
fn tell(name: &str, path: &Path) -> Result<(), Box<dyn Error>> {
    let (report, reading) = time_of(|| read(path));
    let (report, records) = report?;
    let (text, writing) = time_of(|| report.markdown().to_string());
    let (page, drawing) = time_of(|| report.html());
    let (json, listing) = time_of(|| report.json());
    std::hint::black_box((text, json?));
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{name:<20} {records:>10} {:>9.2} {:>9.1} {:>9.1} {:>9.1} {:>11} {:>11.1}",
        reading.as_secs_f64(),
        milliseconds(writing),
        milliseconds(drawing),
        milliseconds(listing),
        page.len(),
        peak_mebibytes()?
    );
    Ok(())
}

/// The report of a session, and how many records that has.
fn read(path: &Path) -> Result<(Report, u64), Box<dyn Error>> {
    let mut report = Report::default();
    for block in SessionReader::open(path)? {
        report.take(&block?);
    }
    let records = report.records();
    Ok((report, records))
}

/// Writes the same records several times over, each time later.
fn write_session(path: &Path, blocks: &[Block], stretches: u64) -> io::Result<()> {
    let mut writer = SessionWriter::new(BufWriter::new(File::create(path)?))?;
    for stretch in 0..stretches {
        for block in blocks {
            let mut bytes = BytesMut::from(&block.0[..]);
            shift(&mut bytes, stretch * STRETCH_NS);
            writer.append(&Block(bytes.freeze()))?;
        }
    }
    writer.finish()?.flush()
}

/// Sets the time of every record forward.
fn shift(bytes: &mut [u8], by_ns: u64) {
    let mut place = 0;
    while let Some(rest) = bytes.get_mut(place..)
        && let Ok((header, _)) = RecordHeader::mut_from_prefix(rest)
    {
        header.time_ns += by_ns;
        place += usize::from(header.length_bytes).max(size_of::<RecordHeader>());
    }
}

fn time_of<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let result = work();
    (result, begin.elapsed())
}

/// The most memory this process ever had (`VmHWM` of `/proc/self/status`).
fn peak_mebibytes() -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc/self/status")?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes / 1024.0)
}
