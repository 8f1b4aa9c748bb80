//! IPVS that comes later than tracer.

use std::path::Path;

use anyhow::{Result, ensure};

use super::service::Service;
use crate::{case::Setting, need, topology::Family, wait};

/// tracer starts while the module is not there. The module is loaded, a service added, and connections played until
/// one is told: noticing may take tracer a moment, but no restart. Truth: the connections themselves.
pub(super) fn late_module(setting: &Setting) -> Result<()> {
    const CONNECTIONS: u16 = 500;
    need::unload_ipvs();
    ensure!(!Path::new("/sys/module/ip_vs").exists(), "ip_vs cannot be unloaded");
    let tracer = setting.trace(&["--only", "ipvs"])?;
    need::load("ip_vs");
    need::load("ip_vs_rr");
    let service = Service::new(Family::V4, false)?;
    service.add_server(0, 1)?;
    let mut numbers = 0..CONNECTIONS;
    wait::until("a connection to be told", || {
        if let Some(number) = numbers.next() {
            service.connect_and_close(number)?;
        }
        Ok(tracer.has(|events| !service.all_told(events, "scheduled").is_empty()).then_some(()))
    })?;
    tracer.stop()?;
    Ok(())
}
