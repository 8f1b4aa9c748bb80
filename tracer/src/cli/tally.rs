//! What a recording has seen so far, in a line.

use super::recording::lost;
use crate::{
    event::{Body, Event, Timestamp},
    filter::family_of,
    session::{Condition, RecorderStatus},
    state::{Accounting, COUNTED_FAMILIES, Hooks},
    tui::text::{clock, exact, rate, short, size},
};

/// Counts of what passed by.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// In the order of [`COUNTED_FAMILIES`].
    families: [u64; COUNTED_FAMILIES.len()],
    hooks: Hooks,
    accounting: Accounting,
    ready: Option<Timestamp>,
    last: Timestamp,
    /// Events up to the sample before the last, and that sample's time.
    sampled: (u64, Timestamp),
    per_second: f64,
}

impl Tally {
    /// Counts an event in.
    pub(super) fn note(&mut self, event: &Event) {
        self.last = self.last.max(event.time);
        match &event.body {
            Body::HookStatus(status) => self.hooks.status_of(event.netns.node, status),
            Body::Ready => {
                self.ready = Some(event.time);
                self.sampled.1 = event.time;
            }
            Body::Stats(stats) => {
                self.accounting.sample(event.netns.node, stats);
                if stats.last_of_batch {
                    self.sample(event.time);
                }
            }
            body if body.is_snapshot() => {}
            body => {
                let family = family_of(body.kind());
                let place = COUNTED_FAMILIES.iter().position(|counted| Some(*counted) == family);
                if let Some(count) = place.and_then(|place| self.families.get_mut(place)) {
                    *count += 1;
                }
            }
        }
    }

    /// The rate over the time since the last sample of the accounting, which comes once a second.
    fn sample(&mut self, now: Timestamp) {
        let (events_before, before) = self.sampled;
        let events = self.events();
        #[expect(clippy::cast_precision_loss, reason = "a count of one second and a second in nanoseconds")]
        let (count, elapsed_ns) =
            ((events - events_before) as f64, now.boot_ns.saturating_sub(before.boot_ns) as f64);
        if elapsed_ns > 0.0 {
            self.per_second = count * 1e9 / elapsed_ns;
            self.sampled = (events, now);
        }
    }

    fn events(&self) -> u64 {
        self.families.iter().sum()
    }

    fn elapsed(&self) -> String {
        let ready = self.ready.unwrap_or(self.last);
        clock(self.last.boot_ns.saturating_sub(ready.boot_ns))
    }

    /// Whether all hooks have been tried.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.is_some()
    }

    /// How far it is until then.
    pub(super) fn attaching(&self) -> String {
        format!("attaching hooks: {} tried", self.hooks.tried())
    }

    /// What was not told: `3 lost, 1 suppressed`.
    pub(super) fn losses(&self) -> String {
        let total = self.accounting.total();
        match total.suppressed {
            0 => format!("{} lost", short(total.lost)),
            suppressed => format!("{} lost, {} suppressed", short(total.lost), short(suppressed)),
        }
    }

    /// How it goes, in a line; the losses stand before what a narrow terminal cuts.
    pub(super) fn line(&self, recorded: &RecorderStatus) -> String {
        if !self.is_ready() {
            return self.attaching();
        }
        let mut losses = self.losses();
        let families: Vec<String> = COUNTED_FAMILIES
            .iter()
            .zip(self.families)
            .map(|(family, count)| format!("{family} {}", short(count)))
            .collect();
        if recorded.lost_records != 0 {
            losses = format!("{losses}, {} not written", short(recorded.lost_records));
        }
        if let Condition::Waiting(reason) = &recorded.condition {
            losses = format!("{losses}, waiting: {reason}");
        }
        let (elapsed, size, per_second) = (self.elapsed(), size(recorded.bytes), rate(self.per_second));
        format!("{elapsed}  {size}  {losses}  {per_second}/s  {}", families.join("  "))
    }

    /// What it came to.
    pub(super) fn summary(&self, recorded: &RecorderStatus) -> String {
        let mut written = size(recorded.bytes);
        if recorded.parts > 1 {
            written = format!("{written} in {} files", recorded.parts);
        }
        self.summary_of(&(written + &lost(recorded)))
    }

    /// The same of what was written by others: how much that is, and what of it is missing.
    pub(super) fn summary_of(&self, written: &str) -> String {
        let families: Vec<String> = COUNTED_FAMILIES
            .iter()
            .zip(self.families)
            .filter(|(_, count)| *count != 0)
            .map(|(family, count)| format!("{} {family}", exact(count)))
            .collect();
        let told = if families.is_empty() { String::new() } else { format!(" ({})", families.join(", ")) };
        let mut text = format!("{} events{told} in {}, {written}", exact(self.events()), self.elapsed());
        let total = self.accounting.total();
        if total.seen != 0 {
            let (seen, suppressed, lost) = (exact(total.seen), exact(total.suppressed), exact(total.lost));
            text = format!(
                "{text}; seen in the kernel: {seen}, of which {suppressed} suppressed and {lost} lost"
            );
        }
        match self.hooks.missing() {
            0 => text,
            missing => {
                format!("{text}; {missing} of {} hooks missing, see tracer doctor", self.hooks.tried())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Tally;
    use crate::{
        output::tests::{events, every_event},
        session::{Condition, RecorderStatus},
    };

    fn note_all(tally: &mut Tally) {
        for event in events(&every_event()) {
            tally.note(&event);
        }
    }

    fn recorded(bytes: u64, parts: u32, lost_records: u64, condition: Condition) -> RecorderStatus {
        let (path, elapsed) = ("run.tracer".into(), Duration::from_secs(1));
        RecorderStatus { path, parts, elapsed, bytes, lost_records, condition }
    }

    #[test]
    fn a_tally_of_every_event() {
        let mut tally = Tally::default();
        let empty = recorded(24, 1, 0, Condition::Writing);
        assert_eq!(tally.line(&empty), "attaching hooks: 0 tried");
        assert_eq!(tally.summary(&empty), "0 events in 00:00:00, 24 B");
        note_all(&mut tally);
        let usual = recorded(1 << 20, 1, 0, Condition::Writing);
        insta::assert_snapshot!(format!("{}\n{}", tally.line(&usual), tally.summary(&usual)));
    }

    #[test]
    fn what_could_not_be_written_is_told() {
        let mut tally = Tally::default();
        note_all(&mut tally);
        let waiting = recorded(1 << 20, 3, 12_345, Condition::Waiting("no room".to_owned()));
        let (line, summary) = (tally.line(&waiting), tally.summary(&waiting));
        assert!(line.contains(", 12.3k not written, waiting: no room  "), "{line}");
        assert!(summary.contains(" in 3 files; 12,345 records could not be written"), "{summary}");
    }
}
