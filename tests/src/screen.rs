//! The screens of the program under test, in a terminal of their own: a window of tmux that nobody looks at.

mod picture;
mod table;

use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    time::{ClockId, clock_gettime},
    unistd::{Pid, SysconfVar, sysconf},
};
use tempfile::TempDir;

use crate::{command, expect::Events, wait};

pub use self::{
    picture::Picture,
    table::{Row, Table},
};

/// Columns and rows of a terminal.
pub type Size = (u16, u16);

/// The smallest terminal the screens are made for.
pub const SMALL: Size = (80, 24);
/// One with room for every column.
pub const WIDE: Size = (240, 60);

/// Between two looks at a terminal, each of which starts a program: half the time between two frames.
const INTERVAL: Duration = Duration::from_millis(50);
/// How long a picture may take. In an emulated guest the program, tmux and the looks share two slow processors.
const DEADLINE: Duration = Duration::from_mins(3);

/// tmux without a line of its own, and with a clipboard that the program may fill.
const CONFIGURATION: &str =
    "set -g status off\nset -s set-clipboard on\nset -g default-terminal tmux-256color\n";
/// What a shell does: it starts the program, and has the terminal again afterwards. `$0` is a file for the program's
/// process id.
const SHELL: &str =
    "sh -c 'echo $$ >\"$0\"; exec \"$@\"' \"$0\" \"$@\"; echo \"status $?\"; stty -a; echo left; exec cat";
/// Settings of the surroundings by which the program chooses colours and letters, and tmux its server.
const SURROUNDINGS: [&str; 7] =
    ["COLORFGBG", "COLORTERM", "LANG", "LC_CTYPE", "NO_COLOR", "TMUX", "TRACER_THEME"];

/// The program in a terminal. When this is dropped, both end.
#[derive(Debug)]
pub struct Screen {
    program: PathBuf,
    /// Holds tmux's socket, the program's process id and the session.
    directory: TempDir,
    id: Option<Pid>,
    /// What was seen last, for a failure to show.
    last: RefCell<Picture>,
}

/// How the program left its terminal.
#[derive(Debug)]
pub struct Left {
    /// The exit status, as a shell tells it.
    pub status: u32,
    /// What stands on the terminal afterwards: what the program printed, its status, and the terminal's settings.
    pub picture: Picture,
    /// Whether the terminal still shows the alternate screen, on which programs draw.
    pub is_alternate: bool,
    /// Whether the cursor can be seen.
    pub has_cursor: bool,
}

impl Left {
    /// Fails unless the program ended with 0 and gave the terminal back as it was.
    pub fn is_clean(&self) -> Result<()> {
        let Self { status, picture, is_alternate, has_cursor } = self;
        ensure!(*status == 0, "the program ended with {status}:\n{picture}");
        ensure!(!is_alternate, "the alternate screen is still shown");
        ensure!(*has_cursor, "the cursor is hidden");
        let settings = picture.lines().iter().flat_map(|line| line.split_whitespace());
        for wanted in ["icanon", "echo", "isig", "opost", "icrnl"] {
            ensure!(settings.clone().any(|setting| setting == wanted), "no `{wanted}`:\n{picture}");
        }
        Ok(())
    }
}

impl Screen {
    /// Starts `tracer live` with these arguments, and records everything for [`recorded`](Self::recorded). Does not wait
    /// for anything to be shown.
    pub fn live(program: &Path, size: Size, arguments: &[&str]) -> Result<Self> {
        let screen = Self::new(program)?;
        let session = screen.session();
        let recording = ["live", "--record", &session.to_string_lossy()];
        screen.start(size, &[&recording, arguments].concat())
    }

    /// Starts `tracer live` with these arguments, and records nothing unless they say so.
    pub fn watch(program: &Path, size: Size, arguments: &[&str]) -> Result<Self> {
        Self::new(program)?.start(size, &[&["live"], arguments].concat())
    }

    /// Shows what another one recorded, with `tracer replay`.
    pub fn replay(recorded: &Self, size: Size) -> Result<Self> {
        Self::replay_of(recorded, size, &recorded.session())
    }

    /// Shows a session with the program that another one runs.
    pub fn replay_of(other: &Self, size: Size, session: &Path) -> Result<Self> {
        Self::new(&other.program)?.start(size, &["replay", &session.to_string_lossy()])
    }

    /// As [`replay`](Self::replay), by a program that was told to survive the end of its terminal, as `nohup` tells it.
    pub fn replay_without_hang_up(recorded: &Self, size: Size) -> Result<Self> {
        const DEAF: &str = "trap '' HUP; exec \"$@\"";
        let (program, session) = (recorded.program.to_string_lossy(), recorded.session());
        let line = ["-c", DEAF, "sh", &program, "replay", &session.to_string_lossy()];
        Self::new(Path::new("sh"))?.start(size, &line)
    }

    /// Starts `tracer record` with these arguments, which names its files by [`session`](Self::session).
    pub fn record(program: &Path, size: Size, arguments: &[&str]) -> Result<Self> {
        let screen = Self::new(program)?;
        let session = screen.session();
        screen.start_recording(size, &session, arguments)
    }

    /// The same with files of another name.
    pub fn record_to(program: &Path, size: Size, session: &Path, arguments: &[&str]) -> Result<Self> {
        Self::new(program)?.start_recording(size, session, arguments)
    }

    fn start_recording(self, size: Size, session: &Path, arguments: &[&str]) -> Result<Self> {
        let recording = ["record", "--output", &session.to_string_lossy()];
        self.start(size, &[&recording, arguments].concat())
    }

    fn new(program: &Path) -> Result<Self> {
        let directory = tempfile::tempdir().context("make a directory for a terminal")?;
        fs::write(directory.path().join("tmux.conf"), CONFIGURATION).context("write tmux's configuration")?;
        Ok(Self { program: program.to_owned(), directory, id: None, last: RefCell::default() })
    }

    fn start(mut self, (columns, rows): Size, arguments: &[&str]) -> Result<Self> {
        let id_file = self.directory.path().join("id");
        let mut tmux = self.tmux("new-session");
        tmux.args(["-d", "-x", &columns.to_string(), "-y", &rows.to_string(), "--", "sh", "-c", SHELL]);
        tmux.arg(&id_file).arg(&self.program).args(arguments);
        command::output(&mut tmux)?;
        self.id = Some(wait::until("a program in the terminal", || {
            let text = fs::read_to_string(&id_file).unwrap_or_default();
            Ok(text.strip_suffix('\n').and_then(|id| id.parse().ok()).map(Pid::from_raw))
        })?);
        Ok(self)
    }

    /// Where everything is recorded.
    pub fn session(&self) -> PathBuf {
        self.directory.path().join("session.trace")
    }

    /// The files whose names begin as that one's does and go on with a time, in their order.
    pub fn sessions(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.directory.path()).context("list the sessions")? {
            let path = entry.context("list the sessions")?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with("session-") {
                let modified = path
                    .metadata()
                    .and_then(|metadata| metadata.modified())
                    .context("when it was written")?;
                files.push((modified, path));
            }
        }
        // Not by name: the second of one second has a number behind its name, which sorts before the end of the first's.
        files.sort();
        Ok(files.into_iter().map(|(_, path)| path).collect())
    }

    /// What was recorded, as `tracer events FILE --json` tells it.
    pub fn recorded(&self) -> Result<Events> {
        self.tell(&self.session(), &[])
    }

    /// As [`recorded`](Self::recorded), of what meets a filter.
    pub fn recorded_where(&self, filter: &str) -> Result<Events> {
        self.tell(&self.session(), &["--filter", filter])
    }

    /// What a session tells.
    pub fn told_by(&self, session: &Path) -> Result<Events> {
        self.tell(session, &[])
    }

    fn tell(&self, session: &Path, arguments: &[&str]) -> Result<Events> {
        let mut tracer = Command::new(&self.program);
        let lines = command::output(tracer.arg("events").arg(session).arg("--json").args(arguments))?;
        let lines = lines.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned()));
        Ok(Events::new(lines.collect::<Result<_>>()?))
    }

    /// Presses a key, by tmux's name for it: `2`, `Enter`, `PPage`, `S-Left`.
    pub fn press(&self, key: &str) -> Result<()> {
        command::output(self.tmux("send-keys").arg(key)).map(drop)
    }

    /// Types text.
    pub fn type_text(&self, text: &str) -> Result<()> {
        command::output(self.tmux("send-keys").args(["-l", "--", text])).map(drop)
    }

    /// Gives the terminal another size.
    pub fn resize(&self, (columns, rows): Size) -> Result<()> {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        command::output(self.tmux("resize-window").args(["-x", &columns, "-y", &rows])).map(drop)
    }

    /// What the terminal shows now.
    pub fn picture(&self) -> Result<Picture> {
        let picture = Picture::new(&command::output(self.tmux("capture-pane").arg("-p"))?);
        self.last.replace(picture.clone());
        Ok(picture)
    }

    /// What the terminal shows now, with the escape codes that make it look so.
    pub fn coloured(&self) -> Result<String> {
        command::output(self.tmux("capture-pane").args(["-p", "-e"]))
    }

    /// A variable of tmux's about the terminal, such as `pane_title`.
    pub fn variable(&self, name: &str) -> Result<String> {
        let text = command::output(self.tmux("display-message").args(["-p", &format!("#{{{name}}}")]))?;
        Ok(text.trim_end().to_owned())
    }

    /// What the program put into the clipboard last.
    pub fn clipboard(&self) -> Result<String> {
        command::output(&mut self.tmux("show-buffer"))
    }

    /// Waits until the terminal shows what `look` wants to see, and returns what it makes of it: the same twice in a row,
    /// for a picture may be half drawn. What it missed last is told if it never does.
    pub fn see<T: PartialEq>(&self, what: &str, look: impl Fn(&Picture) -> Result<T>) -> Result<T> {
        let mut missed = anyhow!("it changed all the time");
        let mut before = None;
        let seen = wait::until_within_every(INTERVAL, DEADLINE, what, || match look(&self.picture()?) {
            Ok(seen) if before.as_ref() == Some(&seen) => Ok(Some(seen)),
            Ok(seen) => {
                before = Some(seen);
                Ok(None)
            }
            Err(error) => {
                (missed, before) = (error, None);
                Ok(None)
            }
        });
        seen.map_err(|error| anyhow!("{error:#}: {missed:#}\n{}", self.last.borrow()))
    }

    /// Waits until all hooks have been tried.
    pub fn see_live(&self) -> Result<()> {
        self.see("the screens to be live", |picture| picture.has("LIVE").map(drop))
    }

    /// Goes to a screen by its number, and waits until it is there.
    pub fn show(&self, number: u8, title: &str) -> Result<()> {
        self.press(&number.to_string())?;
        let tab = format!("[{number} {title}]");
        self.see(&format!("the screen {title}"), |picture| picture.has(&tab).map(drop))
    }

    /// Waits for the first picture. Returns how long after the start of the program it was there, to 10 ms.
    pub fn see_first(&self) -> Result<Duration> {
        self.see("a first picture", |picture| picture.has("tracer").map(drop))?;
        let now = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).context("read the clock")?);
        Ok(now.saturating_sub(started(self.id()?)?))
    }

    /// The program's process id. Fails if it has ended.
    pub fn id(&self) -> Result<Pid> {
        self.id.context("the program has ended")
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.id()?, signal).with_context(|| format!("send {signal} to the program"))
    }

    /// Waits until the program has ended, and the shell behind it.
    pub fn left(&mut self) -> Result<Left> {
        let (picture, status) = self.see("the program to leave its terminal", |picture| {
            // tmux may put the cursor anywhere in its line when the terminal was made larger meanwhile.
            let mut lines = picture.lines().iter().map(|line| line.trim_start());
            ensure!(lines.clone().any(|line| line == "left"), "it is still there");
            let status = lines.find_map(|line| line.strip_prefix("status ")?.parse().ok());
            Ok((picture.clone(), status.context("no exit status")?))
        })?;
        self.id = None;
        let is_alternate = self.variable("alternate_on")? != "0";
        let has_cursor = self.variable("cursor_flag")? != "0";
        Ok(Left { status, picture, is_alternate, has_cursor })
    }

    /// Takes the terminal away from the program, as a broken connection does, and waits until the program has ended.
    pub fn hang_up(&mut self) -> Result<()> {
        let id = self.id()?;
        command::output(&mut self.tmux("kill-server"))?;
        wait::until("the program to end without its terminal", || match kill(id, None) {
            Ok(()) => Ok(None),
            Err(Errno::ESRCH) => Ok(Some(())),
            Err(error) => bail!("look for process {id}: {error}"),
        })?;
        self.id = None;
        Ok(())
    }

    fn tmux(&self, what: &str) -> Command {
        let mut tmux = Command::new("tmux");
        for name in SURROUNDINGS {
            tmux.env_remove(name);
        }
        tmux.env("LC_ALL", "C.UTF-8").arg("-u");
        tmux.arg("-S").arg(self.directory.path().join("socket"));
        tmux.arg("-f").arg(self.directory.path().join("tmux.conf")).arg(what);
        tmux
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Whatever has ended already needs no end.
        let _ = command::output(&mut self.tmux("kill-server"));
        if let Some(id) = self.id {
            let _ = kill(id, Signal::SIGKILL);
        }
    }
}

/// When a process began, since boot.
fn started(id: Pid) -> Result<Duration> {
    /// Place of `starttime` behind the name, which ends with the last `)`: `proc_pid_stat(5)`.
    const START_TIME: usize = 19;
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).context("read when the program began")?;
    let (_, fields) = stat.rsplit_once(") ").context("a stat line")?;
    let ticks: u64 = fields.split(' ').nth(START_TIME).context("a start time")?.parse()?;
    let hertz = sysconf(SysconfVar::CLK_TCK)?.context("no clock ticks")?;
    Ok(Duration::from_millis(ticks * 1_000 / u64::try_from(hertz)?))
}
