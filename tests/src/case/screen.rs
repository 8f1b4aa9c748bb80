//! The screens, as they are used: keys in, a terminal to look at, and beside it the JSON of the same run, read from its
//! recording. What the one says, the other has to say.

mod conntrack;
mod findings;
mod hooks;
mod hostile;
mod interaction;
mod keys;
mod leaving;
mod neighbours;
mod nobody;
mod piped;
mod recording;
mod replay;
mod retransmits;
mod subject;

use super::Case;
use crate::need::Need;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "screen-retransmits",
        proves: "each flow's segments are those of the JSON of the same run, small and wide, and again in a replay",
        needs: &[Need::Terminal],
        run: retransmits::flows,
    },
    Case {
        name: "screen-subject",
        proves: "a flow opened lists each of its retransmits in time order, as the JSON of the same run",
        needs: &[Need::Terminal],
        run: subject::flow,
    },
    Case {
        name: "screen-neighbours",
        proves: "the screen shows who was kept and who was ignored, as `ip neigh` and the JSON say",
        needs: &[Need::Terminal],
        run: neighbours::two_owners,
    },
    Case {
        name: "screen-findings",
        proves: "a finding is listed, opened, copied and over as the JSON says, and a replay goes to where it was",
        needs: &[Need::Terminal],
        run: findings::duplicate_address,
    },
    Case {
        name: "screen-conntrack",
        proves: "the screen shows the entry that was reopened, and who answers now, as the JSON says",
        needs: &[Need::Terminal, Need::FunctionHooks, Need::Nftables, Need::Conntrack],
        run: conntrack::reopened,
    },
    Case {
        name: "screen-hooks",
        proves: "every hook of the `ready` line is shown with its state and reason",
        needs: &[Need::Terminal],
        run: hooks::all_shown,
    },
    Case {
        name: "screen-keys",
        proves: "every screen, the help and the details open by their keys, at every size of the terminal",
        needs: &[Need::Terminal],
        run: keys::every_screen,
    },
    Case {
        name: "screen-storm",
        proves: "keys and the pause work amid thousands of retransmits, and afterwards every one is accounted for",
        needs: &[Need::Terminal],
        run: keys::amid_a_storm,
    },
    Case {
        name: "screen-filter",
        proves: "a filter typed counts what is shown anew, as the JSON with that filter; a mistake is told at its place",
        needs: &[Need::Terminal],
        run: interaction::filtered,
    },
    Case {
        name: "screen-other-moments",
        proves: "back at a marker the screens show what had happened by then, as the order of the JSON says",
        needs: &[Need::Terminal],
        run: interaction::other_moments,
    },
    Case {
        name: "screen-replay",
        proves: "a session goes back to a marker and plays on to its end: what is shown is what the JSON says up to there",
        needs: &[Need::Terminal],
        run: replay::played,
    },
    Case {
        name: "screen-replay-pipe",
        proves: "a session that comes through a pipe is shown as from a file, and kept in one without a name",
        needs: &[Need::Terminal],
        run: piped::shown,
    },
    Case {
        name: "screen-replay-hang-up",
        proves: "when its terminal goes away a replay ends, even if it ignores SIGHUP",
        needs: &[Need::Terminal],
        run: piped::hung_up,
    },
    Case {
        name: "screen-record-key",
        proves: "`r` begins a session and ends it, and it has what was printed at the same time, and nothing else",
        needs: &[Need::Terminal],
        run: recording::by_key,
    },
    Case {
        name: "screen-flight-key",
        proves: "`f` writes a session of what came before, which ends with why",
        needs: &[Need::Terminal],
        run: recording::flight_by_key,
    },
    Case {
        name: "screen-clipboard-and-mouse",
        proves: "a row copied reaches the terminal's clipboard, and a tab can be clicked",
        needs: &[Need::Terminal],
        run: interaction::clipboard_and_mouse,
    },
    Case {
        name: "screen-hostile-names",
        proves: "a process whose name holds escape codes changes nothing on the terminal but its own cell",
        needs: &[Need::Terminal],
        run: hostile::names,
    },
    Case {
        name: "screen-leaving",
        proves: "`q`, Ctrl-C and each signal give the terminal back as it was and finish the session",
        needs: &[Need::Terminal],
        run: leaving::every_way,
    },
    Case {
        name: "screen-hang-up",
        proves: "when the terminal goes away the program ends and the session is whole",
        needs: &[Need::Terminal],
        run: leaving::hung_up,
    },
];
