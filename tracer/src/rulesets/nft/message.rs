//! Messages of nftables: a family, then attributes, some of which hold attributes.

use crate::netlink::{attributes, text};

/// Length of what stands before the attributes: family, version and a number that is not used (`struct nfgenmsg`).
const FAMILY_HEADER_BYTES: usize = 4;

/// One message of nftables.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    /// An `NFPROTO_*` number.
    pub(super) family: u8,
    attributes: &'a [u8],
}

impl<'a> Message<'a> {
    /// The message of what follows the netlink header; `None` if it is too short.
    pub(super) fn of(payload: &'a [u8]) -> Option<Self> {
        let (header, attributes) = payload.split_at_checked(FAMILY_HEADER_BYTES)?;
        Some(Self { family: header[0], attributes })
    }

    /// All attributes, as they came.
    pub(super) fn content(&self) -> &'a [u8] {
        self.attributes
    }

    /// All attributes.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        attributes(self.attributes)
    }

    /// The content of the first attribute of that number.
    pub(super) fn attribute(&self, number: u16) -> Option<&'a [u8]> {
        content(self.attributes, number)
    }
}

/// The content of the first attribute of that number.
pub(super) fn content(of: &[u8], number: u16) -> Option<&[u8]> {
    attributes(of).find(|(found, _)| *found == number).map(|(_, content)| content)
}

/// A name without the zero that ends it; empty if there is none.
pub(super) fn name(content: Option<&[u8]>) -> &[u8] {
    text(content.unwrap_or_default())
}

/// A number as nftables writes them.
pub(super) fn big_endian(content: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(content.try_into().ok()?))
}
