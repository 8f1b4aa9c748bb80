//! IPVS that comes later than tracer.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};

use super::service::Service;
use crate::{case::Setting, need, topology::Family, wait};

/// tracer starts while the module is not there. The module is loaded, a service added, and connections played until
/// one is told: noticing may take tracer a moment, but no restart. Truth: the connections themselves.
pub(super) fn late_module(setting: &Setting) -> Result<()> {
    const PORTS: u16 = 500;
    const PAUSE: Duration = Duration::from_millis(100);
    need::unload_ipvs();
    ensure!(!Path::new("/sys/module/ip_vs").exists(), "ip_vs cannot be unloaded");
    let tracer = setting.trace(&["--only", "ipvs"])?;
    need::load("ip_vs");
    need::load("ip_vs_rr");
    let service = Service::new(Family::V4, false)?;
    service.add_server(0, 1)?;
    let mut numbers = 0..PORTS;
    wait::until_within_every(PAUSE, wait::DEADLINE, "a connection to be told", || {
        service.connect_and_close(numbers.next().context("every port was used")?)?;
        Ok(tracer.has(|events| !service.all_told(events, "scheduled").is_empty()).then_some(()))
    })?;
    tracer.stop()?;
    Ok(())
}
