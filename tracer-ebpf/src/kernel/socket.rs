//! Sockets.

use tracer_common::record::Flow;

use super::{AF_INET6, Access, Device, Pointer, Probed, mapped, netns_inode, offset, read, read_16_bytes};

const IPPROTO_TCP: u8 = 6;

/// Fills in the two ends of a `struct sock_common`, from this node to the peer. Requests (`struct request_sock`) start
/// with one too.
#[inline(always)]
pub(crate) fn fill_flow<A: Access>(flow: &mut Flow, common: Pointer) {
    let family: u16 = read::<A, u16>(common, offset!(sock_family));
    if family == AF_INET6 {
        flow.source = read_16_bytes::<A>(common, offset!(sock_source_v6));
        flow.destination = read_16_bytes::<A>(common, offset!(sock_destination_v6));
    } else {
        flow.source = mapped(read::<A, u32>(common, offset!(sock_source)));
        flow.destination = mapped(read::<A, u32>(common, offset!(sock_destination)));
    }
    flow.source_port = read::<A, u16>(common, offset!(sock_source_port));
    flow.destination_port = u16::from_be(read::<A, u16>(common, offset!(sock_destination_port)));
    flow.protocol = IPPROTO_TCP;
}

/// Inode of the socket's network namespace.
#[inline(always)]
pub(crate) fn netns<A: Access>(common: Pointer) -> u32 {
    netns_inode::<A>(read::<A, Pointer>(common, offset!(sock_net)))
}

/// Inode of the socket's file, 0 for an orphan. The inode lies behind `struct socket` in `struct socket_alloc`, where
/// a typed pointer does not reach.
#[inline(always)]
pub(crate) fn file_inode<A: Access>(sock: Pointer) -> u64 {
    let socket: Pointer = read::<A, Pointer>(sock, offset!(sock_socket));
    if socket.is_null() { 0 } else { read::<Probed, u64>(socket, offset!(socket_inode)) }
}

/// Id of the cgroup the socket was made in, 0 where the kernel keeps none.
#[inline(always)]
pub(crate) fn cgroup_id<A: Access>(sock: Pointer) -> u64 {
    let cgroup: Pointer = read::<A, Pointer>(sock, offset!(sock_cgroup));
    if cgroup.is_null() {
        return 0;
    }
    let node: Pointer = read::<A, Pointer>(cgroup, offset!(cgroup_node));
    if node.is_null() { 0 } else { read::<A, u64>(node, offset!(cgroup_node_id)) }
}

/// The device of the socket's cached route.
#[inline(always)]
pub(crate) fn route_device<A: Access>(sock: Pointer) -> Device {
    let route: Pointer = read::<A, Pointer>(sock, offset!(sock_route));
    Device(if route.is_null() { route } else { read::<A, Pointer>(route, offset!(route_device)) })
}
