//! The kernel side of tracer: hooks that turn what the kernel does into records.
//!
//! `hooks/` holds the entry points, one file a subject; they read the kernel through [`kernel`] only and write
//! records through [`emit`] only. The licence section lets the kernel offer the helpers it keeps for GPL programs.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

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
