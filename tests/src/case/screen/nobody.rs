//! Clients that dial an address nobody has, so that their SYNs are repeated.

use std::net::TcpStream;

use anyhow::Result;

use crate::{
    case::Setting,
    counters::Counters,
    expect::{Events, Selection},
    screen::{Picture, Row, SMALL, Screen},
    topology::{Family, NEAR, NOBODY, Pair},
    traffic, wait,
};

/// The clients' ports.
pub(super) const FLOWS: [u16; 3] = [41_001, 41_002, 41_003];
/// The port of a client that dials when the others have given up. Records come in order: once it is shown, so is
/// everything before.
const LAST: u16 = 41_999;

/// The port of a client that dials once the moment has been marked.
pub(super) const LATER: u16 = 41_101;

/// The columns in which a flow's ends, the count of its retransmits and their kinds stand.
pub(super) const COLUMNS: [&str; 4] = ["from", "to", "retrans", "kinds"];

/// How often each client repeats its SYN at least.
const ATTEMPTS: u64 = 2;

/// Where a client dials from, as the program writes it.
pub(super) fn from(port: u16) -> String {
    Family::V4.at(NEAR, port).to_string()
}

/// Where it dials to.
pub(super) fn to() -> String {
    Family::V4.at(NOBODY, 80).to_string()
}

/// A terminal at the Retransmits screen, where three flows have ended.
pub(super) fn begin(setting: &Setting, pair: &Pair) -> Result<Screen> {
    let screen = Screen::live(&setting.program, SMALL, &["--netns", pair.near.name()])?;
    screen.see_live()?;
    screen.show(2, "Retransmits")?;
    play(pair, &screen)?;
    Ok(screen)
}

pub(super) fn dial(pair: &Pair, port: u16) -> Result<TcpStream> {
    traffic::dial(&pair.near, Family::V4.at(NEAR, port), Family::V4.at(NOBODY, 80))
}

/// Lets every client dial until its SYN is repeated, and returns when all of that is on the Retransmits screen, which
/// has to be shown.
pub(super) fn play(pair: &Pair, screen: &Screen) -> Result<()> {
    let before = Counters::tcp(&pair.near)?;
    let dialling = FLOWS.iter().map(|&port| dial(pair, port)).collect::<Result<Vec<_>>>()?;
    wait::until("repeated SYNs", || {
        let repeated = Counters::tcp(&pair.near)?.growth(&before, "TcpExtTCPSynRetrans")?;
        Ok((repeated >= ATTEMPTS * FLOWS.len() as u64).then_some(()))
    })?;
    drop(dialling);
    let last = dial(pair, LAST)?;
    screen.see("the last flow", |picture| {
        picture.table(&["from", "to"])?.row(&[("from", &from(LAST))]).map(drop)
    })?;
    drop(last);
    Ok(())
}

/// Marks this moment. Then one more client dials, until its flow is on the Retransmits screen, which is shown.
pub(super) fn mark_and_dial_later(pair: &Pair, screen: &Screen, mark: &str) -> Result<()> {
    screen.press("m")?;
    screen.type_text(mark)?;
    screen.press("Enter")?;
    screen.show(6, "Timeline")?;
    screen.see("the marker on the timeline", |picture| picture.has(mark).map(drop))?;
    screen.show(2, "Retransmits")?;
    let dialling = dial(pair, LATER)?;
    screen.see("the later flow", has_later)?;
    drop(dialling);
    Ok(())
}

/// Whether the Retransmits screen has the flow of the client that dials later.
pub(super) fn has_later(picture: &Picture) -> Result<()> {
    picture.table(&COLUMNS)?.row(&[("from", from(LATER).as_str())]).map(drop)
}

/// The SYNs told of a client.
pub(super) fn told<'a>(events: &'a Events, pair: &Pair, port: u16) -> Selection<'a> {
    events.of("retransmit", &pair.near).with("sport", port).with("kind", "syn").without("error")
}

/// Fails unless the row counts the SYNs that were told.
pub(super) fn agree(row: &Row, told: &Selection<'_>) -> Result<()> {
    told.at_least(1)?;
    row.says("to", &to())?.counts("retrans", told.count())?.says("kinds", "syn")?;
    Ok(())
}
