//! Netlink: messages and their attributes, and sockets that ask or listen. What messages mean is told elsewhere.

mod message;
mod socket;

pub(crate) use self::{
    message::{Message, Request, append_attribute, attributes, number, text},
    socket::{ANSWER_SECONDS, Asking, Listed, Listening, Refusal},
};

/// Length of a netlink message's header in bytes.
const HEADER_BYTES: usize = 16;
