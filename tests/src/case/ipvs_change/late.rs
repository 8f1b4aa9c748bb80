//! Services of a module that comes later than tracer.

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{DIALECTS, NO_HOOKS, finish, same, told};
use crate::{case::Setting, namespace::Namespace, need, tracer::Tracer};

/// tracer runs while the module is not there; `ipvsadm` loads it with the first service.
fn without_module(setting: &Setting, arguments: &[&str]) -> Result<(Namespace, Tracer)> {
    need::unload_ipvs();
    ensure!(!Path::new("/sys/module/ip_vs").exists(), "ip_vs cannot be unloaded");
    let namespace = Namespace::new("late")?;
    let tracer = setting.trace(arguments)?;
    Ok((namespace, tracer))
}

fn first_service(namespace: &Namespace) -> Result<()> {
    namespace.run("ipvsadm", "--add-service --tcp-service 10.9.9.1:80 --scheduler rr")?;
    namespace.run("ipvsadm", "--add-server --tcp-service 10.9.9.1:80 --real-server 10.9.8.9:80 -m -w 1")?;
    Ok(())
}

/// The first service comes before the hooks, and may be told by a listing only; from then on each change is told once.
pub(super) fn hooked(setting: &Setting) -> Result<()> {
    let (namespace, tracer) = without_module(setting, &["--only", "ipvs"])?;
    first_service(&namespace)?;
    tracer.wait_for("the service", |events| {
        !events.of("ipvs-service", &namespace).with("service", "10.9.9.1:80").is_empty()
            && !events.of("ipvs-destination", &namespace).with("real", "10.9.8.9:80").is_empty()
    })?;
    // The last of the hooks of administration is told when all have been tried.
    tracer.wait_for("the hooks", |events| {
        let told = |event: &Value| event["type"] == "hook" && event["hook"] == "__ip_vs_del_service";
        events.all().iter().any(told)
    })?;
    let mut expected = tracer.ask(|events| told(events, &namespace));
    for step in DIALECTS[0].steps() {
        step.play(&namespace)?;
        expected.extend(step.told);
    }
    tracer.wait_for("every change", |events| told(events, &namespace).len() >= expected.len())?;
    let events = finish(tracer)?;
    same(&told(&events, &namespace), &expected)
}

/// Nothing was configured while the module was not there: even the first service is a change.
pub(super) fn compared(setting: &Setting) -> Result<()> {
    let (namespace, tracer) = without_module(setting, NO_HOOKS)?;
    first_service(&namespace)?;
    let expected = ["added 10.9.9.1:80 - - -", "added 10.9.9.1:80 10.9.8.9:80 - 1"].map(str::to_owned);
    tracer.wait_for("the service", |events| told(events, &namespace).len() >= expected.len())?;
    same(&told(&tracer.stop()?.events, &namespace), &expected)
}
