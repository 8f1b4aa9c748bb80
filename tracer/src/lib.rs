//! tracer: what is going wrong on this node, for whom, and why.

pub mod block;
pub mod decode;
pub mod event;
pub mod probe;
pub mod state;
pub mod tui;
