//! What conntrack answers about flows.

use tracer_common::record::{Flow, RecordKind, TranslationRecord};

use super::{flow, header, mapped, push};

/// A virtual address that a server answers for, and one that answers to a masqueraded flow of another namespace.
pub(super) fn lookups(bytes: &mut Vec<u8>) {
    let dialled = TranslationRecord {
        header: header(RecordKind::Translation, size_of::<TranslationRecord>()),
        original: flow(),
        reply: Flow { source: mapped(3), source_port: 8080, ..way_back() },
        tcp_state: 1,
        expires_seconds: 117,
        flow_netns: 4_026_531_840,
        ..TranslationRecord::default()
    };
    push(bytes, &dialled, "");
    let masqueraded = TranslationRecord {
        reply: Flow { destination: mapped(8), ..dialled.reply },
        status: 0xe,
        mark: 0x10,
        zone: 4,
        flow_netns: 9,
        is_of_replies: 1,
        ..dialled
    };
    push(bytes, &masqueraded, "");
}

fn way_back() -> Flow {
    let Flow { source, destination, source_port, destination_port, .. } = flow();
    Flow {
        source: destination,
        destination: source,
        source_port: destination_port,
        destination_port: source_port,
        ..flow()
    }
}
