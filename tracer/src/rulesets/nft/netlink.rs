//! Questions to nftables and their answers, message by message.

use std::io;

use netlink_sys::protocols::NETLINK_NETFILTER;

use super::{super::Deadline, message::Message};
use crate::netlink::{Asking, Listed, Refusal, Request};

/// How long an answer may take. Another's long change of the ruleset keeps it waiting.
const ANSWER_SECONDS: i64 = 10;

/// nftables among the subsystems of netfilter (`NFNL_SUBSYS_NFTABLES`), in the upper byte of a message's kind.
const NFTABLES: u16 = 10 << 8;

/// A socket for questions to nftables.
pub(super) struct Netlink(Asking);

impl Netlink {
    /// In the calling thread's namespace.
    pub(super) fn open() -> io::Result<Self> {
        Asking::open(NETLINK_NETFILTER, ANSWER_SECONDS).map(Self)
    }

    /// Asks for one message.
    pub(super) fn get(&mut self, kind: u8, mut take: impl FnMut(&Message<'_>)) -> Result<(), Refusal> {
        self.0.ask(&request(kind, 0), |message| {
            if let Some(message) = Message::of(message.payload) {
                take(&message);
            }
        })
    }

    /// Asks for all of a kind, in a family or in all (0), narrowed down by the names of these attributes.
    pub(super) fn dump(
        &mut self,
        kind: u8,
        family: u8,
        narrowed: &[(u16, &[u8])],
        deadline: Deadline,
        mut take: impl FnMut(&Message<'_>),
    ) -> Result<Listed, Refusal> {
        let request = narrowed.iter().fold(request(kind, family), |request, (number, name)| {
            request.with(*number, &[name, &b"\0"[..]].concat())
        });
        self.0.dump_while(
            &request,
            |has_changed| deadline.goes_on(has_changed),
            |message| {
                if let Some(message) = Message::of(message.payload) {
                    take(&message);
                }
            },
        )
    }
}

/// A request with its `struct nfgenmsg`: family, version, and a number that is not used.
fn request(kind: u8, family: u8) -> Request {
    Request::new(NFTABLES | u16::from(kind), &[family, 0, 0, 0])
}
