//! tracer: see the library.

fn main() {}
