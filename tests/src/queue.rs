//! Packets held between two hooks of netfilter: a queue of the ruleset whose verdicts this program gives.

use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
    },
};

use crate::{namespace::Namespace, wait};

/// `struct nlmsghdr` and `struct nfgenmsg`.
const HEADER_BYTES: usize = 16 + 4;
const ATTRIBUTE_HEADER_BYTES: usize = 4;
const NLMSG_ERROR: u16 = 2;
/// `NFNL_SUBSYS_QUEUE << 8`.
const SUBSYSTEM: u16 = 3 << 8;
const MESSAGE_PACKET: u16 = SUBSYSTEM;
const MESSAGE_VERDICT: u16 = SUBSYSTEM | 1;
const MESSAGE_CONFIG: u16 = SUBSYSTEM | 2;

/// A bound queue. Dropping it drops the packets it holds.
#[derive(Debug)]
pub struct Queue {
    socket: OwnedFd,
    number: u16,
    held: Vec<u32>,
}

impl Queue {
    /// Binds a queue of the namespace. Packets of rules that name it are held from now on.
    pub fn bind(namespace: &Namespace, number: u16) -> Result<Self> {
        /// `NFQA_CFG_CMD` with `NFQNL_CFG_CMD_BIND`, and `NFQA_CFG_PARAMS` with `NFQNL_COPY_META`.
        const BIND: (u16, [u8; 4]) = (1, [1, 0, 0, 0]);
        const COPY_META: (u16, [u8; 5]) = (2, [0, 0, 0, 0, 1]);
        let socket = namespace.enter(|| {
            socket(
                AddressFamily::Netlink,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
                SockProtocol::NetlinkNetFilter,
            )
            .context("make a netfilter socket")
        })?;
        let mut queue = Self { socket, number, held: Vec::new() };
        queue.configure(BIND.0, &BIND.1)?;
        queue.configure(COPY_META.0, &COPY_META.1)?;
        Ok(queue)
    }

    /// Waits until the queue holds so many packets.
    pub fn hold(&mut self, packets: usize) -> Result<()> {
        let held = wait::until("packets in the queue", || {
            self.receive()?;
            Ok((self.held.len() >= packets).then_some(self.held.len()))
        })?;
        ensure!(held == packets, "the queue holds {held} packets in the place of {packets}");
        Ok(())
    }

    /// Lets the packets go on, in the order they came.
    pub fn release(&mut self) -> Result<()> {
        /// `NFQA_VERDICT_HDR`, and `NF_ACCEPT`.
        const VERDICT_HEADER: u16 = 2;
        const ACCEPT: u32 = 1;
        for packet in std::mem::take(&mut self.held) {
            let verdict = [ACCEPT.to_be_bytes(), packet.to_be_bytes()].concat();
            self.send(MESSAGE_VERDICT, 0, VERDICT_HEADER, &verdict)?;
        }
        Ok(())
    }

    fn configure(&mut self, attribute: u16, value: &[u8]) -> Result<()> {
        const NLM_F_REQUEST_ACK: u16 = 5;
        self.send(MESSAGE_CONFIG, NLM_F_REQUEST_ACK, attribute, value)?;
        wait::until("the queue to be set up", || Ok(self.receive()?.then_some(())))
    }

    fn send(&self, kind: u16, flags: u16, attribute: u16, value: &[u8]) -> Result<()> {
        const NLM_F_REQUEST: u16 = 1;
        let attribute_length = ATTRIBUTE_HEADER_BYTES + value.len();
        let length = HEADER_BYTES + attribute_length.next_multiple_of(4);
        let mut message = Vec::with_capacity(length);
        message.extend(u32::try_from(length)?.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend((flags | NLM_F_REQUEST).to_ne_bytes());
        // Sequence and port are not needed; then no family, version 0 and the number of the queue.
        message.extend([0; 8 + 2]);
        message.extend(self.number.to_be_bytes());
        message.extend(u16::try_from(attribute_length)?.to_ne_bytes());
        message.extend(attribute.to_ne_bytes());
        message.extend(value);
        message.resize(length, 0);
        sendto(self.socket.as_raw_fd(), &message, &NetlinkAddr::new(0, 0), MsgFlags::empty())
            .context("send to the queue")?;
        Ok(())
    }

    /// Takes in what has come; whether an acknowledgement was among it.
    fn receive(&mut self) -> Result<bool> {
        let mut is_acknowledged = false;
        let mut buffer = [0; 8 << 10];
        loop {
            let bytes = match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(length) => &buffer[..length],
                Err(Errno::EAGAIN) => return Ok(is_acknowledged),
                Err(error) => return Err(error).context("receive from the queue"),
            };
            for (kind, body) in messages(bytes) {
                match kind {
                    NLMSG_ERROR => {
                        let error = body.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
                        if error != 0 {
                            bail!("the queue refused: {}", Errno::from_raw(-error));
                        }
                        is_acknowledged = true;
                    }
                    MESSAGE_PACKET => self.held.extend(packet_id(body)),
                    _ => {}
                }
            }
        }
    }
}

/// Kind and body of each netlink message.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    const NETLINK_HEADER_BYTES: usize = 16;
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
        let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
        let body = bytes.get(NETLINK_HEADER_BYTES..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

/// The number of a packet, in its attribute `NFQA_PACKET_HDR`.
fn packet_id(message: &[u8]) -> Option<u32> {
    const FAMILY_HEADER_BYTES: usize = 4;
    const PACKET_HEADER: u16 = 1;
    let mut attributes = message.get(FAMILY_HEADER_BYTES..)?;
    loop {
        let length = usize::from(u16::from_ne_bytes(*attributes.first_chunk()?));
        let kind = u16::from_ne_bytes(*attributes.get(2..)?.first_chunk()?);
        if kind == PACKET_HEADER {
            return Some(u32::from_be_bytes(*attributes.get(ATTRIBUTE_HEADER_BYTES..)?.first_chunk()?));
        }
        attributes = attributes.get(length.max(ATTRIBUTE_HEADER_BYTES).next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::{messages, packet_id};

    #[test]
    fn messages_and_packets_are_found() {
        let mut bytes = Vec::new();
        for (length, kind, body) in [(20_u32, 2_u16, [0; 4]), (20, 0x300, [7; 4])] {
            bytes.extend(length.to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend([0; 10]);
            bytes.extend(body);
        }
        let found: Vec<(u16, &[u8])> = messages(&bytes).collect();
        assert_eq!(found, [(2, &[0; 4][..]), (0x300, &[7; 4][..])]);

        let mut message = vec![0; 4];
        message.extend([5, 0, 9, 0, 1, 0, 0, 0]);
        message.extend([11, 0, 1, 0, 0, 0, 1, 2, 8, 0, 1, 0]);
        assert_eq!(packet_id(&message), Some(0x102));
        assert_eq!(packet_id(&message[..12]), None);
    }
}
