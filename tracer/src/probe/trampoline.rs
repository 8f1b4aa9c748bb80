//! Trampolines (fentry, fexit) on functions of the kernel image and of modules.
//!
//! aya attaches trampolines to functions of the kernel image only: it has no place for the descriptor of a module's
//! types that the kernel wants. So this file loads trampoline programs itself, from the same object and onto the maps
//! aya made. It holds the program's only calls of `bpf(2)`.

use std::{
    collections::HashSet,
    ffi::CString,
    io, mem,
    os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
};

use anyhow::{Context as _, anyhow};
use aya::{
    Ebpf,
    maps::{Map, MapData},
};
use aya_obj::{
    Function, Object,
    generated::{bpf_attach_type, bpf_attr, bpf_btf_info, bpf_cmd, bpf_prog_type},
};

use super::table::Moment;
use crate::kernel::btf::FunctionPlace;

/// Bytes the kernel keeps of a program's name, the closing zero included (`BPF_OBJ_NAME_LEN`).
const NAME_BYTES: usize = 16;

/// Bytes for what the verifier has to say about a program it refuses: enough for most, then for all. Before 6.4 it
/// keeps the beginning of what does not fit, and the reason stands at the end.
const VERIFIER_LOG_BYTES: [usize; 2] = [1 << 16, 1 << 24];

/// A trampoline that stays attached while this lives.
#[derive(Debug)]
pub(super) struct Trampoline {
    /// The link keeps the program; the program keeps the maps.
    _link: OwnedFd,
}

/// The programs of the object, ready to be loaded onto a set of maps.
pub(super) struct Trampolines {
    object: Object,
}

impl Trampolines {
    /// Reads the object again and points its programs at the maps of `ebpf`.
    pub(super) fn new(object_bytes: &[u8], ebpf: &Ebpf) -> anyhow::Result<Self> {
        let mut object = Object::parse(object_bytes).context("cannot parse the embedded eBPF object")?;
        let maps = mem::take(&mut object.maps);
        let descriptors: Vec<(&str, RawFd, &aya_obj::Map)> = maps
            .iter()
            .filter_map(|(name, map)| {
                let data = map_data(ebpf.map(name)?)?;
                Some((name.as_str(), data.fd().as_fd().as_raw_fd(), map))
            })
            .collect();
        let text_sections: HashSet<usize> = object.functions.keys().map(|&(section, _)| section).collect();
        object
            .relocate_maps(descriptors.into_iter(), &text_sections)
            .context("cannot point the eBPF programs at their maps")?;
        object.relocate_calls(&text_sections).context("cannot link the eBPF programs")?;
        object.sanitize_functions(aya::features());
        Ok(Self { object })
    }

    /// Loads one program and attaches it to a function.
    pub(super) fn attach(
        &self,
        program: &str,
        moment: Moment,
        place: &FunctionPlace,
    ) -> anyhow::Result<Trampoline> {
        let parsed = self
            .object
            .programs
            .get(program)
            .ok_or_else(|| anyhow!("the eBPF object has no program {program}"))?;
        let function = self
            .object
            .functions
            .get(&parsed.function_key())
            .ok_or_else(|| anyhow!("the eBPF object has no code for {program}"))?;
        let module = place.module.as_deref().map(module_types).transpose()?;
        let loaded = load(program, function, moment, place.type_id, module.as_ref())?;
        Ok(Trampoline { _link: link(&loaded)? })
    }
}

/// The data behind a map of one of the types the object declares.
fn map_data(map: &Map) -> Option<&MapData> {
    match map {
        Map::Array(data)
        | Map::PerCpuArray(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::RingBuf(data) => Some(data),
        _ => None,
    }
}

/// A descriptor of a loaded module's types. Needs `CAP_SYS_ADMIN`.
fn module_types(module: &str) -> anyhow::Result<OwnedFd> {
    let mut id = 0;
    loop {
        let mut attributes = zeroed_attributes();
        attributes.__bindgen_anon_6.__bindgen_anon_1.start_id = id;
        match bpf(bpf_cmd::BPF_BTF_GET_NEXT_ID, &mut attributes) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                return Err(anyhow!("the kernel has no types of module {module}"));
            }
            Err(error) => return Err(error).context("cannot list the kernel's type descriptions"),
        }
        // SAFETY: the command writes `next_id`, which any bytes make.
        id = unsafe { attributes.__bindgen_anon_6.next_id };
        // A module may be unloaded in between.
        let Some(types) = types_by_id(id)? else { continue };
        if types_name(&types)? == module {
            return Ok(types);
        }
    }
}

/// The types of that id; `None` if they are gone.
fn types_by_id(id: u32) -> anyhow::Result<Option<OwnedFd>> {
    let mut attributes = zeroed_attributes();
    attributes.__bindgen_anon_6.__bindgen_anon_1.start_id = id;
    match bpf(bpf_cmd::BPF_BTF_GET_FD_BY_ID, &mut attributes) {
        // SAFETY: the command made this descriptor for us.
        Ok(descriptor) => Ok(Some(unsafe { OwnedFd::from_raw_fd(descriptor) })),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error).context("cannot open a module's types (CAP_SYS_ADMIN is needed)"),
    }
}

/// The name of the module whose types these are; `vmlinux` for the image's, empty for a program's.
fn types_name(types: &OwnedFd) -> anyhow::Result<String> {
    const MODULE_NAME_BYTES: usize = 64;
    let mut name = [0u8; MODULE_NAME_BYTES];
    let mut information = bpf_btf_info {
        btf: 0,
        btf_size: 0,
        id: 0,
        name: name.as_mut_ptr() as u64,
        name_len: length(MODULE_NAME_BYTES),
        kernel_btf: 0,
    };
    let mut attributes = zeroed_attributes();
    attributes.info.bpf_fd = number(types);
    attributes.info.info_len = length(size_of::<bpf_btf_info>());
    attributes.info.info = (&raw mut information) as u64;
    bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attributes).context("cannot read whose types these are")?;
    let length = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    Ok(String::from_utf8_lossy(&name[..length]).into_owned())
}

/// Loads a trampoline program for the function whose `FUNC` has `type_id`, in the image or in a module.
fn load(
    name: &str,
    function: &Function,
    moment: Moment,
    type_id: u32,
    module: Option<&OwnedFd>,
) -> anyhow::Result<OwnedFd> {
    let license = CString::from(c"Dual MIT/GPL");
    let mut kept_name = [0; NAME_BYTES];
    for (kept, &byte) in kept_name.iter_mut().take(NAME_BYTES - 1).zip(name.as_bytes()) {
        *kept = byte.cast_signed();
    }
    let attempt = |log: &mut [u8]| {
        let mut attributes = zeroed_attributes();
        // SAFETY: all zero is a valid value of every field, and the kernel reads this member for BPF_PROG_LOAD.
        let program = unsafe { &mut attributes.__bindgen_anon_3 };
        program.prog_type = bpf_prog_type::BPF_PROG_TYPE_TRACING as u32;
        program.insn_cnt = length(function.instructions.len());
        program.insns = function.instructions.as_ptr() as u64;
        program.license = license.as_ptr() as u64;
        program.prog_name = kept_name;
        program.expected_attach_type = match moment {
            Moment::Entry => bpf_attach_type::BPF_TRACE_FENTRY as u32,
            Moment::Return => bpf_attach_type::BPF_TRACE_FEXIT as u32,
        };
        program.attach_btf_id = type_id;
        if let Some(types) = module {
            program.__bindgen_anon_1.attach_btf_obj_fd = number(types);
        }
        if !log.is_empty() {
            program.log_level = 1;
            program.log_buf = log.as_mut_ptr() as u64;
            program.log_size = length(log.len());
        }
        bpf(bpf_cmd::BPF_PROG_LOAD, &mut attributes)
    };
    // A log costs time, so the first attempt does without.
    let descriptor = attempt(&mut []).or_else(|error| {
        let mut log = Vec::new();
        for bytes in VERIFIER_LOG_BYTES {
            log = vec![0; bytes];
            match attempt(&mut log) {
                Ok(descriptor) => return Ok(descriptor),
                Err(again) if again.raw_os_error() == Some(libc::ENOSPC) => {}
                Err(_) => break,
            }
        }
        Err(refusal(error, &log))
    })?;
    // SAFETY: the command made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Why a program was refused: the error, and the verifier's last words if it had any.
fn refusal(error: io::Error, log: &[u8]) -> anyhow::Error {
    let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
    let log = String::from_utf8_lossy(&log[..end]);
    log::debug!("verifier: {log}");
    let last_words = log.lines().rev().find(|line| !line.is_empty() && !line.starts_with("processed "));
    let error = anyhow::Error::new(error);
    match last_words {
        Some(words) => error.context(format!("the kernel refuses the program: {words}")),
        None => error.context("the kernel refuses the program"),
    }
}

/// Attaches a loaded trampoline program to the function it was loaded for.
fn link(program: &OwnedFd) -> anyhow::Result<OwnedFd> {
    let mut attributes = zeroed_attributes();
    attributes.raw_tracepoint.prog_fd = number(program);
    let descriptor = bpf(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attributes)
        .context("the kernel refuses to attach the trampoline")?;
    // SAFETY: the command made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// A descriptor as the kernel's attributes hold it.
fn number(descriptor: &OwnedFd) -> u32 {
    descriptor.as_raw_fd().cast_unsigned()
}

/// The size of a buffer of ours as the kernel's attributes hold it; all are far below the limit.
fn length(bytes_or_items: usize) -> u32 {
    u32::try_from(bytes_or_items).unwrap_or(u32::MAX)
}

fn zeroed_attributes() -> bpf_attr {
    // SAFETY: a union of plain numbers, of which all zero is a value.
    unsafe { mem::zeroed() }
}

fn bpf(command: bpf_cmd, attributes: &mut bpf_attr) -> io::Result<RawFd> {
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
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        RawFd::try_from(result).map_err(io::Error::other)
    }
}
