//! Finding every field tracer reads in the running kernel's types.

use tracer_common::offsets::{Field, FieldPath, Offsets};

use super::btf::KernelBtf;

/// Where this kernel keeps what tracer reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Each field's place, for the kernel side.
    pub offsets: Offsets,
    /// The fields this kernel lacks, in the order of [`Offsets::PATHS`]. Those of a module that is not loaded are
    /// among them.
    pub missing: Vec<&'static FieldPath>,
}

/// Looks up every field of [`Offsets`]. Never fails: what is not found is absent.
pub fn resolve(btf: &KernelBtf) -> Resolved {
    static PATHS: [FieldPath; Offsets::PATHS.len()] = Offsets::PATHS;

    let mut missing = Vec::new();
    let fields = PATHS.each_ref().map(|wanted| {
        btf.field(wanted.object, wanted.structure, wanted.path).unwrap_or_else(|| {
            missing.push(wanted);
            Field::ABSENT
        })
    });
    Resolved { offsets: zerocopy::transmute!(fields), missing }
}
