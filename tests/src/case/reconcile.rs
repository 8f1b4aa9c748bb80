//! Retransmits counted by three: the program under test, the kernel, and the witness.

use anyhow::{Result, bail, ensure};

use super::{Setting, note};
use crate::{
    counters::Counters,
    expect::{Events, falls_short},
    layout::Layout,
    namespace::Namespace,
    retransmits::Retransmits,
    tracer::{Run, Tracer},
    witness::Witness,
};

/// A tracer, and what it will be compared with.
pub(super) struct Observed<'a> {
    pub(super) tracer: Tracer,
    case: &'static str,
    watched: Vec<Watched<'a>>,
}

struct Watched<'a> {
    namespace: &'a Namespace,
    witness: Witness,
    before: Counters,
}

impl<'a> Observed<'a> {
    /// Starts a tracer of retransmits. To be called while nothing is sent in the namespaces.
    pub(super) fn start(setting: &Setting, namespaces: &[&'a Namespace]) -> Result<Self> {
        Self::start_with(setting, namespaces, Events::default())
    }

    /// As [`start`](Self::start), with all events added to `events`.
    pub(super) fn start_with(
        setting: &Setting,
        namespaces: &[&'a Namespace],
        events: Events,
    ) -> Result<Self> {
        let tracer = setting.trace_into(events, &["--only", "retransmit"])?;
        let watched = namespaces
            .iter()
            .map(|&namespace| {
                let witness = Witness::watch(namespace)?;
                Ok(Watched { namespace, witness, before: Counters::tcp(namespace)? })
            })
            .collect::<Result<_>>()?;
        Ok(Self { tracer, case: setting.case, watched })
    }

    /// Ends the run and compares every namespace's three counts. To be called when nothing can be sent any more.
    pub(super) fn reconcile(self) -> Result<Reconciled> {
        let counted: Vec<Grown> = self
            .watched
            .iter()
            .map(|watched| Grown::since(watched.namespace, &watched.before))
            .collect::<Result<_>>()?;
        let run = self.tracer.stop()?;
        let tells_errors = Layout::of_this_kernel()?.tells_errors;
        let mut grown = Vec::new();
        for (watched, counted) in self.watched.iter().zip(counted) {
            let told = run.events.retransmits(watched.namespace);
            let seen = watched.witness.retransmits()?;
            let Some(hidden) = hidden(&counted, told, seen, tells_errors) else {
                bail!(
                    "{}: tracer told {told:?}, the witness saw {seen:?}, the kernel counted {counted:?}",
                    watched.namespace.name()
                );
            };
            if hidden > 0 {
                note(&format!(
                    "{}: this kernel ran no BPF program for {hidden} of {} segments sent again (a policy of the \
                     host); the witness agrees with tracer",
                    self.case, counted.segments
                ));
            }
            grown.push(Grown { hidden, ..counted });
        }
        let accounting = run.events.accounting("retransmit")?;
        accounting.balances()?;
        ensure!(accounting.lost == 0 && accounting.suppressed == 0, "records are missing: {accounting:?}");
        Ok(Reconciled { run, grown })
    }
}

/// A run that agrees with the kernel, but for what the kernel hid from every program.
pub(super) struct Reconciled {
    pub(super) run: Run,
    /// By namespace, in the order given at the start.
    pub(super) grown: Vec<Grown>,
}

/// What the kernel counted in one namespace.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Grown {
    /// Segments sent again, or tried to and refused below TCP (`TcpRetransSegs` counts both).
    pub(super) segments: u64,
    /// Segments of those that were refused.
    pub(super) refused: u64,
    /// Packets that were not sent again, because they still lay in the host's own queues. Loss probes that were not even
    /// tried for that are among them.
    pub(super) held: u64,
    /// SYNs and SYN-ACKs among them, in packets.
    pub(super) opening: u64,
    /// Timeouts of the retransmission timer.
    pub(super) timeouts: u64,
    /// Loss probes, whether with new data or old.
    pub(super) loss_probes: u64,
    /// Segments sent again in recovery.
    pub(super) fast: u64,
    /// Segments sent again by acknowledgements after a timeout.
    pub(super) slow_start: u64,
    /// Segments for which the kernel ran no BPF program, as far as is known: the leeway of every other comparison.
    pub(super) hidden: u64,
}

impl Grown {
    fn since(namespace: &Namespace, before: &Counters) -> Result<Self> {
        let now = Counters::tcp(namespace)?;
        let grown = |name| now.growth(before, name);
        Ok(Self {
            segments: grown("TcpRetransSegs")?,
            refused: grown("TcpExtTCPRetransFail")?,
            held: grown("TcpExtTCPSpuriousRtxHostQueues")?,
            opening: grown("TcpExtTCPSynRetrans")?,
            timeouts: grown("TcpExtTCPTimeouts")?,
            loss_probes: grown("TcpExtTCPLossProbes")?,
            fast: grown("TcpExtTCPFastRetrans")?,
            slow_start: grown("TcpExtTCPSlowStartRetrans")?,
            hidden: 0,
        })
    }
}

/// How many segments the kernel counted and hid from every BPF program; `None` if tracer or the witness is wrong.
///
/// Both have to agree in everything both are told, and neither may exceed the kernel. What both miss is hidden: they
/// have nothing in common that could have missed it. Failed attempts the tracepoint does not tell are judged by the
/// cases about them.
fn hidden(counted: &Grown, told: Retransmits, seen: Retransmits, tells_errors: bool) -> Option<u64> {
    let sent = counted.segments.checked_sub(counted.refused)?;
    let hidden_sent = sent.checked_sub(told.sent.segments)?;
    let (hidden_failed, opening) = if tells_errors {
        (counted.refused.checked_sub(told.failed.segments)?, told.sent.opening + told.failed.opening)
    } else {
        (0, told.sent.opening)
    };
    let hidden = hidden_sent + hidden_failed;
    // `TCPSynRetrans` counts refused SYNs too, which the tracepoint may not tell.
    let leeway = if tells_errors { hidden } else { hidden + counted.refused };
    let errors_agree = told.failed == seen.failed && told.held == seen.held && told.held.hits <= counted.held;
    let agrees = told.sent == seen.sent && (!tells_errors || errors_agree);
    (agrees && falls_short(opening, counted.opening, leeway)).then_some(hidden)
}

#[cfg(test)]
mod tests {
    use super::{Grown, hidden};
    use crate::retransmits::{Retransmits, Sums};

    fn retransmits(sent: (u64, u64, u64), failed: (u64, u64, u64)) -> Retransmits {
        let sums = |(hits, segments, opening)| Sums { hits, segments, opening };
        Retransmits { sent: sums(sent), failed: sums(failed), ..Retransmits::default() }
    }

    #[test]
    fn what_both_programs_miss_is_hidden_and_nothing_else() {
        const NONE: (u64, u64, u64) = (0, 0, 0);
        // (segments, refused, opening) of the kernel; tracer; witness; with errors told or not.
        for (name, counted, told, seen, expected) in [
            ("all agree", (6, 0, 2), (4, 6, 2), (4, 6, 2), [Some(0), Some(0)]),
            ("nothing happened", (0, 0, 0), NONE, NONE, [Some(0), Some(0)]),
            ("both miss one", (6, 0, 2), (3, 5, 1), (3, 5, 1), [Some(1), Some(1)]),
            ("both miss all", (6, 0, 2), NONE, NONE, [Some(6), Some(6)]),
            ("tracer misses one", (6, 0, 2), (3, 5, 1), (4, 6, 2), [None, None]),
            ("tracer misses one more", (6, 0, 2), (2, 4, 1), (3, 5, 2), [None, None]),
            ("tracer tells one twice", (6, 0, 2), (5, 7, 2), (4, 6, 2), [None, None]),
            ("both tell one twice", (6, 0, 2), (5, 7, 2), (5, 7, 2), [None, None]),
            ("the witness misses one", (6, 0, 2), (4, 6, 2), (3, 5, 2), [None, None]),
            ("segments told wrong", (6, 0, 2), (4, 5, 2), (4, 6, 2), [None, None]),
            ("an opening too few", (6, 0, 3), (4, 6, 2), (4, 6, 2), [None, None]),
            ("an opening too many", (6, 0, 1), (4, 6, 2), (4, 6, 2), [None, None]),
            ("refused ones are untold", (6, 2, 2), (2, 4, 1), (2, 4, 1), [Some(2), Some(0)]),
            ("refused ones told as sent", (6, 2, 2), (4, 6, 2), (4, 6, 2), [None, None]),
        ] {
            let (segments, refused, opening) = counted;
            let counted = Grown { segments, refused, opening, ..Grown::default() };
            let found = [true, false]
                .map(|tells| hidden(&counted, retransmits(told, NONE), retransmits(seen, NONE), tells));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn failed_attempts_count_where_the_tracepoint_tells_them() {
        let counted = Grown { segments: 3, refused: 2, opening: 3, ..Grown::default() };
        for (name, told, seen, expected) in [
            ("all agree", (2, 2, 2), (2, 2, 2), [Some(0), Some(0)]),
            ("both miss one", (1, 1, 1), (1, 1, 1), [Some(1), Some(0)]),
            ("told by another hook", (2, 2, 2), (0, 0, 0), [None, Some(0)]),
        ] {
            let (told, seen) = (retransmits((1, 1, 1), told), retransmits((1, 1, 1), seen));
            assert_eq!([true, false].map(|tells| hidden(&counted, told, seen, tells)), expected, "{name}");
        }
    }
    #[test]
    fn attempts_held_back_are_no_segments_sent_and_no_more_than_the_kernel_held() {
        let counted = Grown { segments: 3, held: 2, opening: 1, ..Grown::default() };
        let retransmits = |hits, segments| Retransmits {
            sent: Sums { hits: 3, segments: 3, opening: 1 },
            held: Sums { hits, segments, opening: 0 },
            ..Retransmits::default()
        };
        for (name, told, seen, expected) in [
            ("all agree", (2, 90), (2, 90), Some(0)),
            ("one was a loss probe", (1, 45), (1, 45), Some(0)),
            ("tracer misses one", (1, 45), (2, 90), None),
            ("more than the kernel held", (3, 135), (3, 135), None),
        ] {
            let [told, seen] = [told, seen].map(|(hits, segments)| retransmits(hits, segments));
            assert_eq!(hidden(&counted, told, seen, true), expected, "{name}");
        }
    }
}
