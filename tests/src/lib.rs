//! Scenarios: real network faults in network namespaces, the real program beside them, and the kernel's own counters
//! as the truth both are measured by.
//!
//! A case builds its own namespaces, starts `tracer events --json`, causes one fault, and compares to the exact count.
//! Nothing waits for a time: everything waits for a condition, with a deadline.

pub mod case;
pub mod cgroup;
pub mod command;
pub mod counters;
pub mod crowd;
pub mod expect;
pub mod layout;
pub mod namespace;
pub mod need;
pub mod queue;
pub mod recorded;
pub mod retransmits;
pub mod screen;
pub mod storm;
pub mod topology;
pub mod tracer;
pub mod traffic;
pub mod wait;
pub mod weather;
pub mod witness;
