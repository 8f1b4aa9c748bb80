//! For how long nothing of a flow got through, as its repeated segments tell.

use crate::event::{Retransmit, RetransmitKind, Timestamp};

/// A time in which a flow made no progress: the peer acknowledged nothing new, though it was sent again and again.
///
/// Only attempts are seen, never acknowledgements, so this is what is certain, and the truth may be longer:
///
/// - All its attempts found the connection's first unacknowledged byte (`snd_una`) at the same place. So nothing was
///   acknowledged from the first of them to the last.
/// - It begins with the first attempt; where a timer caused that one, with the setting of the timer, for that long was
///   the segment unanswered by then.
/// - It ends with the last attempt. When after it an answer came, if any did, is not seen.
///
/// Attempts that fail within the node count: nothing goes out then, and nothing is answered. Attempts at a window that
/// the peer closed do not: the peer answers, but has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// When it began.
    pub began: Timestamp,
    /// The last attempt, in whole milliseconds since it began.
    pub last: Timestamp,
    /// Attempts, failed ones included.
    pub attempts: u32,
}

impl Outage {
    /// How long it is known to have lasted, in nanoseconds.
    pub fn duration_ns(&self) -> u64 {
        self.last.boot_ns.saturating_sub(self.began.boot_ns)
    }
}

/// The outages of one flow: the newest and the longest.
#[derive(Clone, Debug, Default)]
pub(super) struct Outages {
    newest: Span,
    longest: Span,
    /// The next attempt comes within so long after the last, unless the newest outage is over.
    next_within_ms: u32,
    /// The first unacknowledged sequence number of the newest outage.
    unacknowledged: u32,
}

const MILLISECOND_NS: u64 = 1_000_000;

/// An outage, and none if it has no attempts. There are two in every flow, so it is small.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    /// Nanoseconds since boot.
    began_ns: u64,
    /// Whole milliseconds to the last attempt.
    duration_ms: u32,
    attempts: u32,
}

impl Span {
    fn new(began_ns: u64, last_ns: u64, attempts: u32) -> Self {
        let duration_ms = last_ns.saturating_sub(began_ns) / MILLISECOND_NS;
        Self { began_ns, duration_ms: u32::try_from(duration_ms).unwrap_or(u32::MAX), attempts }
    }

    fn last_ns(self) -> u64 {
        self.began_ns.saturating_add(u64::from(self.duration_ms) * MILLISECOND_NS)
    }

    /// With the wall clock that `time` goes by.
    fn outage(self, time: Timestamp) -> Option<Outage> {
        let at = |boot_ns| match time.boot_ns.checked_sub(boot_ns) {
            Some(before_ns) => time.earlier_by_ns(before_ns),
            None => {
                Timestamp { boot_ns, wall_ns: time.wall_ns.saturating_add_unsigned(boot_ns - time.boot_ns) }
            }
        };
        (self.attempts != 0).then(|| Outage {
            began: at(self.began_ns),
            last: at(self.last_ns()),
            attempts: self.attempts,
        })
    }
}

impl Outages {
    /// Takes in an attempt.
    pub(super) fn attempt(&mut self, time: Timestamp, attempt: &Retransmit) {
        if attempt.kind == RetransmitKind::ZeroWindow {
            return;
        }
        let now_ns = time.boot_ns;
        let before = self.newest;
        if before.attempts != 0 && attempt.unacknowledged == self.unacknowledged {
            let last_ns = before.last_ns().max(now_ns);
            self.newest = Span::new(before.began_ns, last_ns, before.attempts.saturating_add(1));
        } else if now_ns < before.last_ns() {
            // It comes late from another CPU, and belongs to an outage that is over.
            return;
        } else {
            let waited_ns = waited_ns(attempt).unwrap_or_default();
            // The progress since the attempt before came after that one.
            let began_ns = now_ns.saturating_sub(waited_ns).max(before.last_ns());
            self.newest = Span::new(began_ns, now_ns, 1);
            self.unacknowledged = attempt.unacknowledged;
        }
        let since_ns = now_ns.saturating_sub(before.last_ns());
        let is_first = self.newest.attempts == 1;
        let next_within_ms = longest_wait_ns(attempt, (!is_first).then_some(since_ns)) / MILLISECOND_NS;
        self.next_within_ms = u32::try_from(next_within_ms).unwrap_or(u32::MAX);
        if self.newest.duration_ms >= self.longest.duration_ms {
            self.longest = self.newest;
        }
    }

    /// The longest outage, `time` being any time of the flow.
    pub(super) fn longest(&self, time: Timestamp) -> Option<Outage> {
        self.longest.outage(time)
    }

    /// The outage that goes on, unless the next attempt is overdue by now.
    pub(super) fn at(&self, now: Timestamp) -> Option<Outage> {
        self.newest.outage(now).filter(|_| self.goes_on(now))
    }

    fn goes_on(&self, now: Timestamp) -> bool {
        let next_within_ns = u64::from(self.next_within_ms) * MILLISECOND_NS;
        now.boot_ns <= self.newest.last_ns().saturating_add(next_within_ns)
    }
}

/// For how long the segment had been unanswered already, if a timer caused the attempt: `tcp_retransmit_timer` runs
/// when the timeout has passed since the segment was sent or the last acknowledgement came.
fn waited_ns(attempt: &Retransmit) -> Option<u64> {
    let is_of_timer = matches!(attempt.kind, RetransmitKind::Syn | RetransmitKind::Timeout);
    attempt.rto_us.filter(|_| is_of_timer && attempt.succeeded()).map(|rto_us| rto_us.saturating_mul(1_000))
}

/// After how long the next attempt is overdue. The kernel doubles the timeout at most, whatever made the attempt; where
/// the timeout is not known (a SYN-ACK's), it is taken from the time between the last two attempts, if there were two.
fn longest_wait_ns(attempt: &Retransmit, since_last_ns: Option<u64>) -> u64 {
    /// The first timeout of a connection (`TCP_TIMEOUT_INIT`).
    const FIRST_TIMEOUT_NS: u64 = 1_000_000_000;
    /// The longest timeout (`TCP_RTO_MAX`).
    const LONGEST_TIMEOUT_NS: u64 = 120_000_000_000;
    /// Timers go by ticks, may be late, and records wait in the ring.
    const SLACK_NS: u64 = 500_000_000;
    let timeout_ns = attempt.rto_us.map(|rto_us| rto_us.saturating_mul(1_000));
    let usual_ns = timeout_ns.or(since_last_ns).unwrap_or(FIRST_TIMEOUT_NS);
    usual_ns.saturating_mul(2).min(LONGEST_TIMEOUT_NS) + SLACK_NS
}

#[cfg(test)]
mod tests {
    use super::Outages;
    use crate::{
        event::{Failure, Retransmit, RetransmitKind, Timestamp},
        state::fixture::{at, retransmit},
    };

    /// Attempts as milliseconds, kind, first unacknowledged byte and timeout in milliseconds.
    type Attempts = &'static [(u64, RetransmitKind, u32, Option<u64>)];

    /// Begin and end of the longest outage in milliseconds, and its attempts.
    type Longest = Option<(u64, u64, u32)>;

    fn attempt(kind: RetransmitKind, unacknowledged: u32, rto_ms: Option<u64>) -> Retransmit {
        Retransmit {
            unacknowledged,
            rto_us: rto_ms.map(|rto_ms| rto_ms * 1_000),
            ..retransmit(kind, "10.0.0.1:40000", "10.0.0.2:80")
        }
    }

    fn after(attempts: Attempts) -> Outages {
        let mut outages = Outages::default();
        for &(milliseconds, kind, unacknowledged, rto_ms) in attempts {
            outages.attempt(at(milliseconds), &attempt(kind, unacknowledged, rto_ms));
        }
        outages
    }

    #[test]
    fn the_longest_outage_is_what_the_attempts_prove() {
        use RetransmitKind::{Fast, SlowStart, Syn, SynAck, TailLossProbe, Timeout, ZeroWindow};
        // Name, attempts, and of the longest outage: begin and end in milliseconds and attempts.
        let table: [(&str, Attempts, Longest); 11] = [
            ("nothing", &[], None),
            (
                "one timeout: as long as the timer ran",
                &[(5_000, Timeout, 7, Some(200))],
                Some((4_800, 5_000, 1)),
            ),
            (
                "timeouts that double",
                &[(5_000, Syn, 7, Some(1_000)), (7_000, Syn, 7, Some(2_000)), (11_000, Syn, 7, Some(4_000))],
                Some((4_000, 11_000, 3)),
            ),
            (
                "a probe, then timeouts of another segment: nothing was acknowledged between",
                &[(5_000, TailLossProbe, 7, Some(200)), (5_300, Timeout, 7, Some(220))],
                Some((5_000, 5_300, 2)),
            ),
            (
                "progress in between",
                &[
                    (5_000, Timeout, 7, Some(200)),
                    (5_100, SlowStart, 8, Some(400)),
                    (5_150, SlowStart, 9, Some(400)),
                ],
                Some((4_800, 5_000, 1)),
            ),
            (
                "a timer does not reach back beyond the last progress",
                &[(5_000, Fast, 7, Some(200)), (5_100, Timeout, 8, Some(200))],
                Some((5_000, 5_100, 1)),
            ),
            (
                "a closed window is answered",
                &[(5_000, ZeroWindow, 7, Some(200)), (9_000, ZeroWindow, 7, Some(200))],
                None,
            ),
            (
                "a new connection from the same port",
                &[(5_000, Syn, 7_000, Some(1_000)), (90_000, Syn, 100, Some(1_000))],
                Some((89_000, 90_000, 1)),
            ),
            (
                "SYN-ACKs, whose timeout is not known",
                &[(5_000, SynAck, 7, None), (7_000, SynAck, 7, None)],
                Some((5_000, 7_000, 2)),
            ),
            (
                "late from another CPU, of the same outage",
                &[(5_000, Fast, 7, None), (6_000, Fast, 7, None), (5_500, Fast, 7, None)],
                Some((5_000, 6_000, 3)),
            ),
            (
                "late from another CPU, of the outage before",
                &[(5_000, Fast, 7, None), (6_000, Timeout, 8, Some(500)), (5_900, Fast, 7, None)],
                Some((5_500, 6_000, 1)),
            ),
        ];
        for (name, attempts, expected) in table {
            let longest = after(attempts).longest(at(100_000));
            let told = longest.map(|outage| (outage.began, outage.last, outage.attempts));
            assert_eq!(told, expected.map(|(began, last, count)| (at(began), at(last), count)), "{name}");
        }
    }

    #[test]
    fn a_later_shorter_outage_leaves_the_longest() {
        use RetransmitKind::Timeout;
        let outages = after(&[
            (5_000, Timeout, 7, Some(200)),
            (5_400, Timeout, 7, Some(400)),
            (9_000, Timeout, 8, Some(200)),
        ]);
        assert_eq!(outages.longest(at(9_000)).unwrap().duration_ns(), 600_000_000);
        assert_eq!(outages.at(at(9_000)).unwrap().duration_ns(), 200_000_000);
    }

    #[test]
    fn an_outage_goes_on_until_the_next_attempt_is_overdue() {
        use RetransmitKind::{SynAck, Timeout};
        let table: [(&str, Attempts, u64); 4] = [
            ("by the timeout", &[(5_000, Timeout, 7, Some(200))], 5_900),
            ("the longest timeout", &[(500_000, Timeout, 7, Some(120_000))], 620_500),
            ("a first attempt without a timeout", &[(5_000, SynAck, 7, None)], 7_500),
            ("by the time between two", &[(5_000, SynAck, 7, None), (9_000, SynAck, 7, None)], 17_500),
        ];
        for (name, attempts, end_ms) in table {
            let outages = after(attempts);
            assert!(outages.at(at(end_ms)).is_some(), "{name}");
            assert_eq!(outages.at(at(end_ms + 1)), None, "{name}");
        }
    }

    #[test]
    fn attempts_that_fail_within_the_node_count() {
        let mut outages = Outages::default();
        for milliseconds in [5_000, 5_500] {
            let mut failed = attempt(RetransmitKind::Timeout, 7, Some(200));
            failed.error = Some(Failure::Errno(101));
            outages.attempt(at(milliseconds), &failed);
        }
        let longest = outages.longest(at(5_500)).unwrap();
        assert_eq!((longest.began, longest.last, longest.attempts), (at(5_000), at(5_500), 2));
    }

    #[test]
    fn times_tell_the_wall_clock_of_the_flow() {
        let outages = after(&[(5_000, RetransmitKind::Timeout, 7, Some(200))]);
        let told = Timestamp { boot_ns: 6_000_000_000, wall_ns: 96_000_000_000 };
        assert_eq!(outages.longest(told).unwrap().began, told.earlier_by_ns(1_200_000_000));
    }
}
