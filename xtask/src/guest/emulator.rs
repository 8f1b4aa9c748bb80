//! Tells a kernel that the emulator broke from one that broke by itself.
//!
//! QEMU works out the flags of an emulated processor late, from operands it stored with the last instruction that set
//! them. An instruction that is broken off after it stored its operands can leave them to be taken for the flags
//! themselves (QEMU's commit e3693cd3c9fe describes how; QEMU 7.2 lacks it). The kernel then finds bits in its flags
//! register that no processor has, and dies wherever it was. No option of QEMU avoids that.

/// Bits of EFLAGS that read 0 on every processor: 3, 5, 15 and all from 22 on.
const ALWAYS_CLEAR: u64 = 1 << 3 | 1 << 5 | 1 << 15 | !0 << 22;

/// The first dump of registers, behind a kernel's complaint, that shows where the kernel itself was. Dumps of the
/// program that had called it stand around it in the same trace and say nothing.
#[derive(Debug, Default)]
pub(super) enum Dump {
    /// No such dump has begun.
    #[default]
    Awaited,
    /// Its instruction pointer is told, its flags are not.
    Begun,
    /// These are its flags.
    Flags(u64),
}

impl Dump {
    /// Takes in a line of the console behind the complaint.
    pub(super) fn hear(&mut self, line: &str) {
        match self {
            // Selector 0010 is the kernel's code.
            Self::Awaited if line.contains("RIP: 0010:") => *self = Self::Begun,
            Self::Begun => {
                if let Some(flags) = flags(line) {
                    *self = Self::Flags(flags);
                }
            }
            Self::Awaited | Self::Flags(_) => {}
        }
    }

    /// The flags of the dump, if no processor can have them.
    pub(super) fn impossible_flags(&self) -> Option<u64> {
        match *self {
            Self::Flags(flags) if flags & ALWAYS_CLEAR != 0 => Some(flags),
            _ => None,
        }
    }
}

/// What `RSP: … EFLAGS: …` says, the second line of a dump's registers (`show_iret_regs`).
fn flags(line: &str) -> Option<u64> {
    let (_, flags) = line.split_once("EFLAGS: ")?;
    u64::from_str_radix(flags.split_whitespace().next()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::Dump;

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

    fn impossible_flags(lines: &[&str]) -> Option<u64> {
        let mut dump = Dump::default();
        for line in lines {
            dump.hear(line);
        }
        dump.impossible_flags()
    }

    #[test]
    fn the_flags_of_the_kernels_first_dump_decide() {
        let cases: [(&str, &[&str], Option<u64>); 6] = [
            ("a double fault made by the emulator", DOUBLE_FAULT, Some(0x0886_6242)),
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
            assert_eq!(impossible_flags(lines), expected, "{what}");
        }
    }

    #[test]
    fn bits_that_are_always_clear_are_impossible_and_no_others() {
        for bit in 0..64 {
            let text = format!("RSP: 0018:ff EFLAGS: {:08x}", 1_u64 << bit);
            let impossible = impossible_flags(&["RIP: 0010:f+0x1/0x2", &text]).is_some();
            assert_eq!(impossible, matches!(bit, 3 | 5 | 15 | 22..), "bit {bit}");
        }
    }
}
