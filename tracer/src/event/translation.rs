//! What conntrack makes of a flow that retransmits, looked up.

use tracer_common::record::TranslationRecord;

use super::{Endpoints, Protocol, conntrack::tcp_state_name};

/// The conntrack entry of a flow, which is translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The entry's original tuple: what was dialled.
    pub original: Endpoints,
    /// The tuple of replies: who answers, and to whom.
    pub reply: Endpoints,
    /// Whether the flow asked for has the tuple of replies, as a server's has.
    pub is_of_replies: bool,
    /// Inode number of the network namespace of the flow asked for.
    pub flow_netns: u32,
    /// The entry's TCP state; `None` for other protocols.
    pub tcp_state: Option<&'static str>,
    /// Status bits (`IPS_*`).
    pub status: u32,
    /// The entry's mark.
    pub mark: u32,
    /// The entry's zone.
    pub zone: u16,
    /// Seconds after which it expires unless packets come.
    pub expires_seconds: u32,
}

impl Translation {
    /// The flow asked for.
    pub fn flow(&self) -> &Endpoints {
        if self.is_of_replies { &self.reply } else { &self.original }
    }

    /// Whether packets go on to another address or port than was dialled.
    pub fn is_of_destination(&self) -> bool {
        self.reply.source != self.original.destination
    }

    /// Whether packets go on with another address or port than they came from.
    pub fn is_of_source(&self) -> bool {
        self.reply.destination != self.original.source
    }

    /// What is translated, by the names of iptables and nftables.
    pub fn name(&self) -> &'static str {
        match (self.is_of_destination(), self.is_of_source()) {
            (true, true) => "dnat+snat",
            (true, false) => "dnat",
            (false, true) => "snat",
            (false, false) => "none",
        }
    }

    /// Whether an answer has passed (`IPS_SEEN_REPLY`).
    pub fn is_answered(&self) -> bool {
        self.status & 0x2 != 0
    }
}

impl From<&TranslationRecord> for Translation {
    fn from(record: &TranslationRecord) -> Self {
        let original = Endpoints::from(&record.original);
        let is_tcp = original.protocol == Protocol::TCP;
        Self {
            original,
            reply: (&record.reply).into(),
            is_of_replies: record.is_of_replies != 0,
            flow_netns: record.flow_netns,
            tcp_state: is_tcp.then(|| tcp_state_name(record.tcp_state)).flatten(),
            status: record.status,
            mark: record.mark,
            zone: record.zone,
            expires_seconds: record.expires_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::record::{Flow, TranslationRecord};

    use super::Translation;

    fn mapped(host: u8) -> [u8; 16] {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, host]
    }

    fn flow(source: (u8, u16), destination: (u8, u16)) -> Flow {
        Flow {
            source: mapped(source.0),
            source_port: source.1,
            destination: mapped(destination.0),
            destination_port: destination.1,
            protocol: 6,
            ..Flow::default()
        }
    }

    #[test]
    fn what_is_translated_follows_from_the_tuples() {
        let table = [
            ("dnat", flow((2, 8_080), (1, 40_000))),
            ("dnat", flow((9, 8_080), (1, 40_000))),
            ("snat", flow((9, 80), (7, 40_000))),
            ("snat", flow((9, 80), (1, 40_001))),
            ("dnat+snat", flow((2, 8_080), (7, 40_001))),
            ("none", flow((9, 80), (1, 40_000))),
        ];
        for (expected, reply) in table {
            let original = flow((1, 40_000), (9, 80));
            let record = TranslationRecord { original, reply, tcp_state: 1, ..TranslationRecord::default() };
            let told = Translation::from(&record);
            assert_eq!(
                (told.name(), told.tcp_state, told.is_answered()),
                (expected, Some("SYN_SENT"), false)
            );
            assert_eq!(told.flow(), &told.original, "{expected}");
            let told = Translation::from(&TranslationRecord { is_of_replies: 1, status: 0xa, ..record });
            assert_eq!((told.flow(), told.is_answered()), (&told.reply, true), "{expected}");
        }
    }
}
