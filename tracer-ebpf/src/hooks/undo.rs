//! Needless retransmits, found out.

use aya_ebpf::{
    macros::{fentry, kprobe},
    programs::{FEntryContext, ProbeContext},
};
use tracer_common::{hook::HookId, record::UndoRecord};

use crate::{
    emit::emit,
    kernel::{Pointer, Probed, bits, offset, read, socket},
};

/// `void tcp_undo_cwnd_reduction(struct sock *, bool unmark_loss)`.
#[fentry(function = "tcp_undo_cwnd_reduction")]
fn undo_fentry(context: FEntryContext) -> i32 {
    emit_undo(context.arg(0));
    0
}

#[kprobe(function = "tcp_undo_cwnd_reduction")]
fn undo_kprobe(context: ProbeContext) -> u32 {
    if let Some(sock) = context.arg(0) {
        emit_undo(sock);
    }
    0
}

#[inline(always)]
fn emit_undo(sock: Pointer) {
    emit(HookId::RetransmitUndo, socket::netns::<Probed>(sock), |record: &mut UndoRecord| {
        socket::fill_flow::<Probed>(&mut record.flow, sock);
        record.socket_inode = socket::file_inode::<Probed>(sock);
        record.congestion_window = read::<Probed, u32>(sock, offset!(tcp_congestion_window));
        record.congestion_state = bits!(Probed, sock, connection_congestion_state);
        record.tcp_state = read::<Probed, u8>(sock, offset!(sock_state));
    });
}
