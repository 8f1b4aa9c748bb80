//! Messages as a kernel sent them.
