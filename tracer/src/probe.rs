//! Hooks: what they are.

pub mod table;
