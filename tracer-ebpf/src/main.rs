//! The kernel side of tracer: hooks that turn what the kernel does into records.
//!
//! `hooks/` holds the entry points, one file a subject; they read the kernel through [`kernel`] only and write
//! records through [`emit`] only. The licence section lets the kernel offer the helpers it keeps for GPL programs.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(
    clippy::inline_always,
    reason = "typed pointers do not survive calls between BPF functions, and a call costs more than most of these"
)]
#![expect(clippy::needless_pass_by_value, reason = "the macros of entry points hand contexts over by value")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "there is no panic here to fall back on: numbers are cut on purpose"
)]
#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "a map's key is read where it is: a copy would cost some of the 512 bytes of stack"
)]

mod emit;
mod hooks;
mod kernel;
mod maps;

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Never reached: the verifier rejects a program with a panic path. The language wants one.
#[panic_handler]
fn panic(_information: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
