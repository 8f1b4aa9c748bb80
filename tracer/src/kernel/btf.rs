//! The kernel's description of its own types (BTF).
//!
//! The kernel image carries one description; a module carries only what it adds to the image's and numbers its types
//! on from there. A question about a module therefore opens the module's file on top of the image's.
//!
//! Format: <https://docs.kernel.org/bpf/btf.html>.

mod path;

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use btf_rs::{Backend, Btf, BtfSection, BtfType, FuncProto, Parameter, Struct, Type};
use nix::sys::memfd::{MFdFlags, memfd_create};
use rustc_hash::FxHashMap;
use thiserror::Error;
use tracer_common::offsets::{Field, Object};

/// Bytes of one argument register on the machines tracer runs on.
const REGISTER_BYTES: usize = 8;

/// The most argument registers a trampoline (fentry, fexit) could pass on before kernel 6.6.
const TRAMPOLINE_ARGUMENT_WORDS: usize = 6;

/// Type references followed before giving up: a valid description has no cycle of typedefs, a damaged one may.
const MAX_REFERENCES: usize = 32;

/// The kernel's types could not be read.
#[derive(Debug, Error)]
#[error(
    "cannot read the kernel's types from {path}: {source}; \
     tracer needs a kernel built with CONFIG_DEBUG_INFO_BTF=y and read access to this file"
)]
pub struct BtfError {
    path: PathBuf,
    source: btf_rs::Error,
}

/// A function that can be hooked by its type id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionPlace {
    /// The module it is in; none for the kernel image.
    pub module: Option<String>,
    /// The id of its `FUNC`, as the kernel numbers it: what `attach_btf_id` takes.
    pub type_id: u32,
    /// How many parameters it declares.
    pub arguments: usize,
    /// How many argument registers those fill: a struct passed by value may take two.
    pub argument_words: usize,
}

impl FunctionPlace {
    /// Whether a trampoline of any kernel can pass its arguments on. Kernels before 6.6 refuse functions for which
    /// this is false; they refuse when attaching, not when loading.
    pub fn fits_every_trampoline(&self) -> bool {
        self.argument_words <= TRAMPOLINE_ARGUMENT_WORDS
    }
}

type StructuresByName = FxHashMap<(Object, String), Arc<[Struct]>>;

/// The types of a kernel and of its modules.
pub struct KernelBtf {
    root: PathBuf,
    vmlinux: Arc<Btf>,
    modules: Mutex<FxHashMap<String, Arc<Btf>>>,
    /// The structs of each name asked for: finding a name takes a walk over all types.
    structures: Mutex<StructuresByName>,
}

impl KernelBtf {
    /// Reads the kernel image's types from the file `vmlinux` in `root` (on a live machine `/sys/kernel/btf`). Modules
    /// lie beside it and are read when first asked about.
    ///
    /// Fails if the file is missing, unreadable or not BTF.
    pub fn open(root: &Path) -> Result<Self, BtfError> {
        let path = root.join(Object::Vmlinux.name());
        match open_image(&path) {
            Ok(vmlinux) => Ok(Self {
                root: root.to_owned(),
                vmlinux: Arc::new(vmlinux),
                modules: Mutex::default(),
                structures: Mutex::default(),
            }),
            Err(source) => Err(BtfError { path, source }),
        }
    }

    /// Whether the kernel describes the types of this module: it is loaded, and built with BTF.
    pub fn has_module(&self, module: &str) -> bool {
        self.root.join(module).is_file()
    }

    /// The types of a module on top of the image's, or none if the module has no readable description. Only success
    /// is remembered: a module may be loaded later.
    fn module(&self, module: &str) -> Option<Arc<Btf>> {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(btf) = modules.get(module) {
            return Some(Arc::clone(btf));
        }
        let path = self.root.join(module);
        if !path.is_file() {
            return None;
        }
        match Btf::from_split_file(&path, &self.vmlinux) {
            Ok(btf) => {
                let btf = Arc::new(btf);
                modules.insert(module.to_owned(), Arc::clone(&btf));
                Some(btf)
            }
            Err(error) => {
                log::warn!("cannot read the types of module {module} from {}: {error}", path.display());
                None
            }
        }
    }

    fn object(&self, object: Object) -> Option<Arc<Btf>> {
        match object {
            Object::Vmlinux => Some(Arc::clone(&self.vmlinux)),
            Object::IpVs => self.module(object.name()),
        }
    }

    /// Where a field lies within its struct.
    ///
    /// `path` names members from `structure` on, separated by dots; `[N]` picks an element of an array. Anonymous
    /// members, typedefs and qualifiers are looked through; pointers are not followed. If several structs have the
    /// name, the first that has the path counts.
    ///
    /// None if this kernel has no such field, or if [`Field`] cannot hold its place: it lies 64 KiB or further in, or
    /// is a bitfield that crosses a byte boundary.
    pub fn field(&self, object: Object, structure: &str, path: &str) -> Option<Field> {
        let btf = self.object(object)?;
        let candidates = self.structures(object, &btf, structure);
        candidates.iter().find_map(|candidate| path::follow(&btf, candidate, path))?.as_field()
    }

    fn structures(&self, object: Object, btf: &Btf, name: &str) -> Arc<[Struct]> {
        let mut structures = self.structures.lock().unwrap_or_else(PoisonError::into_inner);
        let found = structures.entry((object, name.to_owned())).or_insert_with(|| {
            let types = btf.resolve_types_by_name(name).unwrap_or_default();
            let structs = types.into_iter().filter_map(|candidate| match candidate {
                Type::Struct(structure) | Type::Union(structure) => Some(structure),
                _ => None,
            });
            structs.collect()
        });
        Arc::clone(found)
    }

    /// How many arguments a tracepoint's event has (without the pointer every probe gets first), or none if this
    /// kernel image has no such tracepoint. `name` is the event's, without its subsystem: `tcp_retransmit_skb`.
    pub fn tracepoint_arguments(&self, name: &str) -> Option<usize> {
        let types = self.vmlinux.resolve_types_by_name(&format!("btf_trace_{name}")).ok()?;
        types.iter().find_map(|candidate| {
            let Type::Typedef(typedef) = candidate else { return None };
            let Type::Ptr(pointer) = self.vmlinux.resolve_chained_type(typedef).ok()? else { return None };
            let Type::FuncProto(prototype) = self.vmlinux.resolve_chained_type(&pointer).ok()? else {
                return None;
            };
            prototype.parameters.len().checked_sub(1)
        })
    }

    /// Finds a function: in `module` if one is named and described, else in the kernel image (most modules can also
    /// be built in). None if neither describes a function of that name.
    pub fn function(&self, name: &str, module: Option<&str>) -> Option<FunctionPlace> {
        let in_module = module.and_then(|module| {
            let btf = self.module(module)?;
            let (type_id, prototype) = find_function(&btf, btf.split()?, name)?;
            Some(function_place(&btf, Some(module), type_id, &prototype))
        });
        in_module.or_else(|| {
            let (type_id, prototype) = find_function(&self.vmlinux, self.vmlinux.base(), name)?;
            Some(function_place(&self.vmlinux, None, type_id, &prototype))
        })
    }

    /// The names and values of an enumeration of the kernel image, or none if it has no such enumeration. Values
    /// outside `i64` do not occur in the enumerations tracer reads and wrap.
    pub fn enumeration(&self, name: &str) -> Option<BTreeMap<String, i64>> {
        let types = self.vmlinux.resolve_types_by_name(name).ok()?;
        types.iter().find_map(|candidate| match candidate {
            Type::Enum(enumeration) => Some(
                enumeration
                    .members
                    .iter()
                    .filter_map(|member| {
                        let value = if enumeration.is_signed() {
                            i64::from(member.val().cast_signed())
                        } else {
                            i64::from(member.val())
                        };
                        Some((self.vmlinux.resolve_name(member).ok()?, value))
                    })
                    .collect(),
            ),
            Type::Enum64(enumeration) => Some(
                enumeration
                    .members
                    .iter()
                    .filter_map(|member| {
                        Some((self.vmlinux.resolve_name(member).ok()?, member.val().cast_signed()))
                    })
                    .collect(),
            ),
            _ => None,
        })
    }
}

/// Opens the image's description without parsing all of it: tracer asks for some tens of a hundred thousand types.
///
/// That takes a mapping of the file. Before 6.16 the kernel does not let its own file be mapped, so a copy in memory
/// is mapped instead; where even that fails, all of it is parsed, which takes several times as long.
fn open_image(path: &Path) -> Result<Btf, btf_rs::Error> {
    Btf::from_file_with_backend(path, Backend::Mmap)
        .or_else(|_| open_copy(path))
        .or_else(|_| Btf::from_file(path))
}

fn open_copy(path: &Path) -> Result<Btf, btf_rs::Error> {
    let memory = memfd_create(c"kernel types", MFdFlags::MFD_CLOEXEC).map_err(io::Error::from)?;
    let mut copy = File::from(memory);
    io::copy(&mut File::open(path)?, &mut copy)?;
    Btf::from_file_with_backend(format!("/proc/self/fd/{}", copy.as_raw_fd()), Backend::Mmap)
}

/// Finds the function of that name which `section` itself defines.
fn find_function(btf: &Btf, section: &BtfSection, name: &str) -> Option<(u32, FuncProto)> {
    let ids = section.resolve_ids_by_name(name).ok()?;
    ids.into_iter().find_map(|id| {
        let Type::Func(function) = btf.resolve_type_by_id(id).ok()? else { return None };
        let Type::FuncProto(prototype) = btf.resolve_chained_type(&function).ok()? else { return None };
        Some((id, prototype))
    })
}

fn function_place(btf: &Btf, module: Option<&str>, type_id: u32, prototype: &FuncProto) -> FunctionPlace {
    let words = |parameter: &Parameter| match resolve_alias(btf, parameter) {
        Some(Type::Struct(structure) | Type::Union(structure)) => structure.size().div_ceil(REGISTER_BYTES),
        _ => 1,
    };
    FunctionPlace {
        module: module.map(str::to_owned),
        type_id,
        arguments: prototype.parameters.len(),
        argument_words: prototype.parameters.iter().map(words).sum(),
    }
}

/// The type something has, with typedefs and qualifiers looked through.
fn resolve_alias(btf: &Btf, referrer: &dyn BtfType) -> Option<Type> {
    let mut resolved = btf.resolve_chained_type(referrer).ok()?;
    for _ in 0..MAX_REFERENCES {
        resolved = match &resolved {
            Type::Typedef(inner) => btf.resolve_chained_type(inner).ok()?,
            Type::Volatile(inner) | Type::Const(inner) | Type::Restrict(inner) => {
                btf.resolve_chained_type(inner).ok()?
            }
            Type::TypeTag(inner) => btf.resolve_chained_type(inner).ok()?,
            _ => return Some(resolved),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kernels before 6.16 take this way, which the one the tests run on may not.
    #[test]
    fn a_copy_in_memory_says_the_same() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/btf/6.1/vmlinux");
        let copy = open_copy(&path).unwrap();
        let parsed = Btf::from_file(&path).unwrap();
        for name in ["sock_common", "tcp_sock", "btf_trace_tcp_retransmit_skb", "arp_process"] {
            let types = copy.resolve_types_by_name(name).unwrap();
            assert!(!types.is_empty(), "{name}");
            assert_eq!(types, parsed.resolve_types_by_name(name).unwrap(), "{name}");
        }
    }
}
