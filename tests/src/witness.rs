//! A second opinion: a few instructions of BPF, written by hand, that count a namespace's retransmits and the
//! neighbours that did not answer.
//!
//! The witness shares nothing with the program under test but the kernel's tracepoints. Where that program tells less
//! than the kernel's counters say, the witness shows whose fault it is: if it saw more, the program's; if it saw the
//! same, the kernel ran no BPF program for the rest. It holds this crate's only calls of `bpf(2)`.

use std::{
    ffi::{CStr, CString},
    io, mem,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use anyhow::{Context, Result};
use aya::maps::{Array, IterableMap, MapData};
use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_prog_type};
use nix::sys::resource::{Resource, rlim_t, setrlimit};

use crate::{
    layout::Layout,
    namespace::Namespace,
    retransmits::{HELD, Retransmits, Sums},
};

/// What the programs count, 8 bytes each: hits, segments and opening packets sent, then the same of failed attempts, then
/// of those held back, then failed neighbours.
type Cells = [u64; 10];

const HITS: i16 = 0;
const SEGMENTS: i16 = 8;
const OPENING: i16 = 16;
const FAILED_NEIGHBOURS: i16 = 72;
/// From the cells of attempts that were sent to those of attempts that failed, and from there to those held back.
const TO_NEXT: i32 = 24;

/// Counts what happens in one namespace while it lives.
pub struct Witness {
    cells: Array<MapData, Cells>,
    /// A link keeps its program; the program keeps the map.
    _links: [OwnedFd; 3],
}

impl Witness {
    /// Begins to count. Needs root.
    pub fn watch(namespace: &Namespace) -> Result<Self> {
        // Kernels before 5.11 charge maps and programs to the memory a user may lock. Where that matters and may not be
        // changed, the map's own error tells.
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, rlim_t::MAX, rlim_t::MAX);
        let layout = Layout::of_this_kernel()?;
        let inode = u32::try_from(namespace.inode()).context("the inode number of a namespace")?;
        let cells = Array::<_, Cells>::create(1, 0).context("make the witness's map")?;
        let map = cells.map().fd().as_fd().as_raw_fd();
        let links = [
            attach(c"tcp_retransmit_skb", &segment_program(layout, inode, map))?,
            attach(c"tcp_retransmit_synack", &syn_ack_program(layout, inode, map))?,
            attach(c"neigh_timer_handler", &neighbour_program(layout, inode, map))?,
        ];
        Ok(Self { cells, _links: links })
    }

    /// The retransmits it saw so far. Failed attempts are seen only where the tracepoint [tells them](Layout::tells_errors).
    pub fn retransmits(&self) -> Result<Retransmits> {
        let cells = self.cells()?;
        let sums =
            |first: usize| Sums { hits: cells[first], segments: cells[first + 1], opening: cells[first + 2] };
        Ok(Retransmits { sent: sums(0), failed: sums(3), held: sums(6) })
    }

    /// How many neighbours it saw fail so far.
    pub fn failed_neighbours(&self) -> Result<u64> {
        let [.., failed] = self.cells()?;
        Ok(failed)
    }

    fn cells(&self) -> Result<Cells> {
        self.cells.get(&0, 0).context("read the witness's map")
    }
}

/// `tcp:tcp_retransmit_skb` with a socket, a packet and, in newer kernels, an error.
fn segment_program(layout: &Layout, inode: u32, map: RawFd) -> Vec<Instruction> {
    const SYN_BIT: i32 = 1;
    let mut code = Code::default();
    code.add(LOAD_8, OWNER, CONTEXT, 0, 0);
    code.add(LOAD_8, PACKET, CONTEXT, 8, 0);
    if layout.tells_errors {
        code.add(LOAD_8, ERROR, CONTEXT, 16, 0);
    }
    code.end_unless_in(inode, layout.socket_namespace, layout);
    code.point_at(map);
    if layout.tells_errors {
        code.add(SKIP_IF_EQUAL, ERROR, 0, 3, 0);
        code.add(PLUS, CELLS, 0, 0, TO_NEXT);
        code.add(SKIP_UNLESS_EQUAL, ERROR, 0, 1, -HELD);
        code.add(PLUS, CELLS, 0, 0, TO_NEXT);
    }
    code.add(SET, VALUE, 0, 0, 1);
    code.count(HITS);
    code.read(LOAD_2, VALUE, PACKET, layout.segments);
    code.count(SEGMENTS);
    code.read(LOAD_1, VALUE, PACKET, layout.flags);
    code.add(SHIFT_RIGHT, VALUE, 0, 0, SYN_BIT);
    code.add(AND, VALUE, 0, 0, 1);
    code.count(OPENING);
    code.finish()
}

/// `tcp:tcp_retransmit_synack` with the listening socket and the request: one segment each.
fn syn_ack_program(layout: &Layout, inode: u32, map: RawFd) -> Vec<Instruction> {
    let mut code = Code::default();
    code.add(LOAD_8, OWNER, CONTEXT, 0, 0);
    code.end_unless_in(inode, layout.socket_namespace, layout);
    code.point_at(map);
    code.add(SET, VALUE, 0, 0, 1);
    code.count(HITS);
    code.count(SEGMENTS);
    code.count(OPENING);
    code.finish()
}

/// `neigh:neigh_timer_handler` with a neighbour whose timer ran out.
fn neighbour_program(layout: &Layout, inode: u32, map: RawFd) -> Vec<Instruction> {
    /// Its place in the state: `NUD_FAILED` is 0x20.
    const FAILED_BIT: i32 = 5;
    let mut code = Code::default();
    code.add(LOAD_8, NEIGHBOUR, CONTEXT, 0, 0);
    code.read(LOAD_8, VALUE, NEIGHBOUR, layout.neighbour_device);
    code.add(MOVE, OWNER, VALUE, 0, 0);
    code.end_unless_in(inode, layout.device_namespace, layout);
    code.point_at(map);
    code.read(LOAD_1, VALUE, NEIGHBOUR, layout.neighbour_state);
    code.add(SHIFT_RIGHT, VALUE, 0, 0, FAILED_BIT);
    code.add(AND, VALUE, 0, 0, 1);
    code.count(FAILED_NEIGHBOURS);
    code.finish()
}

/// One instruction, as `struct bpf_insn` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
struct Instruction {
    operation: u8,
    registers: u8,
    distance: i16,
    number: i32,
}

// Operations, as `linux/bpf.h` and `linux/bpf_common.h` compose them.
/// `BPF_LDX | BPF_MEM | BPF_DW`, and of 4, 2 and 1 bytes.
const LOAD_8: u8 = 0x79;
const LOAD_4: u8 = 0x61;
const LOAD_2: u8 = 0x69;
const LOAD_1: u8 = 0x71;
/// `BPF_LD | BPF_IMM | BPF_DW`: takes two instructions.
const LOAD_ADDRESS: u8 = 0x18;
/// `BPF_STX | BPF_XADD | BPF_DW`: atomic.
const COUNT_8: u8 = 0xdb;
/// `BPF_ALU64 | BPF_MOV | BPF_X`.
const MOVE: u8 = 0xbf;
/// `BPF_ALU64 | BPF_MOV | BPF_K`, and other arithmetic with a number.
const SET: u8 = 0xb7;
const PLUS: u8 = 0x07;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
/// `BPF_JMP32 | BPF_JEQ | BPF_K`, and `BPF_JNE`.
const SKIP_IF_EQUAL: u8 = 0x16;
const SKIP_UNLESS_EQUAL: u8 = 0x56;
/// `BPF_JMP | BPF_CALL`.
const CALL: u8 = 0x85;
/// `BPF_JMP | BPF_EXIT`.
const EXIT: u8 = 0x95;

// Registers: the first six do not outlive a call, and the last is the stack's end.
const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const VALUE: u8 = 1;
/// The socket or the device that is in a namespace.
const OWNER: u8 = 6;
const PACKET: u8 = 7;
const NEIGHBOUR: u8 = 7;
const ERROR: u8 = 8;
const CELLS: u8 = 9;
const STACK: u8 = 10;

/// A program in the making.
#[derive(Debug, Default)]
struct Code {
    instructions: Vec<Instruction>,
    /// Jumps whose distance is that to the end.
    to_end: Vec<usize>,
}

impl Code {
    fn add(&mut self, operation: u8, destination: u8, source: u8, distance: i16, number: i32) {
        let registers =
            if cfg!(target_endian = "big") { destination << 4 | source } else { source << 4 | destination };
        self.instructions.push(Instruction { operation, registers, distance, number });
    }

    /// Reads kernel memory: `into` becomes what lies `distance` bytes behind `base`. What cannot be read is 0.
    fn read(&mut self, load: u8, into: u8, base: u8, distance: i32) {
        const PROBE_READ_KERNEL: i32 = 113;
        const SLOT: i16 = -8;
        let bytes = match load {
            LOAD_8 => 8,
            LOAD_4 => 4,
            LOAD_2 => 2,
            _ => 1,
        };
        self.add(MOVE, 1, STACK, 0, 0);
        self.add(PLUS, 1, 0, 0, SLOT.into());
        self.add(SET, 2, 0, 0, bytes);
        self.add(MOVE, 3, base, 0, 0);
        self.add(PLUS, 3, 0, 0, distance);
        self.add(CALL, 0, 0, 0, PROBE_READ_KERNEL);
        self.add(load, into, STACK, SLOT, 0);
    }

    /// Ends the program unless [`OWNER`] is in the namespace, to which it points `distance` bytes behind its begin.
    fn end_unless_in(&mut self, inode: u32, distance: i32, layout: &Layout) {
        self.read(LOAD_8, VALUE, OWNER, distance);
        self.add(MOVE, OWNER, VALUE, 0, 0);
        self.read(LOAD_4, VALUE, OWNER, layout.namespace_inode);
        self.to_end.push(self.instructions.len());
        self.add(SKIP_UNLESS_EQUAL, VALUE, 0, 0, inode.cast_signed());
    }

    /// Points [`CELLS`] at the first value of a map.
    fn point_at(&mut self, map: RawFd) {
        const PSEUDO_MAP_VALUE: u8 = 2;
        self.add(LOAD_ADDRESS, CELLS, PSEUDO_MAP_VALUE, 0, map);
        self.add(0, 0, 0, 0, 0);
    }

    /// Adds [`VALUE`] to a cell.
    fn count(&mut self, cell: i16) {
        self.add(COUNT_8, CELLS, VALUE, cell, 0);
    }

    fn finish(mut self) -> Vec<Instruction> {
        let end = self.instructions.len();
        for jump in self.to_end {
            // Counted from the instruction behind the jump. The programs are far shorter than that.
            self.instructions[jump].distance = i16::try_from(end - jump - 1).unwrap_or(i16::MAX);
        }
        self.to_end = Vec::new();
        self.add(SET, RESULT, 0, 0, 0);
        self.add(EXIT, 0, 0, 0, 0);
        self.instructions
    }
}

/// Loads a program and attaches it to a tracepoint, for as long as the returned link is open.
fn attach(tracepoint: &CStr, instructions: &[Instruction]) -> Result<OwnedFd> {
    let program = load(instructions).with_context(|| format!("load the witness of {tracepoint:?}"))?;
    let mut attributes = zeroed_attributes();
    attributes.raw_tracepoint.name = tracepoint.as_ptr() as u64;
    attributes.raw_tracepoint.prog_fd = program.as_raw_fd().cast_unsigned();
    bpf(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attributes)
        .with_context(|| format!("attach the witness to {tracepoint:?}"))
}

fn load(instructions: &[Instruction]) -> Result<OwnedFd> {
    const LOG_BYTES: u32 = 1 << 16;
    let license = CString::from(c"GPL");
    let mut log = vec![0_u8; LOG_BYTES as usize];
    let mut attributes = zeroed_attributes();
    // SAFETY: all zero is a valid value of every field, and the kernel reads this member for BPF_PROG_LOAD.
    let program = unsafe { &mut attributes.__bindgen_anon_3 };
    program.prog_type = bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT as u32;
    program.insn_cnt = u32::try_from(instructions.len()).context("the length of the program")?;
    program.insns = instructions.as_ptr() as u64;
    program.license = license.as_ptr() as u64;
    for (kept, &byte) in program.prog_name.iter_mut().zip(b"witness") {
        *kept = byte.cast_signed();
    }
    program.log_level = 1;
    program.log_buf = log.as_mut_ptr() as u64;
    program.log_size = LOG_BYTES;
    bpf(bpf_cmd::BPF_PROG_LOAD, &mut attributes).with_context(|| {
        let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
        format!("the verifier says: {}", String::from_utf8_lossy(&log[..end]).trim())
    })
}

fn zeroed_attributes() -> bpf_attr {
    // SAFETY: a union of plain numbers, of which all zero is a value.
    unsafe { mem::zeroed() }
}

/// Calls `bpf(2)` with a command that makes a descriptor.
fn bpf(command: bpf_cmd, attributes: &mut bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads and writes within the size given; pointers among the attributes are to live buffers of
    // the sizes given beside them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            std::ptr::from_mut(attributes),
            size_of::<bpf_attr>(),
        )
    };
    let descriptor = RawFd::try_from(result).map_err(io::Error::other)?;
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the command made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

#[cfg(test)]
mod tests {
    use super::{Code, EXIT, Instruction, SET, SKIP_UNLESS_EQUAL, VALUE};

    #[test]
    fn jumps_to_the_end_land_on_its_first_instruction() {
        let mut code = Code::default();
        code.to_end.push(0);
        code.add(SKIP_UNLESS_EQUAL, VALUE, 0, 0, 7);
        code.count(0);
        let instructions = code.finish();
        assert_eq!(instructions[0].distance, 1);
        let operations: Vec<u8> = instructions[2..].iter().map(|found| found.operation).collect();
        assert_eq!(operations, [SET, EXIT]);
        assert_eq!(size_of::<Instruction>(), 8);
    }
}
