//! IPVS that nobody wants.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::{case::Setting, namespace::Namespace, need};

/// tracer runs for two rounds over all namespaces while the module is not there, and is not there afterwards. Truth:
/// the kernel's list of modules.
pub(super) fn not_loaded(setting: &Setting) -> Result<()> {
    const MODULE: &str = "/sys/module/ip_vs";
    need::unload_ipvs();
    ensure!(!Path::new(MODULE).exists(), "ip_vs cannot be unloaded");
    let _namespace = Namespace::new("plain")?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    let samples =
        |events: &crate::expect::Events| events.all().iter().filter(|event| event["type"] == "stats").count();
    tracer.wait_for("three samples, one a second", |events| samples(events) >= 3)?;
    ensure!(!Path::new(MODULE).exists(), "tracer loaded ip_vs");
    tracer.stop()?;
    ensure!(!Path::new(MODULE).exists(), "tracer loaded ip_vs");
    Ok(())
}
