//! Messages and attributes as bytes.
//!
//! Attributes are read one by one and only those that are asked for. A reader of whole messages would refuse one because
//! of an attribute that a newer kernel made longer, though nobody wanted it.

use std::iter;

use netlink_packet_core::{NLA_TYPE_MASK, NetlinkBuffer, NlasIterator};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::HEADER_BYTES;

/// Attributes and messages begin at multiples of this.
const ALIGNMENT: usize = 4;

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// What it is (`RTM_NEWROUTE`, …).
    pub(crate) kind: u16,
    /// `NLM_F_*`.
    pub(crate) flags: u16,
    /// The number of the request it answers; 0 or the changer's own for what was not asked for.
    pub(crate) sequence: u32,
    /// The port of who asked for the change it tells, 0 for the kernel itself.
    pub(crate) port: u32,
    /// What follows the header.
    pub(crate) payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// The messages of a datagram, up to the first that is cut.
    pub(crate) fn all(datagram: &'a [u8]) -> impl Iterator<Item = Self> {
        let mut rest = datagram;
        iter::from_fn(move || {
            let message = NetlinkBuffer::new_checked(rest).ok()?;
            let length = message.length() as usize;
            rest = rest.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
            Some(Self {
                kind: message.message_type(),
                flags: message.flags(),
                sequence: message.sequence_number(),
                port: message.port_number(),
                payload: message.payload(),
            })
        })
    }

    /// The fixed part of the payload and the attributes behind it; `None` if it is too short.
    pub(crate) fn split<H: FromBytes>(&self) -> Option<(H, Attributes<'a>)> {
        let (header, rest) = H::read_from_prefix(self.payload).ok()?;
        // Attributes begin aligned; all fixed parts of rtnetlink end so.
        Some((header, Attributes(rest)))
    }
}

/// Attributes, as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

/// Number and value of each attribute, up to the first that is cut.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(|attribute| {
        let attribute = attribute.ok()?.into_inner();
        let (head, value) = attribute.split_at_checked(4)?;
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]])).checked_sub(4)?;
        let kind = u16::from_ne_bytes([head[2], head[3]]) & NLA_TYPE_MASK;
        Some((kind, value.get(..length)?))
    })
}

/// The number at the start of a value; `None` if the value is too short for it.
pub(crate) fn number<N: FromBytes>(value: &[u8]) -> Option<N> {
    Some(N::read_from_prefix(value).ok()?.0)
}

/// The text of a value, up to its closing zero.
pub(crate) fn text(value: &[u8]) -> &[u8] {
    value.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Appends an attribute, padded. A value of 64 KiB or more has no place in one and is left out.
pub(crate) fn append_attribute(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let Ok(length) = u16::try_from(ALIGNMENT + value.len()) else { return };
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}

/// A message to the kernel, without its header.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(super) kind: u16,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// A request with its fixed part.
    pub(crate) fn new(kind: u16, fixed: &(impl IntoBytes + Immutable + KnownLayout)) -> Self {
        Self { kind, body: fixed.as_bytes().to_vec() }
    }

    /// The same with an attribute more. A value of 64 KiB or more has no place in one and is left out.
    #[must_use]
    pub(crate) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        append_attribute(&mut self.body, kind, value);
        self
    }

    /// The fixed part and the attributes.
    #[cfg(test)]
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The whole message.
    pub(super) fn to_bytes(&self, flags: u16, sequence: u32) -> Vec<u8> {
        let length = HEADER_BYTES + self.body.len();
        let mut bytes = vec![0; length];
        let mut message = NetlinkBuffer::new(&mut bytes[..]);
        message.set_length(u32::try_from(length).unwrap_or(u32::MAX));
        message.set_message_type(self.kind);
        message.set_flags(flags);
        message.set_sequence_number(sequence);
        bytes[HEADER_BYTES..].copy_from_slice(&self.body);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Message, Request, attributes, number, text};

    #[test]
    fn what_is_written_is_read() {
        let request = Request::new(26, &[1_u8, 2, 3, 4])
            .with(1, &[9, 8, 7])
            .with(2, &7_u32.to_ne_bytes())
            .with(3, b"eth0\0");
        let bytes = [request.to_bytes(5, 77), request.to_bytes(6, 78)].concat();
        let messages: Vec<_> = Message::all(&bytes).collect();
        assert_eq!(messages.len(), 2);
        assert_eq!((messages[1].kind, messages[1].flags, messages[1].sequence), (26, 6, 78));
        let (fixed, rest) = messages[0].split::<[u8; 4]>().unwrap();
        assert_eq!(fixed, [1, 2, 3, 4]);
        let read: Vec<_> = attributes(rest.0).collect();
        assert_eq!(read[0], (1, &[9, 8, 7][..]));
        assert_eq!((read[1].0, number::<u32>(read[1].1)), (2, Some(7)));
        assert_eq!(text(read[2].1), b"eth0");
        assert_eq!(number::<u32>(&[1, 2]), None);
    }

    #[test]
    fn what_is_cut_ends_the_list() {
        let bytes = Request::new(24, &[0_u8; 4]).with(1, &[1; 8]).to_bytes(0, 0);
        for length in 0..bytes.len() {
            assert_eq!(Message::all(&bytes[..length]).count(), 0, "{length} bytes");
        }
        let (_, rest) = Message::all(&bytes).next().unwrap().split::<[u8; 4]>().unwrap();
        for length in 0..rest.0.len() {
            assert_eq!(attributes(&rest.0[..length]).count(), 0, "{length} bytes of an attribute");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail_or_go_on_for_ever(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Message::all(&bytes).count() <= bytes.len() / 16);
            prop_assert!(attributes(&bytes).count() <= bytes.len() / 4);
            for message in Message::all(&bytes) {
                prop_assert!(message.payload.len() <= bytes.len());
            }
        }
    }
}
