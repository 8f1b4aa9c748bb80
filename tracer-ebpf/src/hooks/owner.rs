//! Who opened a socket. Retransmits happen in timers and interrupts, where the running task is anybody; a socket's
//! owner is known when it starts to connect or to listen, which its process does itself.

use aya_ebpf::{
    helpers::{bpf_get_current_comm, bpf_get_current_pid_tgid},
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};

use crate::{
    kernel::{Access, Direct, Pointer, Probed, socket},
    maps::{OWNERS, SocketOwner, setting},
};

const TCP_SYN_SENT: i32 = 2;
const TCP_CLOSE: i32 = 7;
const TCP_LISTEN: i32 = 10;

/// `inet_sock_set_state(const struct sock *, int oldstate, int newstate)`.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn owner_btf(context: BtfTracePointContext) -> i32 {
    keep::<Direct>(context.arg(0), context.arg(2));
    0
}

#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
fn owner_raw(context: RawTracePointContext) -> i32 {
    keep::<Probed>(context.arg(0), context.arg(2));
    0
}

#[inline(always)]
fn keep<A: Access>(sock: Pointer, new_state: i32) {
    let key = sock as u64;
    match new_state {
        TCP_SYN_SENT | TCP_LISTEN => {
            let process_id = (bpf_get_current_pid_tgid() >> 32) as u32;
            let owner = SocketOwner {
                socket_inode: socket::file_inode::<A>(sock),
                process_id,
                reserved: 0,
                command: bpf_get_current_comm().unwrap_or_default(),
            };
            // A full table evicts its oldest entry; that socket's owner is then looked up in user space.
            let _ = OWNERS.insert(key, owner, 0);
        }
        TCP_CLOSE => {
            let _ = OWNERS.remove(key);
        }
        _ => {}
    }
}

/// The process that opened a socket, if it was seen to.
#[inline(always)]
pub(crate) fn of(sock: Pointer) -> Option<&'static SocketOwner> {
    if setting!(keep_owners) == 0 {
        return None;
    }
    // SAFETY: the value is read at once; an entry replaced meanwhile gives another socket's owner at worst.
    unsafe { OWNERS.get(sock as u64) }
}
