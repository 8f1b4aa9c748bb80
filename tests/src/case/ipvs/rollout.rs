//! Rollouts behind services of other kinds: known by a mark, scheduled by the client's address, or with a server that dies
//! as it drains. Truth: the servers that accept, the clients' own errors, and the weights given.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{
    finding::{DRAINED, REFUSED, closed, finish, opened, says},
    service::{Plan, Service},
};
use crate::{
    case::{Case, Setting},
    need::Need,
    topology::{Cluster, Family},
    traffic, wait,
};

const NEEDS: &[Need] = super::NEEDS;

pub(in crate::case) const CASES: &[Case] = &[
    Case {
        name: "finding-ipvs-fwmark",
        proves: "of a service known by a mark, whose servers have no port of their own, the drained server is named with \
                 its weights, until it has its weight back",
        needs: NEEDS,
        run: marked,
    },
    Case {
        name: "finding-ipvs-hashed",
        proves: "a scheduler that keeps giving clients a drained server is named, and what is advised mends it",
        needs: NEEDS,
        run: hashed,
    },
    Case {
        name: "finding-ipvs-dead",
        proves: "a drained server that is dead is named as long as clients dial it from ports used before",
        needs: NEEDS,
        run: dead,
    },
    Case {
        name: "finding-ipvs-direct",
        proves: "where servers reply past the director, entries in FIN_WAIT keep a drained server, which is named, and \
                 what is advised mends it",
        needs: NEEDS,
        run: direct,
    },
    Case {
        name: "quiet-ipvs-schedulers",
        proves: "of rolling updates that go well with other schedulers, several services at once, nothing is said",
        needs: NEEDS,
        run: goes_well,
    },
];

/// All ports of the one server come back to it after it was drained.
fn marked(setting: &Setting) -> Result<()> {
    const MARK: u32 = 7;
    const PORTS: u16 = 6;
    let service = Service::like(Plan { mark: Some(MARK), ..Plan::TCP })?;
    service.set("conn_reuse_mode", 0)?;
    service.add_server(0, 1)?;
    let pair = format!("fwmark {MARK} → {}:0", Cluster::server_address(Family::V4, 0));
    let tracer = setting.trace(&[])?;
    service.connect_and_close_all(PORTS)?;
    service.add_server(1, 1)?;
    service.set_weight(0, 0)?;
    let accepted = service.connect_and_close_all(PORTS)?;
    ensure!(accepted == [PORTS.into(), 0], "accepted {accepted:?}");
    let line = opened(&tracer, DRAINED, &pair)?;
    says(&line, "weight 1 → 0")?;
    service.set_weight(0, 1)?;
    closed(&tracer, DRAINED, &pair)?;
    finish(tracer, &[(DRAINED, &pair)])
}

/// The server that the client's address is given to is drained, and another one is not.
fn hashed(setting: &Setting) -> Result<()> {
    const CLIENTS: u16 = 4;
    let service = Service::like(Plan { scheduler: "sh", ..Plan::TCP })?;
    service.add_server(0, 1)?;
    service.add_server(1, 1)?;
    let tracer = setting.trace(&[])?;
    let accepted = service.connect_and_close_all(CLIENTS)?;
    let given = u8::from(accepted[0] == 0);
    ensure!(accepted[usize::from(given)] == u64::from(CLIENTS), "accepted {accepted:?}");
    service.set_weight(given, 0)?;
    for number in CLIENTS..2 * CLIENTS {
        traffic::wait_refused(&service.dial(number)?)?;
    }
    let subject = service.address().to_string();
    let line = opened(&tracer, REFUSED, &subject)?;
    says(&line, "the scheduler sh keeps giving these clients a drained server")?;
    let command = line["advice"][0].as_str().unwrap_or_default().split('`').nth(1).unwrap_or_default();
    let arguments = command.strip_prefix("ipvsadm ").with_context(|| format!("no command: {line}"))?;
    service.ipvsadm(arguments)?;
    let accepted = service.connect_and_close_all(CLIENTS)?;
    ensure!(accepted[usize::from(1 - given)] == u64::from(CLIENTS), "accepted {accepted:?} with the flag");
    closed(&tracer, REFUSED, &subject)?;
    finish(tracer, &[(REFUSED, &subject)])
}

/// `conn_reuse_mode` is as usual: that is not enough here.
fn direct(setting: &Setting) -> Result<()> {
    const PORTS: u16 = 6;
    let service = Service::direct()?;
    service.add_server(0, 1)?;
    let pair = format!("{} → {}", service.address(), service.server(0));
    let tracer = setting.trace(&[])?;
    (0..PORTS).try_for_each(|number| service.connect_and_close(number))?;
    service.add_server(1, 1)?;
    service.set_weight(0, 0)?;
    (0..PORTS).try_for_each(|number| service.connect_and_close(number))?;
    service.wait_for_count(1, 0)?;
    let line = opened(&tracer, DRAINED, &pair)?;
    says(&line, "an entry in FIN_WAIT")?;
    let advice = line["advice"].to_string();
    let value = advice.split("conn_reuse_mode=").nth(1).and_then(|rest| rest.chars().next());
    let value = value.and_then(|digit| digit.to_digit(10)).with_context(|| format!("no setting: {line}"))?;
    service.set("conn_reuse_mode", i32::try_from(value)?)?;
    (0..PORTS).try_for_each(|number| service.connect_and_close(number))?;
    service.wait_for_count(1, PORTS.into())?;
    closed(&tracer, DRAINED, &pair)?;
    finish(tracer, &[(DRAINED, &pair)])
}

/// A client that gives up and dials again from its port meets an entry that waits for a handshake.
fn dead(setting: &Setting) -> Result<()> {
    /// Longer than it takes to close without a sign.
    const LASTS: Duration = Duration::from_secs(25);
    const TRIES_FOR: Duration = Duration::from_secs(2);
    let service = Service::new(Family::V4, false)?;
    service.set("conn_reuse_mode", 0)?;
    service.add_server(0, 1)?;
    let pair = format!("{} → {}", service.address(), service.server(0));
    let tracer = setting.trace(&[])?;
    service.connect_and_close(0)?;
    service.add_server(1, 1)?;
    service.set_weight(0, 0)?;
    service.silence(0)?;
    let mut dialling = Some(service.dial(0)?);
    opened(&tracer, DRAINED, &pair)?;
    let begun = Instant::now();
    let mut tried = begun;
    wait::until_within(2 * LASTS, "clients to try for long enough", || {
        if tried.elapsed() >= TRIES_FOR {
            drop(dialling.take());
            dialling = Some(service.dial(0)?);
            tried = Instant::now();
        }
        Ok((begun.elapsed() >= LASTS).then_some(()))
    })?;
    ensure!(
        tracer.ask(|events| events.open_finding(DRAINED, &pair).is_some()),
        "closed while the client still tries"
    );
    service.set("expire_nodest_conn", 1)?;
    service.close(traffic::wait_connected(dialling.context("nobody dials")?)?)?;
    closed(&tracer, DRAINED, &pair)?;
    let outage = service.address().ip().to_string();
    finish(tracer, &[(DRAINED, &pair), ("path-outage", &outage)])
}

/// A service of each scheduler, whose servers are replaced in turn under clients with few ports.
fn goes_well(setting: &Setting) -> Result<()> {
    const PORTS: u16 = 10;
    const ROUNDS: u8 = 3;
    let plans = [
        Plan { scheduler: "wlc", ..Plan::TCP },
        Plan { scheduler: "sh", options: "--sched-flags sh-fallback", ..Plan::TCP },
        Plan { scheduler: "mh", options: "--sched-flags mh-fallback", family: Family::V6, ..Plan::TCP },
    ];
    let services = plans.into_iter().map(Service::like).collect::<Result<Vec<_>>>()?;
    services.iter().try_for_each(|service| service.add_server(0, 1))?;
    let tracer = setting.trace(&[])?;
    for service in &services {
        service.connect_and_close_all(PORTS)?;
        for round in 0..ROUNDS {
            let (old, new) = (round % 2, 1 - round % 2);
            service.add_server(new, 1)?;
            service.set_weight(old, 0)?;
            let accepted = service.connect_and_close_all(PORTS)?;
            ensure!(accepted[usize::from(old)] == 0, "accepted {accepted:?}");
            service.remove_server(old)?;
            service.connect_and_close_all(PORTS)?;
        }
        let connections = u64::from(PORTS) * (1 + 2 * u64::from(ROUNDS));
        tracer.wait_for("every connection", |events| service.all(events).count() >= connections)?;
    }
    finish(tracer, &[])
}
