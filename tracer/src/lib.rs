//! tracer: what is going wrong on this node, for whom, and why.

pub mod block;
pub mod cli;
mod containers;
pub mod decode;
pub mod event;
pub mod filter;
pub mod findings;
pub mod history;
pub mod kernel;
pub mod live;
pub mod namespaces;
mod netlink;
pub mod output;
mod owned;
pub mod probe;
mod rulesets;
pub mod session;
mod signals;
pub mod state;
pub mod tui;
mod words;
