//! Administration of IPVS. Truth: what `ipvsadm` was told and whether it failed, and what it lists itself.

mod absent;
mod dialect;
mod late;
mod listed;
mod many;

use anyhow::{Result, ensure};
use serde_json::Value;

use self::dialect::DIALECTS;
use super::{Case, Setting};
use crate::{expect::Events, namespace::Namespace, need::Need, tracer::Tracer};

/// Nothing may be attached: what is left is comparing listings.
const NO_HOOKS: &[&str] = &["--only", "ipvs", "--avoid", "fentry,kprobe"];

pub(super) const CASES: &[Case] = &[
    // These have to unload the module; see `ipvs-late-module`.
    Case {
        name: "ipvs-not-loaded",
        proves: "looking for services loads no module",
        needs: &[Need::Ipvsadm, Need::IpvsUnloadable],
        run: absent::not_loaded,
    },
    Case {
        name: "ipvs-change-late-module",
        proves: "services of a module loaded later are told, and each later change once",
        needs: &[Need::FunctionHooks, Need::Ipvs, Need::IpvsUnloadable],
        run: late::hooked,
    },
    Case {
        name: "ipvs-change-late-compared",
        proves: "without hooks every change of a module loaded later is told, the first service's too",
        needs: &[Need::Ipvsadm, Need::IpvsUnloadable],
        run: late::compared,
    },
    Case {
        name: "ipvs-change",
        proves: "every change that succeeds is told once and in order, in both namespaces; nothing else is",
        needs: &[Need::FunctionHooks, Need::Ipvs],
        run: changes,
    },
    Case {
        name: "ipvs-change-compared",
        proves: "without hooks the same changes are told by comparing listings",
        needs: &[Need::Ipvsadm],
        run: changes_compared,
    },
    Case {
        name: "ipvs-change-many",
        proves: "of hundreds of changes in one go none is missing, and the accounting is exact",
        needs: &[Need::FunctionHooks, Need::Ipvs],
        run: many::many,
    },
    Case {
        name: "ipvs-listed",
        proves: "what was configured before the start is told as ipvsadm lists it, in both namespaces",
        needs: &[Need::Ipvsadm],
        run: listed::listed,
    },
];

/// A change as text: `weight 10.9.9.9:80 10.0.0.1:80 1 0`, with `-` for what is absent.
fn text(event: &Value) -> String {
    let field = |name: &str| match &event[name] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    ["change", "service", "real", "from", "to"].map(field).join(" ")
}

/// The changes told of a namespace, in order.
fn told(events: &Events, namespace: &Namespace) -> Vec<String> {
    events.of("ipvs-change", namespace).events().iter().map(|event| text(event)).collect()
}

/// The same commands for every kind of service in two namespaces in turn. What they change is told in the order of the
/// kernel, a service before its servers when it goes.
fn changes(setting: &Setting) -> Result<()> {
    let namespaces = [Namespace::new("one")?, Namespace::new("other")?];
    let tracer = setting.trace(&["--only", "ipvs"])?;
    let mut expected = Vec::new();
    for dialect in DIALECTS {
        for step in dialect.steps() {
            for namespace in &namespaces {
                step.play(namespace)?;
            }
            expected.extend(step.told);
        }
    }
    for namespace in &namespaces {
        let count = expected.len();
        tracer.wait_for("every change", |events| told(events, namespace).len() >= count)?;
    }
    let events = finish(tracer)?;
    for namespace in &namespaces {
        same(&told(&events, namespace), &expected)?;
        let changes = events.of("ipvs-change", namespace);
        changes.clone().with("by_comparison", true).exactly(0)?;
        changes.clone().with("service", "10.9.9.9:80").all_have("protocol", "tcp")?;
        changes.with("real", "10.9.8.1:80").with("change", "added").all_have("forward", "nat")?;
        let services = events.of("ipvs-change", namespace).without("real").with("change", "added");
        services.exactly(DIALECTS.len() as u64)?.all_have("scheduler", "rr")?;
    }
    Ok(())
}

/// As [`changes`], each told before the next is made: what cancels itself out between two listings is told by nobody.
fn changes_compared(setting: &Setting) -> Result<()> {
    let namespaces = [Namespace::new("one")?, Namespace::new("other")?];
    let tracer = setting.trace(NO_HOOKS)?;
    let mut expected = Vec::new();
    for dialect in DIALECTS {
        for step in dialect.steps() {
            for namespace in &namespaces {
                step.play(namespace)?;
            }
            // Of what went between two listings, the servers are told first.
            expected.extend(step.told.into_iter().rev());
            let count = expected.len();
            tracer.wait_for("the change", |events| {
                namespaces.iter().all(|namespace| told(events, namespace).len() >= count)
            })?;
        }
    }
    let events = tracer.stop()?.events;
    for namespace in &namespaces {
        same(&told(&events, namespace), &expected)?;
        events.of("ipvs-change", namespace).all_have("by_comparison", true)?;
    }
    Ok(())
}

fn same(told: &[String], expected: &[String]) -> Result<()> {
    let differs = told.iter().zip(expected).position(|(told, expected)| told != expected);
    let place = differs.unwrap_or(told.len().min(expected.len()));
    ensure!(
        told == expected,
        "{} changes are told and {} expected; number {place} is {:?} instead of {:?}",
        told.len(),
        expected.len(),
        told.get(place),
        expected.get(place)
    );
    Ok(())
}

/// Ends the run; every change the hooks saw has to be delivered, and printed once.
fn finish(tracer: Tracer) -> Result<Events> {
    let events = tracer.stop()?.events;
    let accounting = events.accounting("ipvs-change")?;
    accounting.balances()?;
    let printed = events.all().iter().filter(|event| event["type"] == "ipvs-change").count() as u64;
    ensure!(
        accounting.seen == accounting.delivered && accounting.delivered == printed,
        "{printed} changes are printed of {accounting:?}"
    );
    Ok(events)
}
