//! One loading of the eBPF object: its maps, its programs, and what is attached.
//!
//! The kernel side's constants are frozen when the object is loaded. When a module appears later, with types that were
//! not known then, the object is loaded once more for that module's hooks: a new generation, with a ring of its own.

use anyhow::{Context as _, anyhow};
use aya::{
    Btf, Ebpf, EbpfLoader, Pod, VerifierLogLevel,
    maps::{HashMap, MapData, MapError, PerCpuArray, RingBuf},
    programs::Program,
};
use aya_log::EbpfLogger;
use bytes::BytesMut;
use log::Log;
use tracer_common::{
    counters::{Counters, KindCounters},
    hook::Way,
    offsets::Offsets,
    record::{Flow, KERNEL_KINDS, RecordKind},
    settings::Settings,
    watched::Watched,
};

use super::{
    reopenings::Reopenings,
    table::{Attachment, Hook, Target},
    trampoline::{Trampoline, Trampolines},
};
use crate::kernel::btf::FunctionPlace;

/// The kernel side, built from `tracer-ebpf` by the build script; empty in a program that only reads sessions.
#[cfg(not(feature = "kernel-side"))]
static OBJECT: &[u8] = &[];
#[cfg(feature = "kernel-side")]
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tracer-ebpf.o"));

/// Times the counters of a CPU are read again when they were caught between two counts.
const SETTLING_READS: usize = 8;

/// Below every level of the kernel side's log.
const NO_LOG: u8 = 0;

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Plain<T>(T);

// SAFETY: `repr(C)` structs of integers without padding (they derive `IntoBytes`).
unsafe impl Pod for Plain<Offsets> {}
// SAFETY: as above.
unsafe impl Pod for Plain<Settings> {}
// SAFETY: as above.
unsafe impl Pod for Plain<Counters> {}
// SAFETY: as above.
unsafe impl Pod for Plain<Flow> {}
// SAFETY: as above.
unsafe impl Pod for Plain<Watched> {}

/// A loaded object.
pub(super) struct Generation {
    ebpf: Ebpf,
    ring: RingBuf<MapData>,
    counters: PerCpuArray<MapData, Plain<Counters>>,
    watched: HashMap<MapData, Plain<Flow>, Plain<Watched>>,
    reopenings: Reopenings,
    trampolines: Trampolines,
    attached: Vec<Trampoline>,
    /// Prints what the kernel side logs, if anybody asked for it.
    logger: Option<EbpfLogger<&'static dyn Log>>,
}

impl Generation {
    /// Loads the object with these constants. Nothing is attached yet.
    pub(super) fn load(
        offsets: &Offsets,
        settings: &Settings,
        ring_bytes: u32,
        types: &Btf,
    ) -> anyhow::Result<Self> {
        let (offsets, settings) = (Plain(*offsets), Plain(*settings));
        let log_level = kernel_side_log_level();
        let mut ebpf = EbpfLoader::new()
            .btf(Some(types))
            .override_global(aya_log::LEVEL, &log_level, true)
            .override_global("OFFSETS", &offsets, true)
            .override_global("SETTINGS", &settings, true)
            .map_max_entries("RECORDS", ring_bytes)
            .verifier_log_level(VerifierLogLevel::DEBUG)
            .load(OBJECT)
            .context("cannot load the eBPF object into the kernel")?;
        let logger = if log_level == NO_LOG {
            None
        } else {
            Some(EbpfLogger::init(&mut ebpf).context("cannot read what the kernel side logs")?)
        };
        let trampolines = Trampolines::new(OBJECT, &ebpf)?;
        let ring = RingBuf::try_from(ebpf.take_map("RECORDS").context("the object has no ring")?)?;
        let counters =
            PerCpuArray::try_from(ebpf.take_map("COUNTERS").context("the object has no counters")?)?;
        let watched = HashMap::try_from(ebpf.take_map("WATCHED").context("the object has no watch list")?)?;
        let reopenings = Reopenings::new(&mut ebpf)?;
        Ok(Self { ebpf, ring, counters, watched, reopenings, trampolines, attached: Vec::new(), logger })
    }

    /// Attaches a hook by one of its ways: all its programs, or none. The program that runs last in a call comes first, so
    /// that no call under way is met at its beginning only.
    pub(super) fn attach(
        &mut self,
        hook: &Hook,
        attachment: &Attachment,
        place: Option<&FunctionPlace>,
        types: &Btf,
    ) -> anyhow::Result<()> {
        if attachment.way == Way::Trampoline {
            let place = place.ok_or_else(|| anyhow!("the kernel's types do not know the function"))?;
            let attached: anyhow::Result<Vec<Trampoline>> = attachment
                .programs
                .iter()
                .rev()
                .map(|program| self.trampolines.attach(program.name, program.moment, place))
                .collect();
            self.attached.extend(attached?);
            return Ok(());
        }
        for program in attachment.programs.iter().rev() {
            if let Err(error) = self.attach_program(program.name, hook, types) {
                self.unload(attachment);
                return Err(error);
            }
        }
        Ok(())
    }

    fn attach_program(&mut self, name: &str, hook: &Hook, types: &Btf) -> anyhow::Result<()> {
        let program =
            self.ebpf.program_mut(name).ok_or_else(|| anyhow!("the eBPF object has no program {name}"))?;
        match (program, hook.target) {
            (Program::BtfTracePoint(program), Target::Tracepoint(event)) => {
                program.load(event, types)?;
                program.attach()?;
            }
            (Program::RawTracePoint(program), Target::Tracepoint(event)) => {
                program.load()?;
                program.attach(event)?;
            }
            (Program::KProbe(program), Target::Function { name, .. }) => {
                program.load()?;
                program.attach(name, 0)?;
            }
            (program, target) => {
                return Err(anyhow!("program {name} ({:?}) does not fit {target:?}", program.prog_type()));
            }
        }
        Ok(())
    }

    /// Puts a flow on the watch list, or keeps it there. Fails if the list is full.
    pub(super) fn watch(&mut self, flow: &Flow) -> anyhow::Result<()> {
        const WHETHER_THERE_OR_NOT: u64 = 0;
        self.watched
            .insert(Plain(*flow), Plain(Watched::default()), WHETHER_THERE_OR_NOT)
            .context("cannot add to the kernel side's watch list")
    }

    /// Takes a flow off the watch list, if it is there.
    pub(super) fn forget(&mut self, flow: &Flow) -> anyhow::Result<()> {
        match self.watched.remove(&Plain(*flow)) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => {
                Ok(())
            }
            Err(error) => Err(error).context("cannot take from the kernel side's watch list"),
        }
    }

    /// Unloads the programs of a way, and what an attempt that failed half-way has loaded. A program that was not
    /// loaded says so, which is fine.
    pub(super) fn unload(&mut self, attachment: &Attachment) {
        for program in attachment.programs {
            if let Some(program) = self.ebpf.program_mut(program.name) {
                let _ = unload(program);
            }
        }
    }

    /// Detaches everything. The ring and the counters can still be read.
    pub(super) fn detach(&mut self) {
        self.attached.clear();
        for (_, program) in self.ebpf.programs_mut() {
            // Those that were never loaded say so, which is fine.
            let _ = unload(program);
        }
    }

    /// Moves whole records from the ring to `into` until the ring is empty or `limit_bytes` are taken; whether any
    /// remain.
    pub(super) fn drain(&mut self, into: &mut BytesMut, limit_bytes: usize) -> bool {
        if let Some(logger) = &mut self.logger {
            logger.flush();
        }
        while into.len() < limit_bytes {
            let Some(record) = self.ring.next() else { return false };
            into.extend_from_slice(&record);
        }
        true
    }

    /// Moves records that have waited in vain for more facts to `into`; all of them, once everything is detached.
    pub(super) fn collect_waiting(&mut self, into: &mut BytesMut, all: bool) {
        self.reopenings.collect(into, all);
    }

    /// The counters, summed over CPUs.
    pub(super) fn counters(&self) -> anyhow::Result<[KindCounters; KERNEL_KINDS]> {
        let mut sums = self.read_counters()?;
        for _ in 0..SETTLING_READS {
            if sums.iter().all(KindCounters::is_settled) {
                break;
            }
            sums = self.read_counters()?;
        }
        let reopenings = &mut sums[RecordKind::Conntrack as usize];
        reopenings.seen += self.reopenings.collected();
        reopenings.delivered += self.reopenings.collected();
        Ok(sums)
    }

    fn read_counters(&self) -> anyhow::Result<[KindCounters; KERNEL_KINDS]> {
        let per_cpu = self.counters.get(&0, 0).context("cannot read the kernel side's counters")?;
        let mut sums = [KindCounters::default(); KERNEL_KINDS];
        for Plain(counters) in per_cpu.iter() {
            for (sum, counted) in sums.iter_mut().zip(counters.kinds) {
                *sum = sum.plus(counted);
            }
        }
        Ok(sums)
    }
}

/// The level up to which the kernel side logs: this module's in `RUST_LOG`, where only `debug` and `trace` ask for it.
fn kernel_side_log_level() -> u8 {
    if log::log_enabled!(log::Level::Debug) { log::Level::Debug as u8 } else { NO_LOG }
}

fn unload(program: &mut Program) -> Result<(), aya::programs::ProgramError> {
    match program {
        Program::BtfTracePoint(program) => program.unload(),
        Program::RawTracePoint(program) => program.unload(),
        Program::KProbe(program) => program.unload(),
        // Trampolines are not loaded through aya.
        _ => Ok(()),
    }
}
