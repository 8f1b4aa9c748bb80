//! Retransmits added up: by what the program under test told, or by what the witness saw.

use std::ops::AddAssign;

use serde_json::Value;

/// Attempts to send segments again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Attempts: an attempt sends one packet of one or more segments.
    pub hits: u64,
    /// Segments of those packets.
    pub segments: u64,
    /// Packets that open a connection: SYNs and SYN-ACKs.
    pub opening: u64,
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.hits += other.hits;
        self.segments += other.segments;
        self.opening += other.opening;
    }
}

/// The retransmits of one network namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retransmits {
    /// Attempts that went out.
    pub sent: Sums,
    /// Attempts that were refused below TCP.
    pub failed: Sums,
    /// Attempts that TCP itself held back, because the packet still lies in the host's own queues (`EBUSY`). The kernel
    /// counts them in `TCPSpuriousRtxHostQueues` and nowhere else (`__tcp_retransmit_skb`, 6.18).
    pub held: Sums,
}

/// The error of attempts that are [held](Retransmits::held) back.
pub const HELD: i32 = 16;

impl Retransmits {
    /// Attempts of every kind.
    pub fn hits(&self) -> u64 {
        self.sent.hits + self.failed.hits + self.held.hits
    }

    /// Adds an event of type `retransmit`. Segments it does not tell are none, which no comparison forgives.
    pub fn add(&mut self, event: &Value) {
        let sums = match event.get("error") {
            None => &mut self.sent,
            Some(error) if *error == HELD => &mut self.held,
            Some(_) => &mut self.failed,
        };
        *sums += Sums {
            hits: 1,
            segments: event["segments"].as_u64().unwrap_or_default(),
            opening: u64::from(event["kind"] == "syn" || event["kind"] == "syn-ack"),
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Retransmits, Sums};

    #[test]
    fn attempts_are_added_by_how_they_ended() {
        let mut retransmits = Retransmits::default();
        for event in [
            json!({"kind": "syn", "segments": 1}),
            json!({"kind": "syn-ack", "segments": 1}),
            json!({"kind": "fast", "segments": 3}),
            json!({"kind": "syn", "segments": 1, "error": 1}),
            json!({"kind": "rto", "segments": 2, "error": 1}),
            json!({"kind": "rto", "segments": 45, "error": 16}),
        ] {
            retransmits.add(&event);
        }
        assert_eq!(retransmits.sent, Sums { hits: 3, segments: 5, opening: 2 });
        assert_eq!(retransmits.failed, Sums { hits: 2, segments: 3, opening: 1 });
        assert_eq!(retransmits.held, Sums { hits: 1, segments: 45, opening: 0 });
        assert_eq!(retransmits.hits(), 6);
    }
}
