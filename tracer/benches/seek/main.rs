//! How long it takes until another moment of a long session is shown: `cargo bench --bench seek`.
//!
//! A session of ten million events is written, gone through as a replay does, and then moments all over it are asked for
//! one after the other. Told is the time from the key to the state, of the median and of the slowest, with few flows and
//! with as many as the state keeps.

#[path = "../throughput/mix.rs"]
mod mix;

use std::{
    error::Error,
    fs, io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tracer::{
    event::Timestamp,
    history::{Recorded, Replay, USUAL_CHECKPOINT_BYTES},
    session::{SessionWriter, Tape},
    state::Limits,
};

/// Records written at a time.
const PART: u32 = 1_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test --all-targets` runs benchmarks too, and wants only to see them end well.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (records, seeks) = if is_bench { (10_000_000, 100) } else { (2_000, 3) };
    println!(
        "{:<16} {:>10} {:>10} {:>12} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "flows", "file", "indexed in", "checkpoints", "memory", "median", "slowest", "1 s back", "1 s on"
    );
    for flows in [1_000, 10_000, 100_000] {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("session.trace");
        write(&path, flows.min(records), records)?;
        measure(&path, flows, seeks)?;
    }
    Ok(())
}

fn write(path: &Path, flows: u32, records: u32) -> io::Result<()> {
    let mut writer = SessionWriter::create(path, false).map_err(io::Error::other)?;
    for from in (0..records).step_by(PART as usize) {
        for block in mix::run(flows, from..(from + PART).min(records)) {
            writer.append(&block)?;
        }
    }
    writer.finish().map(drop)
}

fn measure(path: &Path, flows: u32, seeks: u32) -> Result<(), Box<dyn Error>> {
    let tape: Arc<dyn Recorded> = Arc::new(Tape::open(&[path.to_owned()])?);
    let mut replay = Replay::new(tape, None, None, Limits::default(), USUAL_CHECKPOINT_BYTES);
    let began = Instant::now();
    for found in replay.take_indexer().into_iter().flatten() {
        replay.take_found(found);
    }
    let indexed = began.elapsed();
    let (checkpoints, memory_bytes) = replay.checkpoints();
    let first = replay.begin();
    let length_ns = replay.end().boot_ns - first.boot_ns;
    let [mut far, mut back, mut on] = [const { Vec::<Duration>::new() }; 3];
    for number in 0..seeks {
        // Everywhere, in no order.
        let share = u64::from(number.wrapping_mul(0x9e37_79b9));
        let to = Timestamp { boot_ns: first.boot_ns + length_ns * share / (1 << 32), ..first };
        far.push(go(&mut replay, to));
        back.push(go(&mut replay, to.earlier_by_ns(1_000_000_000)));
        on.push(go(&mut replay, to));
    }
    let told = |times: &mut Vec<Duration>, share: usize| {
        times.sort_unstable();
        let time = times.get((times.len() - 1) * share / 100).copied().unwrap_or_default();
        format!("{:.0} ms", time.as_secs_f64() * 1e3)
    };
    println!(
        "{flows:<16} {:>10} {:>10} {checkpoints:>12} {:>10} {:>10} {:>10} {:>10} {:>10}",
        format!("{} MiB", fs::metadata(path)?.len() >> 20),
        format!("{:.1} s", indexed.as_secs_f64()),
        format!("{} MiB", memory_bytes >> 20),
        told(&mut far, 50),
        told(&mut far, 100),
        told(&mut back, 50),
        told(&mut on, 50),
    );
    Ok(())
}

/// Goes to a moment, as fast as it can be done.
fn go(replay: &mut Replay, to: Timestamp) -> Duration {
    let began = Instant::now();
    replay.go_to(to);
    while replay.has_work() {
        replay.work();
    }
    began.elapsed()
}
