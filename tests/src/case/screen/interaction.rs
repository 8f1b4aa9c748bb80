//! Filters, other moments, markers, the clipboard and the mouse: what is shown changes, what happened does not.

use anyhow::{Context, Result, ensure};

use super::nobody;
use crate::{
    case::Setting,
    expect::Events,
    screen::{Picture, Table},
    topology::Pair,
};

fn flows(picture: &Picture) -> Result<Table> {
    picture.table(&nobody::COLUMNS)
}

/// A filter typed while events are kept: what is shown is counted anew. Truth: `tracer events --json --filter` on the
/// run's recording.
pub(super) fn filtered(setting: &Setting) -> Result<()> {
    const PORT: u16 = nobody::FLOWS[1];
    let filter = format!("port {PORT}");
    let pair = Pair::new()?;
    let mut screen = nobody::begin(setting, &pair)?;
    screen.press("/")?;
    screen.type_text(&filter)?;
    screen.press("Enter")?;
    let shown = screen.see("that flow only", |picture| {
        picture.has(&format!("showing only: {filter}"))?;
        let table = flows(picture)?;
        ensure!(table.rows().len() == 1, "{} flows", table.rows().len());
        Ok(table)
    })?;

    screen.press("/")?;
    screen.type_text(" and port banana")?;
    screen.press("Enter")?;
    screen.see("the mistake at its place", |picture| {
        let lines = picture.lines();
        let typed = lines.iter().position(|line| line.contains("port banana")).context("no prompt")?;
        let column = |line: &str, what: &str| line.find(what).map(|place| line[..place].chars().count());
        let carets = lines[typed + 1..].iter().find_map(|line| column(line, "^^^^^^"));
        ensure!(carets == column(&lines[typed], "banana"), "the mistake is marked at {carets:?}");
        Ok(())
    })?;
    screen.press("Escape")?;
    screen
        .see("the filter there was", |picture| picture.has(&format!("showing only: {filter}")).map(drop))?;

    screen.press("/")?;
    screen.press("C-u")?;
    screen.press("Enter")?;
    let all = screen.see("every flow again", |picture| {
        picture.lacks("showing only")?;
        let table = flows(picture)?;
        ensure!(table.rows().len() > nobody::FLOWS.len(), "{} flows", table.rows().len());
        Ok(table)
    })?;
    screen.press("q")?;
    screen.left()?.is_clean()?;

    let told = screen.recorded_where(&filter)?;
    nobody::agree(shown.row(&[("from", &nobody::from(PORT))])?, &nobody::told(&told, &pair, PORT))?;
    let told = screen.recorded()?;
    for port in nobody::FLOWS {
        nobody::agree(all.row(&[("from", &nobody::from(port))])?, &nobody::told(&told, &pair, port))?;
    }
    Ok(())
}

/// A marker, a flow that begins behind it, and back to the marker. Truth: the order of the run's recording.
pub(super) fn other_moments(setting: &Setting) -> Result<()> {
    const MARK: &str = "rollout begins";
    let pair = Pair::new()?;
    let mut screen = nobody::begin(setting, &pair)?;
    nobody::mark_and_dial_later(&pair, &screen, MARK)?;
    let later = nobody::from(nobody::LATER);
    screen.press("[")?;
    let then = screen.see("the moment of the marker", |picture| {
        picture.has(" AGO")?;
        picture.lacks(&later)?;
        flows(picture)
    })?;
    screen.press("p")?;
    screen.see_live()?;
    screen.see("the later flow again", nobody::has_later)?;
    screen.press("q")?;
    screen.left()?.is_clean()?;

    let events = screen.recorded()?;
    let place = events.all().iter().position(|event| event["type"] == "marker" && event["text"] == MARK);
    let before = Events::new(events.all()[..place.context("the marker is not recorded")?].to_vec());
    for port in nobody::FLOWS {
        nobody::agree(then.row(&[("from", &nobody::from(port))])?, &nobody::told(&before, &pair, port))?;
    }
    nobody::told(&before, &pair, nobody::LATER).exactly(0)?;
    nobody::told(&events, &pair, nobody::LATER).at_least(1)?;
    Ok(())
}

/// A row copied by a key reaches the terminal's clipboard, and a tab clicked is the screen shown.
pub(super) fn clipboard_and_mouse(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let mut screen = nobody::begin(setting, &pair)?;
    screen.press("Home")?;
    let first = screen.see("the first flow", |picture| {
        Ok(flows(picture)?.rows().first().context("no flow")?.text("from")?.to_owned())
    })?;
    screen.press("y")?;
    screen.see("the row in the clipboard", |_| {
        let copied = screen.clipboard()?;
        ensure!(copied.contains(&first) && copied.contains(&nobody::to()), "copied `{copied}`");
        Ok(())
    })?;

    screen.press("M")?;
    let (column, row) = screen.see("the tab", |picture| {
        let row = picture.lines().iter().position(|line| line.contains("5 Conntrack")).context("no tab")?;
        let (before, _) = picture.lines()[row].split_once("5 Conntrack").context("no tab")?;
        Ok((before.chars().count() + 2, row + 1))
    })?;
    // A press and a release of the left button, as terminals tell them (SGR 1006).
    screen.see("the tab clicked", |picture| {
        screen.type_text(&format!("\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m"))?;
        picture.has("[5 Conntrack]").map(drop)
    })?;
    screen.press("q")?;
    screen.left()?.is_clean()
}
