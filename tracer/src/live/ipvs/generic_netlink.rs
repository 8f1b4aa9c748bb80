//! Generic netlink: asking for dumps.
//!
//! The kernel loads a module when a family is asked for by a name it does not know. Here the list of families is
//! dumped instead and searched, which loads nothing.

use std::io;

use netlink_sys::protocols::NETLINK_GENERIC;

use crate::netlink::{ANSWER_SECONDS, Asking, Refusal, Request, attributes, number, text};

/// Bytes of `struct genlmsghdr`: command, version, two reserved.
const GENERIC_HEADER_BYTES: usize = 4;

/// A question for a dump.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// Number of the family.
    family: u16,
    request: Request,
}

impl Question {
    /// By the numbers of a family and of one of its commands, and the family's version.
    pub(super) fn new(family: u16, command: u8, version: u8) -> Self {
        Self { family, request: Request::new(family, &[command, version, 0, 0]) }
    }

    /// The same with an attribute more.
    #[must_use]
    pub(super) fn with(self, kind: u16, value: &[u8]) -> Self {
        Self { request: self.request.with(kind, value), ..self }
    }
}

/// A socket to generic netlink, in the network namespace its thread was in when it was opened.
pub(super) struct GenericNetlink(Asking);

impl GenericNetlink {
    /// Opens it. Generic netlink is part of every kernel with networks: this loads nothing.
    pub(super) fn open() -> io::Result<Self> {
        Asking::open(NETLINK_GENERIC, ANSWER_SECONDS).map(Self)
    }

    /// The number of the family of that name; `None` if the kernel has none now.
    pub(super) fn family(&mut self, name: &str) -> Result<Option<u16>, Refusal> {
        const CONTROL_FAMILY: u16 = 16;
        const GET_FAMILY: u8 = 3;
        const VERSION: u8 = 2;
        let mut found = None;
        self.dump(&Question::new(CONTROL_FAMILY, GET_FAMILY, VERSION), |attributes| {
            found = found.or(family_number(attributes, name));
        })?;
        Ok(found)
    }

    /// Asks, and calls `take` with the attributes of each message of the answer.
    pub(super) fn dump(&mut self, question: &Question, mut take: impl FnMut(&[u8])) -> Result<(), Refusal> {
        self.0.dump(&question.request, |message| {
            if message.kind == question.family
                && let Some(attributes) = message.payload.get(GENERIC_HEADER_BYTES..)
            {
                take(attributes);
            }
        })?;
        Ok(())
    }
}

fn family_number(of_family: &[u8], name: &str) -> Option<u16> {
    const FAMILY_ID: u16 = 1;
    const FAMILY_NAME: u16 = 2;
    let mut found = None;
    let mut is_named = false;
    for (kind, value) in attributes(of_family) {
        match kind {
            FAMILY_ID => found = number::<u16>(value),
            FAMILY_NAME => is_named = text(value) == name.as_bytes(),
            _ => {}
        }
    }
    found.filter(|_| is_named)
}

#[cfg(test)]
mod tests {
    use super::GenericNetlink;

    /// This kernel's own list: nothing is loaded for the name nobody has.
    #[test]
    fn families_are_found_by_name() {
        let mut netlink = GenericNetlink::open().unwrap();
        assert_eq!(netlink.family("nlctrl").unwrap(), Some(16));
        assert_eq!(netlink.family("no-such-family").unwrap(), None);
    }
}
