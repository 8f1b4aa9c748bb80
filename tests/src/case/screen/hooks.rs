//! The hooks and what each lacks.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    case::Setting,
    screen::{Row, SMALL, Screen, WIDE},
};

const REASON: &str = "why not, or what to know";

/// Truth: the `ready` line of the run's recording.
pub(super) fn all_shown(setting: &Setting) -> Result<()> {
    let mut screen = Screen::live(&setting.program, WIDE, &[])?;
    screen.see_live()?;
    screen.show(7, "Hooks")?;
    let table = screen.see("the hooks", |picture| picture.table(&["hook", "attached", REASON]))?;
    // On a small terminal the last one is a key away.
    screen.resize(SMALL)?;
    let last = table.rows().last().context("no hook is shown")?.text("hook")?;
    screen.press("End")?;
    screen.see("the last hook", |picture| {
        picture.table(&["hook", "attached"])?.row(&[("hook", last)]).map(drop)
    })?;
    screen.press("q")?;
    screen.left()?.is_clean()?;

    let events = screen.recorded()?;
    let ready = events.all().iter().find(|event| event["type"] == "ready").context("no `ready` line")?;
    let told = ready["hooks"].as_array().context("no hooks in the `ready` line")?;
    ensure!(told.len() == table.rows().len(), "{} hooks are told, {} shown", told.len(), table.rows().len());
    for hook in told {
        let name = hook["hook"].as_str().context("a hook without a name")?;
        agree(table.row(&[("hook", name)])?, hook)?;
    }
    Ok(())
}

fn agree(row: &Row, told: &Value) -> Result<()> {
    let state = match told["state"].as_str() {
        Some("attached") => told["way"].as_str(),
        Some("standby") => Some("stands by"),
        Some("not-needed") => Some("no need"),
        other => other,
    };
    row.says("attached", state.context("a hook without a state")?)?;
    if let Some(reason) = told["reason"].as_str() {
        let shown = row.text(REASON)?;
        ensure!(reason.starts_with(shown.trim_end_matches('…')), "expected `{reason}`, found `{shown}`");
    }
    Ok(())
}
