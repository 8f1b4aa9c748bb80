//! SYNs and SYN-ACKs.

use std::process;

use anyhow::Result;

use super::{of_kind, process_name};
use crate::{
    case::{Setting, reconcile::Observed},
    topology::{FAR, Family, NEAR, NEAR_DEVICE, NOBODY, Pair},
    traffic,
};

/// A connect to an address nobody has: the SYN leaves and nobody answers. Truth: `TcpRetransSegs`, `TCPSynRetrans`.
pub(super) fn syn(setting: &Setting, family: Family) -> Result<()> {
    const ATTEMPTS: u64 = 3;
    const PORT: u16 = 40_001;
    let pair = Pair::new()?;
    let observed = Observed::start(setting, &[&pair.near])?;
    let dialling = traffic::dial(&pair.near, family.at(NEAR, PORT), family.at(NOBODY, 80))?;
    observed
        .tracer
        .wait_for("three repeated SYNs", |events| of_kind(events, &pair.near, "syn").count() >= ATTEMPTS)?;
    drop(dialling);

    let reconciled = observed.reconcile()?;
    let (events, grown) = (&reconciled.run.events, reconciled.grown[0]);
    let syns = of_kind(events, &pair.near, "syn");
    syns.exactly_but(grown.opening, grown.hidden)?
        .counts_up_but("attempt", grown.hidden)?
        .all_have("src", family.host(NEAR).to_string())?
        .all_have("sport", PORT)?
        .all_have("dst", family.host(NOBODY).to_string())?
        .all_have("dport", 80)?
        .all_have("state", "SYN_SENT")?
        .all_have("segments", 1)?
        .all_have("dev", NEAR_DEVICE)?
        .all_have("process", process_name()?)?
        .all_have("pid", process::id())?;
    // Nothing but these happened.
    events.of("retransmit", &pair.near).exactly(syns.count())?;
    Ok(())
}

/// A server whose SYN-ACKs are lost on the way: it repeats them, and the client its SYN, as it sees no answer. Truth:
/// `TcpRetransSegs` and `TCPSynRetrans` of both namespaces.
pub(super) fn syn_ack(setting: &Setting, family: Family) -> Result<()> {
    const ATTEMPTS: u64 = 3;
    const CLIENT_PORT: u16 = 40_002;
    const SERVER_PORT: u16 = 8_001;
    let pair = Pair::new()?;
    pair.lose_at_near("tcp flags & (syn | ack) == syn | ack")?;
    let observed = Observed::start(setting, &[&pair.near, &pair.far])?;
    let listener = traffic::listen(&pair.far, family.at(FAR, SERVER_PORT))?;
    let dialling = traffic::dial(&pair.near, family.at(NEAR, CLIENT_PORT), family.at(FAR, SERVER_PORT))?;
    observed.tracer.wait_for("repeated SYN-ACKs and SYNs", |events| {
        of_kind(events, &pair.far, "syn-ack").count() >= ATTEMPTS
            && of_kind(events, &pair.near, "syn").count() >= 1
    })?;
    drop(dialling);
    drop(listener);

    let reconciled = observed.reconcile()?;
    let (events, [near, far]) = (&reconciled.run.events, [reconciled.grown[0], reconciled.grown[1]]);
    of_kind(events, &pair.far, "syn-ack")
        .exactly_but(far.opening, far.hidden)?
        .counts_up_but("attempt", far.hidden)?
        .all_have("src", family.host(FAR).to_string())?
        .all_have("sport", SERVER_PORT)?
        .all_have("dst", family.host(NEAR).to_string())?
        .all_have("dport", CLIENT_PORT)?
        .all_have("state", "SYN_RECV")?
        .all_have("segments", 1)?;
    of_kind(events, &pair.near, "syn")
        .exactly_but(near.opening, near.hidden)?
        .counts_up_but("attempt", near.hidden)?;
    Ok(())
}
