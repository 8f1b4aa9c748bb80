//! Tells a kernel that the emulator broke from one that broke by itself.
//!
//! QEMU works out the flags of an emulated processor late, from operands it stored with the last instruction that set
//! them. An instruction that is broken off after it stored its operands can leave them to be taken for the flags
//! themselves (QEMU's commit e3693cd3c9fe describes how; QEMU 7.2 lacks it). The kernel then finds bits in its flags
//! register that no processor has, and dies wherever it was. No option of QEMU avoids that.
//!
//! QEMU translates code before it runs it, and one emulated processor may still run what was translated from an instruction
//! that another has rewritten. The kernel rewrites its own code by way of a breakpoint, and once all processors have been
//! made to forget old code it expects none there any more (`text_poke_bp_batch`). One that stops at it after all finds
//! nobody to handle it, though there is no breakpoint in memory. One thread for all processors would avoid that, and with
//! it much of what processors do to each other.

use std::fmt;

/// What no processor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Impossible {
    /// It has these flags.
    Flags(u64),
    /// It stops at a breakpoint where the code has this byte.
    Breakpoint(u8),
}

impl fmt::Display for Impossible {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flags(flags) => write!(formatter, "flags {flags:#x}, which no processor has"),
            Self::Breakpoint(byte) => {
                write!(formatter, "a breakpoint where the code has {byte:#04x}, which no processor stops at")
            }
        }
    }
}

/// Bits of EFLAGS that read 0 on every processor: 3, 5, 15 and all from 22 on.
const ALWAYS_CLEAR: u64 = 1 << 3 | 1 << 5 | 1 << 15 | !0 << 22;

/// The first dump of registers, behind a kernel's complaint, that shows where the kernel itself was. Dumps of the
/// program that had called it stand around it in the same trace and say nothing.
#[derive(Debug, Default)]
pub(super) enum Dump {
    /// No such dump has begun.
    #[default]
    Awaited,
    /// Its instruction pointer is told, its flags are not; and the byte of code before the pointer, once that is told.
    Begun(Option<u8>),
    /// The byte of code before the instruction pointer, and the flags.
    Told(Option<u8>, u64),
}

impl Dump {
    /// Takes in a line of the console behind the complaint.
    pub(super) fn hear(&mut self, line: &str) {
        match self {
            // Selector 0010 is the kernel's code.
            Self::Awaited if line.contains("RIP: 0010:") => *self = Self::Begun(None),
            Self::Begun(before) => {
                *before = before.or_else(|| byte_before(line));
                if let Some(flags) = flags(line) {
                    *self = Self::Told(*before, flags);
                }
            }
            Self::Awaited | Self::Told(..) => {}
        }
    }

    /// What the dump behind that complaint shows of a processor that no processor does.
    pub(super) fn impossible(&self, complaint: &str) -> Option<Impossible> {
        const BREAKPOINT: u8 = 0xcc;
        match *self {
            Self::Told(_, flags) if flags & ALWAYS_CLEAR != 0 => Some(Impossible::Flags(flags)),
            Self::Told(Some(byte), _) if complaint.contains("Oops: int3:") && byte != BREAKPOINT => {
                Some(Impossible::Breakpoint(byte))
            }
            _ => None,
        }
    }
}

/// The byte before the instruction pointer, by `Code: … e9 <8f> …` (`show_opcodes`): behind a breakpoint, its own.
fn byte_before(line: &str) -> Option<u8> {
    let (_, code) = line.split_once("Code: ")?;
    let (before, _) = code.split_once(" <")?;
    u8::from_str_radix(before.rsplit(' ').next()?, 16).ok()
}

/// What `RSP: … EFLAGS: …` says, the second line of a dump's registers (`show_iret_regs`).
fn flags(line: &str) -> Option<u64> {
    let (_, flags) = line.split_once("EFLAGS: ")?;
    u64::from_str_radix(flags.split_whitespace().next()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::{Dump, Impossible};

    const DOUBLE_FAULT: &[&str] = &[
        "[  443.302672] Oops: double fault: 0000 [#1] SMP NOPTI",
        "[  443.305012] CPU: 1 UID: 0 PID: 8441 Comm: ipvsadm Not tainted 6.18.9-amd64 #1 PREEMPT(lazy)",
        "[  443.306117] RIP: 0010:__kmalloc_noprof+0x17b/0x550",
        "[  443.306790] Code: 48 8b 75 d0 0f 1f 44 00 00 48 83 c4 08 5b 41 5c",
        "[  443.307425] RSP: 0018:ff43f73100457c50 EFLAGS: 08866242",
        "[  443.308020] RAX: 0000000000000000 RBX: ff2dd1a2c1042300 RCX: 0000000000000000",
        "[  443.315501] RIP: 0033:0x7f8f0d2a4e17",
        "[  443.316402] RSP: 002b:00007ffd6f0a5a28 EFLAGS: 00000206 ORIG_RAX: 0000000000000029",
        "[  443.327114] RIP: 0010:__kmalloc_noprof+0x17b/0x550",
        "[  443.328201] RSP: 0018:ff43f73100457c50 EFLAGS: 00000246",
        "[  443.330871] Kernel panic - not syncing: Fatal exception in interrupt",
    ];

    const BREAKPOINT: &[&str] = &[
        "[  336.638530] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI",
        "[  336.638874] CPU: 0 UID: 0 PID: 9 Comm: kworker/0:0 Not tainted 6.12.117+deb12-amd64 #1",
        "[  336.639683] RIP: 0010:ipv6_rcv+0x42/0x1d0",
        "[  336.639825] Code: 48 85 c0 0f 84 31 01 00 00 48 89 c3 e9 <8f> 00 00 00 48 8b 7b 10",
        "[  336.639953] RSP: 0018:ff4b6ea480003dc8 EFLAGS: 00000286",
    ];

    fn impossible(lines: &[&str]) -> Option<Impossible> {
        let mut dump = Dump::default();
        for line in lines {
            dump.hear(line);
        }
        dump.impossible(lines.first().copied().unwrap_or_default())
    }

    #[test]
    fn the_kernels_first_dump_decides() {
        let there_is_one = BREAKPOINT[3].replace("e9 <8f>", "cc <8f>");
        let real_breakpoint = [BREAKPOINT[0], BREAKPOINT[2], &there_is_one, BREAKPOINT[4]];
        let other_fault = ["[ 1.0] Oops: 0002 [#1] SMP", BREAKPOINT[2], BREAKPOINT[3], BREAKPOINT[4]];
        let cases: [(&str, &[&str], Option<Impossible>); 9] = [
            ("a double fault made by the emulator", DOUBLE_FAULT, Some(Impossible::Flags(0x0886_6242))),
            ("a breakpoint that is none", BREAKPOINT, Some(Impossible::Breakpoint(0xe9))),
            ("a breakpoint", &real_breakpoint, None),
            ("a write that no page allows", &other_fault, None),
            (
                "a null pointer",
                &[
                    "[    3.100001] BUG: kernel NULL pointer dereference, address: 0000000000000008",
                    "[    3.100002] Oops: 0000 [#1] PREEMPT SMP NOPTI",
                    "[    3.100003] RIP: 0010:ip_vs_conn_put+0x4/0x60 [ip_vs]",
                    "[    3.100004] RSP: 0018:ffffb0f640003d48 EFLAGS: 00010246",
                    "[    3.100005] RIP: 0033:0x7f8f0d2a4e17",
                    "[    3.100006] RSP: 002b:00007ffd6f0a5a28 EFLAGS: 08866242",
                ],
                None,
            ),
            (
                "a task that a processor is stuck in, with every flag there is",
                &["[ 71.2] RIP: 0010:native_halt+0xe/0x10", "[ 71.2] RSP: 0000:ffff8 EFLAGS: 003f7fd7"],
                None,
            ),
            ("a program's registers only", &["RIP: 0033:0x7f8f", "RSP: 002b:00007f EFLAGS: 08866242"], None),
            ("a dump that was cut", &DOUBLE_FAULT[..4], None),
            ("a panic without registers", &["[    1.0] Kernel panic - not syncing: No working init"], None),
        ];
        for (what, lines, expected) in cases {
            assert_eq!(impossible(lines), expected, "{what}");
        }
    }

    #[test]
    fn bits_that_are_always_clear_are_impossible_and_no_others() {
        for bit in 0..64 {
            let text = format!("RSP: 0018:ff EFLAGS: {:08x}", 1_u64 << bit);
            let impossible = impossible(&["RIP: 0010:f+0x1/0x2", &text]).is_some();
            assert_eq!(impossible, matches!(bit, 3 | 5 | 15 | 22..), "bit {bit}");
        }
    }
}
