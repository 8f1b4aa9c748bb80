//! Signs that one address has several owners, and what tells them from an address that moved.
//!
//! A move is a matter of order: whoever had the address falls silent, and whoever has it now goes on. Several owners
//! speak by turns, or answer the same question. So each word counts by its kind: an announcement may always take an
//! address over; an answer or a question of someone who had been replaced and did not announce a return may not.

use std::collections::VecDeque;

use crate::event::{Claim, ClaimOperation, HardwareAddress, Neighbour as NeighbourEvent, Timestamp, Verdict};

/// Signs of each kind that are kept of one neighbour.
pub const SIGNS: usize = 16;

/// Two answers further apart than this were not given to one question: the kernel asks again after a second, and a
/// proxy waits 0.8 s at most (`proxy_delay`).
pub const SAME_QUESTION_NS: u64 = 1_000_000_000;

/// For so long after someone took an address over, who had it before may still be heard.
pub const TAKEOVER_NS: u64 = 2_000_000_000;

/// Who speaks again within so long after another took over never gave the address up. Later it may have been handed back,
/// and the announcement not been seen: the kernel takes none in for an address that it holds no entry of.
const RETURN_NS: u64 = 6_000_000_000;

/// What somebody said of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// That it is theirs, because this node asked.
    Answer,
    /// That it is theirs, because they asked for another.
    Question,
    /// That it is theirs, unasked; or they asked, where the kernel does not tell the two apart.
    Announcement,
}

impl Word {
    /// What a proposal to the neighbour table was. `arp_process` proposes `NUD_REACHABLE` for a reply to this node only,
    /// `ndisc_recv_na` for a solicited advertisement only; all else is proposed as `NUD_STALE` (5.10 to 7.2).
    pub(super) fn of_proposal(event: &NeighbourEvent) -> Option<Self> {
        let is_ignored = event.verdict == Verdict::Ignored;
        // An entry that is being removed, or without a valid address, ignores whoever speaks.
        if event.by_netlink || event.verdict == Verdict::Failed || (is_ignored && event.previous.is_none()) {
            return None;
        }
        if event.new_state.is_reachable() {
            // An advertisement without the override flag is how anycast addresses and proxies are answered (RFC 4861,
            // 7.2.4 and 7.2.7): there may be several, and none takes the place of another.
            return (event.address.is_ipv4() || !is_ignored).then_some(Self::Answer);
        }
        // What is gratuitous is never ignored by `arp_process`.
        Some(if is_ignored && event.address.is_ipv4() { Self::Question } else { Self::Announcement })
    }

    /// What a claim that came in was.
    pub(super) fn of_claim(claim: &Claim) -> Self {
        match claim.operation {
            ClaimOperation::Request => Self::Question,
            ClaimOperation::Reply => Self::Answer,
            ClaimOperation::Advertisement if !claim.target.is_multicast() => Self::Answer,
            ClaimOperation::Gratuitous | ClaimOperation::Advertisement => Self::Announcement,
        }
    }
}

/// Two answers to one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoubleAnswer {
    /// When the second came.
    pub time: Timestamp,
    /// Who answered first.
    pub first: HardwareAddress,
    /// Who answered second.
    pub second: HardwareAddress,
    /// How long after the first, in nanoseconds.
    pub apart_ns: u64,
    /// Whether the kernel took the second in place of the first.
    pub is_taken: bool,
}

/// Someone spoke again though another had taken the address over, without announcing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Return {
    /// When.
    pub time: Timestamp,
    /// Who.
    pub hardware_address: HardwareAddress,
    /// Who spoke before.
    pub instead_of: HardwareAddress,
}

/// The kernel took another hardware address in place of one it had; or without an entry of its own it heard another one
/// announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// When.
    pub time: Timestamp,
    /// What it had, or heard before.
    pub from: HardwareAddress,
    /// What it has, or heard.
    pub to: HardwareAddress,
}

/// When someone last spoke, by the kind of word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spoken {
    /// The last answer.
    pub answered: Option<Timestamp>,
    /// The last question.
    pub asked: Option<Timestamp>,
    /// The last announcement.
    pub announced: Option<Timestamp>,
    /// Since when, with pauses of no more than half a minute.
    pub since: Option<Timestamp>,
    /// The last word of any kind.
    pub last: Option<Timestamp>,
}

impl Spoken {
    fn note(&mut self, word: Word, time: Timestamp) {
        const PAUSE_NS: u64 = 30_000_000_000;
        if self.last.is_none_or(|last| time.boot_ns.saturating_sub(last.boot_ns) > PAUSE_NS) {
            self.since = Some(time);
        }
        self.last = self.last.max(Some(time));
        match word {
            Word::Answer => self.answered = Some(time),
            Word::Question => self.asked = Some(time),
            Word::Announcement => self.announced = Some(time),
        }
    }

    fn of(&self, word: Word) -> Option<Timestamp> {
        match word {
            Word::Answer => self.answered,
            Word::Question => self.asked,
            Word::Announcement => self.announced,
        }
    }
}

/// The signs, the newest last.
#[derive(Clone, Debug, Default)]
pub struct Contest {
    /// Answers that came second to the same question.
    pub double_answers: VecDeque<DoubleAnswer>,
    /// How many there were in all.
    pub all_double_answers: u32,
    /// Unannounced returns.
    pub returns: VecDeque<Return>,
    /// Moves the kernel followed.
    pub moves: VecDeque<Move>,
    /// Who gives answers, and since when; another kind of word, another speaker: a bond that balances load asks by one
    /// of its devices and answers each peer by another.
    answers: Option<(HardwareAddress, Timestamp)>,
    questions: Option<(HardwareAddress, Timestamp)>,
    /// Who announced last.
    announcer: Option<HardwareAddress>,
}

impl Contest {
    /// Whether there is any sign.
    pub fn has_signs(&self) -> bool {
        !(self.double_answers.is_empty() && self.returns.is_empty() && self.moves.is_empty())
    }

    /// When the last sign was that there are several owners: moves alone are none.
    pub fn last(&self) -> Option<Timestamp> {
        let answer = self.double_answers.back().map(|sign| sign.time);
        answer.max(self.returns.back().map(|sign| sign.time))
    }

    /// Takes in a move.
    pub(super) fn moved(&mut self, time: Timestamp, from: HardwareAddress, to: HardwareAddress) {
        push(&mut self.moves, Move { time, from, to });
    }

    /// Takes in an announcement, `kept` being what the kernel holds; if it holds anything, it will follow, and tell that.
    pub(super) fn announced(
        &mut self,
        time: Timestamp,
        kept: Option<HardwareAddress>,
        hardware_address: HardwareAddress,
    ) {
        let before = self.announcer.replace(hardware_address);
        if let (Some(from), None) = (before.filter(|&before| before != hardware_address), kept) {
            self.moved(time, from, hardware_address);
        }
    }

    /// Takes in a word. `speaker` is when the one who spoke has spoken before.
    pub(super) fn spoke(
        &mut self,
        (time, hardware_address, word): (Timestamp, HardwareAddress, Word),
        speaker: &mut Spoken,
    ) {
        let before = speaker.of(word);
        speaker.note(word, time);
        let known = match word {
            Word::Answer => &mut self.answers,
            Word::Question => &mut self.questions,
            Word::Announcement => return,
        };
        let Some((other, since)) = *known else {
            *known = Some((hardware_address, time));
            return;
        };
        if other == hardware_address {
            return;
        }
        let is_announced = speaker.announced.is_some_and(|announced| announced >= since);
        let held_ns = time.boot_ns.saturating_sub(since.boot_ns);
        if before.is_some() && !is_announced && held_ns < RETURN_NS {
            if held_ns < TAKEOVER_NS {
                return;
            }
            push(&mut self.returns, Return { time, hardware_address, instead_of: other });
        }
        *known = Some((hardware_address, time));
    }

    /// Takes in an answer that came second.
    pub(super) fn answered_twice(&mut self, sign: DoubleAnswer) {
        self.all_double_answers = self.all_double_answers.saturating_add(1);
        push(&mut self.double_answers, sign);
    }
}

/// Puts one more behind the last ones.
pub(super) fn push<T>(kept: &mut VecDeque<T>, one: T) {
    if kept.len() == SIGNS {
        kept.pop_front();
    }
    kept.push_back(one);
}
