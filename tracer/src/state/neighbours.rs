//! Neighbours: who answers for an address, whom the kernel kept, whom it ignored.

use std::{collections::VecDeque, net::IpAddr};

use super::{
    bounded::Bounded,
    contest::{Contest, DoubleAnswer, SAME_QUESTION_NS, Spoken, Word, push},
    span::Span,
};
use crate::event::{
    Claim, ClaimOperation, Direction, HardwareAddress, Neighbour as NeighbourEvent, NeighbourEntry,
    NeighbourState, Netns, Text, Timestamp, Verdict,
};

/// Proposals that are kept of one neighbour.
pub const NEIGHBOUR_HISTORY: usize = 32;

/// Hardware addresses that are kept of one neighbour.
pub const ANSWERERS: usize = 8;

/// What tells one neighbour entry from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NeighbourKey {
    /// The network namespace.
    pub netns: Netns,
    /// Index of the device it is reached by.
    pub interface_index: u32,
    /// The neighbour's address.
    pub address: IpAddr,
}

/// What is known of one address behind one device.
#[derive(Clone, Debug)]
pub struct Neighbour {
    /// The device.
    pub device: Text,
    /// When it was first seen here.
    pub first: Timestamp,
    /// When it was last proposed or claimed.
    pub last: Timestamp,
    /// The hardware address the kernel holds after the last proposal; `None` while it holds no valid one.
    pub kept: Option<HardwareAddress>,
    /// State after the last proposal that was not ignored.
    pub state: Option<NeighbourState>,
    /// Proposals by verdict, in the order of [`Verdict::ALL`].
    pub verdicts: [u32; Verdict::ALL.len()],
    /// The last proposals, oldest first.
    pub history: VecDeque<Proposal>,
    /// Everyone who proposed or claimed to be it, in the order they appeared.
    pub answerers: Vec<Answerer>,
    /// Proposals and claims by hardware addresses that found no place among the answerers.
    pub answerers_left_out: u32,
    /// Since when more than one hardware address answered for it.
    pub contested: Option<Timestamp>,
    /// Signs that it has several owners, or keeps moving.
    pub contest: Contest,
    /// Since when the kernel has held what it holds.
    pub kept_since: Option<Timestamp>,
    /// When the kernel last learned a hardware address with none held before: it had asked everyone.
    pub learned: Option<Timestamp>,
    /// When somebody on this node last set a hardware address, other than by asking.
    pub set: Option<Timestamp>,
    /// When the kernel last asked in vain, oldest first.
    pub failures: VecDeque<Timestamp>,
    /// Whether there ever was a hardware address for it.
    pub was_valid: bool,
    /// What this node answered for it.
    pub own_answers: Option<OwnAnswers>,
    /// Requests of this node that named the address as their sender's.
    pub own_questions: u32,
    /// How often this node itself claimed the address.
    pub own_claims: u32,
    /// The hardware address this node last claimed it with.
    pub own_hardware_address: Option<HardwareAddress>,
}

/// What this node answered for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnAnswers {
    /// How often.
    pub count: u32,
    /// From when to when.
    pub span: Span,
    /// Who was answered last.
    pub asker: IpAddr,
}

/// One proposal and its verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// When.
    pub time: Timestamp,
    /// The hardware address proposed, or for a confirmation without one the address confirmed.
    pub hardware_address: Option<HardwareAddress>,
    /// What the kernel made of it.
    pub verdict: Verdict,
}

/// Someone who says to be the neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answerer {
    /// Its hardware address.
    pub hardware_address: HardwareAddress,
    /// Proposals the kernel took or confirmed.
    pub taken: u32,
    /// Proposals the kernel ignored.
    pub ignored: u32,
    /// Messages that claim the address.
    pub claims: u32,
    /// When it was last heard.
    pub last: Timestamp,
    /// What it said and when.
    pub spoken: Spoken,
}

impl Neighbour {
    fn new(time: Timestamp, device: &Text) -> Self {
        Self {
            device: device.clone(),
            first: time,
            last: time,
            kept: None,
            state: None,
            verdicts: [0; Verdict::ALL.len()],
            history: VecDeque::new(),
            answerers: Vec::new(),
            answerers_left_out: 0,
            contested: None,
            contest: Contest::default(),
            kept_since: None,
            learned: None,
            set: None,
            failures: VecDeque::new(),
            was_valid: false,
            own_answers: None,
            own_questions: 0,
            own_claims: 0,
            own_hardware_address: None,
        }
    }

    /// Proposals with a verdict.
    pub fn with_verdict(&self, verdict: Verdict) -> u32 {
        self.verdicts[verdict as usize]
    }

    /// Those who answer beside the one the kernel kept.
    pub fn others(&self) -> impl Iterator<Item = &Answerer> {
        self.answerers.iter().filter(|answerer| Some(answerer.hardware_address) != self.kept)
    }

    /// Whether more than one hardware address answered for it.
    pub fn is_contested(&self) -> bool {
        self.answerers.len() > 1
    }

    /// How much is wrong with it: second answerers weigh more than changes, changes more than silence.
    pub fn trouble(&self) -> u64 {
        let count = |verdict| u64::from(self.with_verdict(verdict));
        let contested = if self.is_contested() { 1_000_000 } else { 0 };
        contested + count(Verdict::Ignored) * 100 + count(Verdict::Changed) * 10 + count(Verdict::Failed)
    }

    fn proposal(&mut self, time: Timestamp, event: &NeighbourEvent) {
        let &NeighbourEvent { proposed, previous, verdict, new_state, .. } = event;
        self.last = self.last.max(time);
        self.verdicts[verdict as usize] += 1;
        let kept = match verdict {
            Verdict::Learned | Verdict::Changed => proposed,
            Verdict::Confirmed => proposed.or(previous),
            Verdict::Ignored => previous,
            Verdict::Failed => None,
        };
        self.keep(time, kept);
        if event.by_netlink && proposed.is_some() && verdict != Verdict::Ignored {
            self.set = Some(time);
        }
        match verdict {
            Verdict::Learned => self.learned = Some(time),
            Verdict::Failed if !event.by_netlink => push(&mut self.failures, time),
            _ => {}
        }
        if verdict != Verdict::Ignored {
            self.state = Some(new_state);
        }
        let hardware_address = if verdict == Verdict::Failed { previous } else { proposed.or(self.kept) };
        // What the entry held before belongs to someone who answered before we looked.
        if let Some(previous) = previous {
            self.answerer(previous, time);
        }
        if let Some(answerer) = proposed.and_then(|hardware| self.heard(hardware, time)) {
            match verdict {
                Verdict::Ignored => answerer.ignored += 1,
                Verdict::Failed => {}
                Verdict::Learned | Verdict::Changed | Verdict::Confirmed => answerer.taken += 1,
            }
        }
        if let (Some(hardware), Some(word)) = (proposed, Word::of_proposal(event)) {
            let is_second = word == Word::Answer && self.is_second_answer(time, hardware, event);
            // What one question brought about is no move.
            if let (Verdict::Changed, Some(from), false) = (verdict, previous, is_second) {
                self.contest.moved(time, from, hardware);
            }
            self.spoke(time, hardware, word);
        }
        if self.history.len() == NEIGHBOUR_HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(Proposal { time, hardware_address, verdict });
    }

    fn claim(&mut self, time: Timestamp, claim: &Claim) {
        self.last = self.last.max(time);
        if claim.direction == Direction::Out {
            self.own_claims += 1;
            self.own_hardware_address = claim.hardware_address;
            self.own_claim(time, claim);
        } else if let Some(hardware) = claim.hardware_address {
            if let Some(answerer) = self.heard(hardware, time) {
                answerer.claims += 1;
            }
            let word = Word::of_claim(claim);
            if word == Word::Announcement {
                self.contest.announced(time, self.kept, hardware);
            }
            self.spoke(time, hardware, word);
        }
    }

    fn own_claim(&mut self, time: Timestamp, claim: &Claim) {
        match (claim.operation, Word::of_claim(claim)) {
            (ClaimOperation::Request, _) => self.own_questions = self.own_questions.saturating_add(1),
            (_, Word::Answer) => {
                let first =
                    OwnAnswers { count: 0, span: Span { first: time, last: time }, asker: claim.target };
                let own = self.own_answers.get_or_insert(first);
                own.count = own.count.saturating_add(1);
                own.span.last = own.span.last.max(time);
                own.asker = claim.target;
            }
            _ => {}
        }
    }

    fn keep(&mut self, time: Timestamp, kept: Option<HardwareAddress>) {
        if self.kept != kept {
            self.kept_since = kept.map(|_| time);
        }
        self.kept = kept;
        self.was_valid |= kept.is_some();
    }

    /// Takes in what someone said, for the order in which several do.
    fn spoke(&mut self, time: Timestamp, hardware_address: HardwareAddress, word: Word) {
        let Self { answerers, contest, .. } = self;
        let known = answerers.iter_mut().find(|answerer| answerer.hardware_address == hardware_address);
        if let Some(answerer) = known {
            contest.spoke((time, hardware_address, word), &mut answerer.spoken);
        }
    }

    /// Whether an answer is the second to the question that another one answered, which is noted. What was learned anew
    /// was asked anew.
    fn is_second_answer(&mut self, time: Timestamp, second: HardwareAddress, event: &NeighbourEvent) -> bool {
        if !matches!(event.verdict, Verdict::Ignored | Verdict::Changed) {
            return false;
        }
        let announced = self
            .answerers
            .iter()
            .find(|answerer| answerer.hardware_address == second)
            .and_then(|answerer| answerer.spoken.announced);
        let first = self
            .answerers
            .iter()
            .filter(|answerer| answerer.hardware_address != second)
            .filter_map(|answerer| Some((answerer.spoken.answered?, answerer.hardware_address)))
            .filter(|&(answered, _)| time.boot_ns.saturating_sub(answered.boot_ns) <= SAME_QUESTION_NS)
            .filter(|&(answered, _)| announced.is_none_or(|announced| announced < answered))
            .max_by_key(|&(answered, hardware)| (Some(hardware) == event.previous, answered));
        let Some((answered, first)) = first else { return false };
        let apart_ns = time.boot_ns.saturating_sub(answered.boot_ns);
        let is_taken = event.verdict == Verdict::Changed;
        self.contest.answered_twice(DoubleAnswer { time, first, second, apart_ns, is_taken });
        true
    }

    /// The entry of a hardware address that has just been heard; without room it is counted.
    fn heard(&mut self, hardware_address: HardwareAddress, time: Timestamp) -> Option<&mut Answerer> {
        let is_placed = self.answerer(hardware_address, time).is_some();
        self.answerers_left_out += u32::from(!is_placed);
        let answerer = self.answerer(hardware_address, time)?;
        answerer.last = answerer.last.max(time);
        Some(answerer)
    }

    /// The entry of a hardware address, made if there is room.
    fn answerer(&mut self, hardware_address: HardwareAddress, time: Timestamp) -> Option<&mut Answerer> {
        let known = self.answerers.iter().position(|answerer| answerer.hardware_address == hardware_address);
        let position = match known {
            Some(position) => position,
            None if self.answerers.len() < ANSWERERS => {
                if !self.answerers.is_empty() {
                    self.contested.get_or_insert(time);
                }
                self.answerers.push(Answerer {
                    hardware_address,
                    taken: 0,
                    ignored: 0,
                    claims: 0,
                    last: time,
                    spoken: Spoken::default(),
                });
                self.answerers.len() - 1
            }
            None => return None,
        };
        self.answerers.get_mut(position)
    }
}

/// The table of neighbours.
pub type Neighbours = Bounded<NeighbourKey, Neighbour>;

pub(super) fn proposal(neighbours: &mut Neighbours, netns: Netns, time: Timestamp, event: &NeighbourEvent) {
    let key = NeighbourKey { netns, interface_index: event.interface_index, address: event.address };
    neighbours.touch(key, || Neighbour::new(time, &event.device)).proposal(time, event);
}

pub(super) fn claim(neighbours: &mut Neighbours, netns: Netns, time: Timestamp, claim: &Claim) {
    // Who probes for a free address claims none yet.
    if claim.address.is_unspecified() {
        return;
    }
    let key = NeighbourKey { netns, interface_index: claim.interface_index, address: claim.address };
    neighbours.touch(key, || Neighbour::new(time, &claim.device)).claim(time, claim);
}

/// What the kernel's table had when it was looked at. Only what is not known yet is taken from it: what happened since tells
/// more.
pub(super) fn entry(neighbours: &mut Neighbours, netns: Netns, time: Timestamp, entry: &NeighbourEntry) {
    let key = NeighbourKey { netns, interface_index: entry.interface_index, address: entry.address };
    if neighbours.get(&key).is_some() {
        return;
    }
    // Multicast and broadcast addresses have entries too, which say nothing of anybody.
    if entry.state.is_without_arp() {
        return;
    }
    let Some(device) = &entry.device else { return };
    let neighbour = neighbours.touch(key, || Neighbour::new(time, device));
    neighbour.state = Some(entry.state);
    if entry.state.is_valid() {
        neighbour.keep(time, entry.hardware_address);
        if let Some(hardware) = entry.hardware_address {
            neighbour.answerer(hardware, time);
        }
    }
}
