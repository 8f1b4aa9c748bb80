//! Retransmits of established connections.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process, thread,
};

use anyhow::{Context, Result, anyhow, ensure};

use super::{of_kind, process_name, sent};
use crate::{
    case::{Setting, note, reconcile::Observed},
    expect::falls_short,
    topology::{FAR, Family, NEAR, NEAR_DEVICE, Pair},
    traffic,
};

const CLIENT_PORT: u16 = 40_010;
const SERVER_PORT: u16 = 8_010;

/// Both ends of a connection from the near to the far namespace.
pub(super) struct Connection {
    pub(super) client: TcpStream,
    server: TcpStream,
    _listener: TcpListener,
}

impl Connection {
    pub(super) fn open(pair: &Pair, family: Family) -> Result<Self> {
        let listener = traffic::listen(&pair.far, family.at(FAR, SERVER_PORT))?;
        let dialling = traffic::dial(&pair.near, family.at(NEAR, CLIENT_PORT), family.at(FAR, SERVER_PORT))?;
        let server = traffic::accept(&listener)?;
        Ok(Self { client: traffic::wait_connected(dialling)?, server, _listener: listener })
    }

    /// Ends both, without a FIN that could be sent again.
    pub(super) fn abort(self) -> Result<()> {
        traffic::abort(self.client)?;
        traffic::abort(self.server)
    }
}

/// An established connection whose path goes dead in one direction: a loss probe, then one timeout after the other.
/// Truth: `TcpRetransSegs`, `TCPLossProbes` and `TCPTimeouts`; one segment is in flight, so every loss probe and every
/// timeout sends it again.
pub(super) fn timeouts(setting: &Setting, family: Family) -> Result<()> {
    const ATTEMPTS: u64 = 4;
    let pair = Pair::new()?;
    let observed = Observed::start(setting, &[&pair.near, &pair.far])?;
    let mut connection = Connection::open(&pair, family)?;
    pair.lose_at_far("meta l4proto tcp")?;
    connection.client.write_all(b"lost").context("write")?;
    observed
        .tracer
        .wait_for("four timeouts", |events| of_kind(events, &pair.near, "rto").count() >= ATTEMPTS)?;
    connection.abort()?;

    let reconciled = observed.reconcile()?;
    let (events, grown) = (&reconciled.run.events, reconciled.grown[0]);
    // What still lay in the host's own queue was not sent again.
    let untold = grown.hidden + grown.held;
    ensure!(
        grown.loss_probes <= 1 && grown.loss_probes + grown.held >= 1,
        "one loss probe should have been sent: {grown:?}"
    );
    let probes = of_kind(events, &pair.near, "tlp");
    probes.exactly_but(1, untold)?;
    let timeouts = of_kind(events, &pair.near, "rto");
    timeouts
        .exactly_but(grown.timeouts, untold)?
        .counts_up_but("attempt", untold)?
        .all_have("src", family.host(NEAR).to_string())?
        .all_have("sport", CLIENT_PORT)?
        .all_have("dst", family.host(FAR).to_string())?
        .all_have("dport", SERVER_PORT)?
        .all_have("state", "ESTABLISHED")?
        .all_have("segments", 1)?
        .all_have("process", process_name()?)?;
    timeouts.first()?["srtt_us"].as_u64().context("no srtt_us after a handshake")?;
    let intervals: Vec<f64> = timeouts.events().iter().filter_map(|event| event["rto_ms"].as_f64()).collect();
    ensure!(
        intervals.len() as u64 == timeouts.count() && intervals.windows(2).all(|pair| pair[0] < pair[1]),
        "rto_ms should grow with every timeout: {intervals:?}"
    );
    let first = sent(events, &pair.near).first()?;
    ensure!(
        (first["kind"] == "tlp" || probes.is_empty()) && first["dev"] == NEAR_DEVICE,
        "the loss probe should come first: {first}"
    );
    Ok(())
}

/// A transfer of megabytes with large sends (GSO) through random loss. Truth: `TcpRetransSegs` in segments, and by kind
/// `TCPFastRetrans` and `TCPSlowStartRetrans`, which the kernel counts in segments at the same place; `TCPLossProbes`
/// also counts probes that carry new data, so it is an upper bound, and `TCPTimeouts` counts timers whose retransmit
/// failed too.
pub(super) fn random_loss(setting: &Setting, family: Family) -> Result<()> {
    const TRANSFER_BYTES: usize = 16 << 20;
    const KINDS: [&str; 9] =
        ["syn", "syn-ack", "rto", "fast", "tlp", "reordering", "slow-start", "zero-window", "other"];
    let pair = Pair::new()?;
    let observed = Observed::start(setting, &[&pair.near, &pair.far])?;
    let connection = Connection::open(&pair, family)?;
    pair.lose_at_far("meta l4proto tcp numgen random mod 100 < 8")?;
    transfer(connection, TRANSFER_BYTES)?;
    traffic::settle(&pair.near)?;
    traffic::settle(&pair.far)?;

    let reconciled = observed.reconcile()?;
    let (events, grown) = (&reconciled.run.events, reconciled.grown[0]);
    sent(events, &pair.near).at_least(3)?;
    let strange = sent(events, &pair.near)
        .filter("of no kind there is", |event| !KINDS.iter().any(|&kind| event["kind"] == kind));
    strange.exactly(0)?;
    let segments = |kind| of_kind(events, &pair.near, kind).sum("segments");
    let kinds = [
        (
            "fast + reordering + other",
            segments("fast")? + segments("reordering")? + segments("other")?,
            grown.fast,
        ),
        ("slow-start", segments("slow-start")?, grown.slow_start),
    ];
    for (kind, told, counted) in kinds {
        ensure!(
            falls_short(told, counted, grown.hidden),
            "told {told} segments {kind}, the kernel counted {grown:?}"
        );
    }
    let probes = of_kind(events, &pair.near, "tlp").count();
    ensure!(probes <= grown.loss_probes, "told {probes} loss probes, the kernel counted {grown:?}");
    let timeouts =
        of_kind(events, &pair.near, "rto").count() + of_kind(events, &pair.near, "zero-window").count();
    ensure!(timeouts <= grown.timeouts, "told {timeouts} timeouts, the kernel counted {grown:?}");
    note(&format!("random loss over {family}: {} segments sent again, {grown:?}", grown.segments));
    Ok(())
}

/// Sends so many bytes from the client to the server, and closes in both directions.
fn transfer(connection: Connection, bytes: usize) -> Result<()> {
    let Connection { mut client, mut server, _listener: listener } = connection;
    drop(listener);
    thread::scope(|scope| {
        let writer = scope.spawn(move || -> Result<()> {
            client.write_all(&vec![0x5a; bytes]).context("write")?;
            client.shutdown(Shutdown::Write).context("close")?;
            client.read_to_end(&mut Vec::new()).context("wait for the server's close")?;
            Ok(())
        });
        let mut received = Vec::new();
        server.read_to_end(&mut received).context("read")?;
        drop(server);
        ensure!(received.len() == bytes, "{} of {bytes} bytes arrived", received.len());
        writer.join().map_err(|_| anyhow!("the writer panicked"))?
    })
}

/// A connection that was there before tracer: no hook saw it open, yet its owner is named. Truth: this process.
pub(super) fn old_socket(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let process = process_name()?;
    let mut connection = Connection::open(&pair, Family::V4)?;
    let observed = Observed::start(setting, &[&pair.near])?;
    pair.lose_at_far("meta l4proto tcp")?;
    connection.client.write_all(b"lost").context("write")?;
    observed.tracer.wait_for("a retransmit with its process", |events| {
        !sent(events, &pair.near).with("process", process.as_str()).is_empty()
    })?;
    connection.abort()?;
    let reconciled = observed.reconcile()?;
    sent(&reconciled.run.events, &pair.near)
        .with("process", process.as_str())
        .all_have("pid", process::id())?;
    Ok(())
}
