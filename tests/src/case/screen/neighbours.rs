//! The neighbour table and what it hides.

use anyhow::{Context, Result, ensure};

use crate::{
    case::Setting,
    screen::{Row, Screen, WIDE},
    topology::{FAR, Family, NEAR, Segment, hardware_address},
    traffic,
};

/// Two hosts own one address, and a third asks for it. Truth: `ip neigh` for who was kept, the run's recording for how
/// often who answered.
pub(super) fn two_owners(setting: &Setting) -> Result<()> {
    const COLUMNS: [&str; 4] = ["address", "kept", "others who answer", "ignored"];
    let segment = Segment::new(&[NEAR, FAR, FAR])?;
    let (asking, owners) = segment.hosts.split_first().context("three hosts were asked for")?;
    let macs =
        owners.iter().map(|owner| hardware_address(owner, Segment::DEVICE)).collect::<Result<Vec<_>>>()?;
    let address = Family::V4.host(FAR).to_string();
    let mut screen = Screen::live(&setting.program, WIDE, &["--netns", asking.name()])?;
    screen.see_live()?;
    screen.show(3, "Neighbours")?;
    traffic::knock(asking, Family::V4.at(NEAR, 0), Family::V4.at(FAR, 9))?;
    let ignored = |row: &Row| {
        ensure!(row.number("ignored")? > 0, "nobody was ignored");
        Ok(())
    };
    let table = screen.see("the second answer", |picture| {
        let table = picture.table(&COLUMNS)?;
        ignored(table.row(&[("address", &address)])?)?;
        Ok(table)
    })?;
    let row = table.row(&[("address", &address)])?;
    let shown = asking.ip(&format!("neigh show {address}"))?;
    let kept =
        macs.iter().position(|mac| shown.contains(mac.as_str())).context("`ip neigh` shows no owner")?;
    row.says("kept", &macs[kept])?.says("dev", Segment::DEVICE)?;
    let others = row.text("others who answer")?;
    ensure!(others.contains(&macs[1 - kept]), "`{others}` does not name {}", macs[1 - kept]);

    screen.show(1, "Overview")?;
    screen.see("both owners on the Overview", |picture| {
        let line = picture.has(&macs[1 - kept])?;
        ensure!(line.contains(&address) && line.contains(&macs[kept]), "not all of them: {line}");
        Ok(())
    })?;
    screen.press("q")?;
    screen.left()?.is_clean()?;
    let events = screen.recorded()?;
    let told = events.of("neighbour", asking).with("address", address).with("verdict", "ignored");
    told.all_have("mac", macs[1 - kept].as_str())?.all_have("previous", macs[kept].as_str())?;
    row.counts("ignored", told.count())?;
    Ok(())
}
