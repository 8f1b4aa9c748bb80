//! Hooks and how they are attached.

pub mod table;
