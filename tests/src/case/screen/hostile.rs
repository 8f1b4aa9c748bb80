//! Text from outside that means something to a terminal.

use std::ffi::CString;

use anyhow::{Context, Result, ensure};
use nix::sys::prctl;

use super::nobody;
use crate::{
    case::Setting,
    screen::{Screen, WIDE},
    topology::{Family, NEAR, NOBODY, Pair},
    traffic,
};

/// Names of processes, and how they may be shown. The kernel takes 15 bytes of any kind.
const NAMES: [(&[u8], &str); 4] = [
    (b"\x1b[2Jgone", "�[2Jgone"),
    (b"\x1b]2;title\x07", "�]2;title�"),
    ("日本語".as_bytes(), "日本語"),
    (b"\x9b31mred\r\nx", "�31mred��x"),
];

/// Clients of such names dial an address nobody has.
pub(super) fn names(setting: &Setting) -> Result<()> {
    let pair = Pair::new()?;
    let mut screen = Screen::live(&setting.program, WIDE, &["--netns", pair.near.name()])?;
    screen.see_live()?;
    screen.show(2, "Retransmits")?;
    let title = screen.variable("pane_title")?;
    let mut dialling = Vec::new();
    for (port, (name, _)) in (42_000..).zip(NAMES) {
        let name = CString::new(name).context("a name")?;
        // On a thread of its own, which takes the name with it.
        dialling.push(pair.near.enter(|| {
            prctl::set_name(&name).context("take a name")?;
            traffic::dial_here(Family::V4.at(NEAR, port), Family::V4.at(NOBODY, 80))
        })?);
    }
    screen.see("every name on the screen", |picture| {
        let table = picture.table(&["from", "to", "owner", "dev"])?;
        for (port, (_, shown)) in (42_000..).zip(NAMES) {
            let row = table.row(&[("from", &nobody::from(port))])?;
            let owner = row.text("owner")?;
            ensure!(owner.starts_with(shown), "expected `{shown}`, found `{owner}`");
            row.says("to", &nobody::to())?.says("dev", crate::topology::NEAR_DEVICE)?;
        }
        Ok(())
    })?;
    ensure!(screen.variable("pane_title")? == title, "the terminal has another title");
    drop(dialling);
    screen.press("q")?;
    screen.left()?.is_clean()
}
