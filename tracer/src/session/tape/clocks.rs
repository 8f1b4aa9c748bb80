//! What can be said of several nodes' clocks, in sentences.

use super::{Source, axis::Placement};
use crate::event::Timestamp;

/// Where the order of several nodes' records is doubtful, beyond what their clocks say of themselves.
pub(super) fn doubts(sources: &[Source], placements: &[Placement]) -> Vec<String> {
    let mut doubts = Vec::new();
    if sources.len() < 2 {
        return doubts;
    }
    for (source, placement) in sources.iter().zip(placements) {
        if !placement.is_known {
            doubts.push(format!(
                "the beginning of {} does not tell the clock of its node: its records may be at the wrong time",
                files(source)
            ));
        }
    }
    for (place, source) in sources.iter().enumerate() {
        let same = sources.iter().skip(place + 1).filter(|other| other.node == source.node);
        for other in same.filter(|other| overlap_ns(source, other) > 0) {
            doubts.push(format!(
                "{} and {} were recorded on {} at the same time: what both have is told twice",
                files(source),
                files(other),
                source.name
            ));
        }
    }
    doubts
}

/// How the sessions of several nodes stand to each other in time, one sentence each; none of one node alone.
pub(super) fn sentences(sources: &[Source]) -> Vec<String> {
    if sources.iter().all(|source| source.node == 0) {
        return Vec::new();
    }
    sources.iter().map(|source| sentence(source, sources)).collect()
}

fn sentence(source: &Source, sources: &[Source]) -> String {
    let mut text = format!("{}: {} to {} UTC", source.name, moment(source.first), moment(source.last));
    text.push_str(&match source.clock {
        None => ", its clock is not told to be synchronised".to_owned(),
        Some(clock) => match (clock.is_synchronised, clock.largest_error_us) {
            (Some(true), Some(error_us)) => {
                format!(", clock synchronised to within {}", length(i128::from(error_us) * 1_000))
            }
            (Some(true), None) => ", clock synchronised".to_owned(),
            (Some(false), _) => {
                ", clock NOT synchronised: its records may be at the wrong time, see --shift".to_owned()
            }
            (None, _) => ", its clock is not told to be synchronised".to_owned(),
        },
    });
    if source.shift_ns != 0 {
        let sign = if source.shift_ns < 0 { "-" } else { "+" };
        text.push_str(&format!(", shifted by {sign}{}", length(i128::from(source.shift_ns).abs())));
    }
    let others = sources.iter().filter(|other| other.node != source.node);
    let most = others.map(|other| overlap_ns(source, other)).max();
    if most == Some(0) {
        text.push_str(", at another time than all others");
    }
    text
}

/// For how long two sessions were recorded at once.
fn overlap_ns(source: &Source, other: &Source) -> u64 {
    let begin = source.first.boot_ns.max(other.first.boot_ns);
    source.last.boot_ns.min(other.last.boot_ns).saturating_sub(begin)
}

fn files(source: &Source) -> String {
    let names: Vec<String> = source.files.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}

fn moment(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(time.wall_ns)).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A length of time as people write it.
fn length(nanoseconds: i128) -> String {
    const SECOND_NS: i128 = 1_000_000_000;
    let (whole, unit) = match nanoseconds {
        0..1_000_000 => (1_000, "µs"),
        1_000_000..SECOND_NS => (1_000_000, "ms"),
        _ => (SECOND_NS, "s"),
    };
    format!("{}.{:03} {unit}", nanoseconds / whole, nanoseconds % whole / (whole / 1_000))
}
