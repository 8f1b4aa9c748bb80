//! The types both sides of the ring buffer know.
//!
//! The kernel side writes [records](record), the program reads them; nothing else crosses. Everything here is
//! `no_std`, has a fixed layout and holds no padding, so that no byte of kernel memory leaks into a record.
#![no_std]

pub mod budget;
pub mod counters;
pub mod hook;
pub mod offsets;
pub mod record;
pub mod settings;
pub mod watched;
