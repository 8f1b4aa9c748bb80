//! Messages of nftables: a family, then attributes, some of which hold attributes.

/// Length of what stands before the attributes: family, version and a number that is not used (`struct nfgenmsg`).
pub(super) const FAMILY_HEADER_BYTES: usize = 4;

/// Length of an attribute's head: its length, head included, and its number (`struct nlattr`).
const HEAD_BYTES: usize = 4;

/// Attributes and messages begin at multiples of this.
pub(super) const ALIGNMENT_BYTES: usize = 4;

/// The bits of an attribute's number that are one; the others say how it is written (`NLA_TYPE_MASK`).
const NUMBER_MASK: u16 = 0x3fff;

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

    /// All attributes.
    pub(super) fn attributes(&self) -> Attributes<'a> {
        Attributes(self.attributes)
    }

    /// The content of the first attribute of that number.
    pub(super) fn attribute(&self, number: u16) -> Option<&'a [u8]> {
        self.attributes().content(number)
    }
}

/// Attributes one after the other, by number and content. What is cut short ends them.
#[derive(Clone, Debug)]
pub(super) struct Attributes<'a>(pub(super) &'a [u8]);

impl<'a> Attributes<'a> {
    /// The content of the first one of that number, of those that are left.
    pub(super) fn content(&self, number: u16) -> Option<&'a [u8]> {
        self.clone().find(|(found, _)| *found == number).map(|(_, content)| content)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, _) = self.0.split_first_chunk::<HEAD_BYTES>()?;
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let number = u16::from_ne_bytes([head[2], head[3]]) & NUMBER_MASK;
        let content = self.0.get(HEAD_BYTES..length)?;
        self.0 = self.0.get(length.next_multiple_of(ALIGNMENT_BYTES)..).unwrap_or_default();
        Some((number, content))
    }
}

/// Appends an attribute.
pub(super) fn append_attribute(buffer: &mut Vec<u8>, number: u16, content: &[u8]) {
    // Names are the longest contents: at most 256 bytes.
    let length = u16::try_from(HEAD_BYTES + content.len()).unwrap_or(u16::MAX);
    buffer.extend_from_slice(&length.to_ne_bytes());
    buffer.extend_from_slice(&number.to_ne_bytes());
    buffer.extend_from_slice(content);
    buffer.resize(buffer.len().next_multiple_of(ALIGNMENT_BYTES), 0);
}

/// A name without the zero that ends it; empty if there is none.
pub(super) fn name(content: Option<&[u8]>) -> &[u8] {
    let content = content.unwrap_or_default();
    content.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// A number as nftables writes them.
pub(super) fn big_endian(content: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(content.try_into().ok()?))
}
