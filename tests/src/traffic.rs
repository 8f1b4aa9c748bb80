//! Sockets in namespaces.

use std::{
    io::{self, ErrorKind, Read},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    ops::Range,
    os::fd::{AsRawFd, OwnedFd, RawFd},
};

use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind,
        connect as connect_socket, sendto, setsockopt, socket, sockopt,
    },
};

use crate::{namespace::Namespace, wait};

/// Starts to connect from inside a namespace and does not wait: a SYN is on its way, or was refused at once by a
/// local rule and will be tried again. A source port of 0 lets the kernel choose.
pub fn dial(namespace: &Namespace, from: SocketAddr, to: SocketAddr) -> Result<TcpStream> {
    namespace.enter(|| dial_here(from, to))
}

/// As [`dial`], in the namespace of the calling thread.
pub fn dial_here(from: SocketAddr, to: SocketAddr) -> Result<TcpStream> {
    let dialling = prepare_here(from)?;
    connect_prepared(dialling.as_raw_fd(), to).with_context(|| format!("from {from}"))?;
    Ok(dialling.into())
}

/// A TCP socket bound to an address in the namespace of the calling thread, not connected yet.
pub fn prepare_here(from: SocketAddr) -> Result<OwnedFd> {
    let family = if from.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let dialling: OwnedFd =
        socket(family, SockType::Stream, flags, SockProtocol::Tcp).context("make a TCP socket")?;
    setsockopt(&dialling, sockopt::ReuseAddr, &true).context("set SO_REUSEADDR")?;
    bind(dialling.as_raw_fd(), &SockaddrStorage::from(from)).with_context(|| format!("bind to {from}"))?;
    Ok(dialling)
}

/// Starts to connect a socket that was prepared, and does not wait.
pub fn connect_prepared(prepared: RawFd, to: SocketAddr) -> Result<()> {
    match connect_socket(prepared, &SockaddrStorage::from(to)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("connect to {to}")),
    }
}

/// Connects from inside a namespace and waits until the connection is there.
pub fn connect(namespace: &Namespace, from: SocketAddr, to: SocketAddr) -> Result<TcpStream> {
    wait_connected(dial(namespace, from, to)?)
}

/// Waits until a connection that was [`dial`]led is there; reads and writes block from then on.
pub fn wait_connected(dialling: TcpStream) -> Result<TcpStream> {
    wait::until("a connection", || {
        if let Some(error) = dialling.take_error()? {
            bail!("connect: {error}");
        }
        Ok(dialling.peer_addr().ok())
    })?;
    dialling.set_nonblocking(false)?;
    dialling.set_read_timeout(Some(wait::DEADLINE))?;
    dialling.set_write_timeout(Some(wait::DEADLINE))?;
    Ok(dialling)
}

/// Waits until dialling failed and returns why.
pub fn wait_refused(dialling: &TcpStream) -> Result<io::Error> {
    wait::until("a refused connection", || Ok(dialling.take_error()?))
}

/// Listens inside a namespace; accepting does not block.
pub fn listen(namespace: &Namespace, at: SocketAddr) -> Result<TcpListener> {
    namespace.enter(|| {
        let listener = TcpListener::bind(at).with_context(|| format!("listen at {at}"))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    })
}

/// Waits for a connection to `listener`; reads and writes of it block.
pub fn accept(listener: &TcpListener) -> Result<TcpStream> {
    accept_any(&[listener])
}

/// Waits for a connection to one of `listeners`.
pub fn accept_any(listeners: &[&TcpListener]) -> Result<TcpStream> {
    wait::until("a connection to accept", || {
        for listener in listeners {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_read_timeout(Some(wait::DEADLINE))?;
                    stream.set_write_timeout(Some(wait::DEADLINE))?;
                    return Ok(Some(stream));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("accept"),
            }
        }
        Ok(None)
    })
}

/// Waits until the peer closes, then closes this end too: the order in which the peer rests in `TIME_WAIT`.
pub fn wait_closed(mut stream: TcpStream) -> Result<()> {
    stream.read_to_end(&mut Vec::new()).context("wait for the peer's close")?;
    Ok(())
}

/// Closes a connection that came to `listener`, then its other end, in that order. Whoever dialled `listener` in vain until
/// now comes through beside it: such connections are closed too, but not waited for.
pub fn close_at(listener: &TcpListener, connection: TcpStream) -> Result<()> {
    let caller = connection.local_addr()?;
    while accept(listener)?.peer_addr()? != caller {}
    wait_closed(connection)
}

/// Closes a connection with a reset: nothing of it is sent again afterwards.
pub fn abort(stream: TcpStream) -> Result<()> {
    let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&stream, sockopt::Linger, &at_once).context("set SO_LINGER")?;
    drop(stream);
    Ok(())
}

/// A UDP socket inside a namespace.
pub fn udp(namespace: &Namespace, at: SocketAddr) -> Result<UdpSocket> {
    namespace.enter(|| UdpSocket::bind(at).with_context(|| format!("bind to {at}")))
}

/// Sends one datagram from a namespace, so that its kernel has to find the next hop's hardware address.
pub fn knock(namespace: &Namespace, from: SocketAddr, to: SocketAddr) -> Result<()> {
    const DISCARD: &[u8] = b"tracer";
    udp(namespace, from)?.send_to(DISCARD, to).with_context(|| format!("send to {to}"))?;
    Ok(())
}

/// A UDP socket inside a namespace that sends to one address only: its packets have IP ids of their own.
pub fn udp_to(namespace: &Namespace, from: SocketAddr, to: SocketAddr) -> Result<UdpSocket> {
    let socket = udp(namespace, from)?;
    socket.connect(to).with_context(|| format!("connect to {to}"))?;
    Ok(socket)
}

/// Sends a datagram. An ICMP error about an earlier one is passed over.
pub fn send(socket: &UdpSocket, payload: &[u8]) -> Result<()> {
    // Both the error that waits and one that arrives just now are told once.
    socket.take_error().context("take the error that waits")?;
    if socket.send(payload).is_err() {
        socket.send(payload).context("send a datagram")?;
    }
    Ok(())
}

/// Sends the ICMP or ICMPv6 message from a namespace, whatever it contains. The checksum is filled in.
pub fn send_icmp(namespace: &Namespace, to: IpAddr, message: &[u8]) -> Result<()> {
    const CHECKSUM: Range<usize> = 2..4;
    let mut message = message.to_vec();
    let (family, protocol) = match to {
        IpAddr::V4(_) => {
            let sum = checksum(&message);
            message[CHECKSUM].copy_from_slice(&sum.to_be_bytes());
            (AddressFamily::Inet, SockProtocol::Icmp)
        }
        // The kernel fills this one in: it covers the addresses.
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    namespace.enter(|| {
        let raw: OwnedFd =
            socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).context("make a raw socket")?;
        let to = SockaddrStorage::from(SocketAddr::new(to, 0));
        sendto(raw.as_raw_fd(), &message, &to, MsgFlags::empty()).context("send an ICMP message")?;
        Ok(())
    })
}

/// Sends one datagram from each of the ports of an address in a namespace.
pub fn knock_from(namespace: &Namespace, from: IpAddr, ports: Range<u16>, to: SocketAddr) -> Result<()> {
    const DISCARD: &[u8] = b"tracer";
    namespace.enter(|| {
        for port in ports {
            let from = SocketAddr::new(from, port);
            let socket = UdpSocket::bind(from).with_context(|| format!("bind to {from}"))?;
            socket.send_to(DISCARD, to).with_context(|| format!("send to {to}"))?;
        }
        Ok(())
    })
}

/// The Internet checksum (RFC 1071) of a message whose checksum is zero.
fn checksum(message: &[u8]) -> u16 {
    let sum = message.chunks(2).fold(0_u32, |sum, word| {
        sum + u32::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or_default()]))
    });
    let folded = (sum & 0xffff) + (sum >> 16);
    let [_, _, high, low] = ((folded & 0xffff) + (folded >> 16)).to_be_bytes();
    !u16::from_be_bytes([high, low])
}

/// Waits until no TCP socket of the namespace can send anything again: all listen or rest in TIME_WAIT.
pub fn settle(namespace: &Namespace) -> Result<()> {
    wait::until("the last TCP connection to end", || {
        let busy = busy_sockets(&namespace.proc_net("tcp")?) + busy_sockets(&namespace.proc_net("tcp6")?);
        Ok((busy == 0).then_some(()))
    })
}

/// Sockets of `/proc/net/tcp` in states other than TIME_WAIT (06), CLOSE (07) and LISTEN (0A).
fn busy_sockets(table: &str) -> usize {
    table
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(3))
        .filter(|state| !matches!(*state, "06" | "07" | "0A"))
        .count()
}

#[cfg(test)]
mod tests {
    use super::{busy_sockets, checksum};

    /// The example of RFC 1071, section 3, and what makes a whole message sum up to nothing.
    #[test]
    fn checksums_are_those_of_the_standard() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[0xff, 0xff, 0xff]), !0xff00);
        assert_eq!(checksum(&[]), 0xffff);
    }

    #[test]
    fn only_sockets_that_can_still_send_are_busy() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
                     0: 0100007F:0016 00000000:0000 0A 00000000\n\
                     1: 0100007F:0016 0100007F:0017 01 00000000\n\
                     2: 0100007F:0016 0100007F:0018 06 00000000\n\
                     3: 0100007F:0016 0100007F:0019 09 00000000\n";
        assert_eq!(busy_sockets(table), 2);
    }
}
