//! Needless retransmits.

use tracer_common::record::UndoRecord;

use super::{Endpoints, TcpState};

/// The kernel found a retransmit needless and took the window reduction back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo {
    /// From this node to the peer.
    pub flow: Endpoints,
    /// State of the connection.
    pub tcp_state: TcpState,
    /// Whether a timeout (`true`) or a fast retransmit was needless.
    pub after_timeout: bool,
    /// Congestion window before the undo, in segments.
    pub congestion_window: u32,
    /// Inode of the socket, if it has a file.
    pub socket_inode: Option<u64>,
}

impl From<&UndoRecord> for Undo {
    fn from(record: &UndoRecord) -> Self {
        const CONGESTION_LOSS: u8 = 4;
        Self {
            flow: (&record.flow).into(),
            tcp_state: TcpState(record.tcp_state),
            after_timeout: record.congestion_state == CONGESTION_LOSS,
            congestion_window: record.congestion_window,
            socket_inode: (record.socket_inode != 0).then_some(record.socket_inode),
        }
    }
}
