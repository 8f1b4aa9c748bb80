//! A damaged description is an error or lacks fields; it never ends the program.

use std::{fs, path::Path};

use proptest::prelude::*;
use tracer::kernel::{btf::KernelBtf, offsets};

/// Asks everything the program asks.
fn ask_everything(root: &Path) {
    let Ok(btf) = KernelBtf::open(root) else { return };
    let _ = offsets::resolve(&btf);
    let _ = btf.tracepoint_arguments("tcp_retransmit_skb");
    let _ = btf.function("tcp_retransmit_skb", None);
    let _ = btf.function("ip_vs_schedule", Some("ip_vs"));
    let _ = btf.enumeration("skb_drop_reason");
}

fn damage(
    mut bytes: Vec<u8>,
    keep: Option<prop::sample::Index>,
    flips: &[(prop::sample::Index, u8)],
) -> Vec<u8> {
    for (at, bit) in flips {
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
    }
    if let Some(keep) = keep {
        bytes.truncate(keep.index(bytes.len()));
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_damage_ends_the_program(
        series in prop::sample::select(vec!["5.10", "6.12", "7.2"]),
        of_module in any::<bool>(),
        keep in prop::option::of(any::<prop::sample::Index>()),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 0..8),
    ) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/btf").join(series);
        let root = tempfile::tempdir().unwrap();
        for name in ["vmlinux", "ip_vs"] {
            let Ok(whole) = fs::read(source.join(name)) else { continue };
            let damaged = of_module == (name == "ip_vs");
            let bytes = if damaged { damage(whole, keep, &flips) } else { whole };
            fs::write(root.path().join(name), bytes).unwrap();
        }
        ask_everything(root.path());
    }
}
