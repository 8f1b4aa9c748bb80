//! Blocks: runs of whole records as bytes.

use bytes::Bytes;

/// A run of whole records, cheap to hand to several consumers. Everything that is shown, recorded or replayed passes
/// through blocks: nothing else reaches the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block(pub Bytes);
