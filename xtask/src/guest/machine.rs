//! Starts QEMU and listens to the guest.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::File,
    io::{BufRead as _, BufReader, Read, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};

use super::{
    emulator::{Dump, Impossible},
    report::{Line, Report},
};

/// How much of a failed run is shown.
const TAIL_LINES: usize = 40;

/// A machine to boot.
pub(super) struct Machine<'a> {
    pub(super) kernel: &'a Path,
    pub(super) initramfs: &'a Path,
    pub(super) memory_mib: u32,
    /// Use the processor's virtualisation instead of emulating it.
    pub(super) kvm: bool,
    /// A directory of the host that the guest sees at `/host`.
    pub(super) share: Option<&'a Path>,
}

/// How a run went.
#[derive(Default)]
pub(super) struct Ended {
    pub(super) report: Report,
    /// From the start of QEMU to the guest's first process; none when it never ran.
    pub(super) boot: Option<Duration>,
    pub(super) whole: Duration,
    /// The kernel's first complaint about itself.
    pub(super) fault: Option<String>,
    /// Where the kernel was then.
    dump: Dump,
    /// The limit that the guest was stopped at.
    pub(super) stopped: Option<Duration>,
    /// The last lines of both streams.
    pub(super) tail: VecDeque<String>,
}

/// How long a guest may take.
pub(super) struct Limits {
    /// Until its first process runs.
    pub(super) boot: Duration,
    pub(super) whole: Duration,
}

/// Which of the guest's serial ports a line came from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Console,
    Report,
}

impl Ended {
    /// Takes in a line heard `at` since the start, and returns it as it stands in the log.
    fn hear(&mut self, stream: Stream, line: String, at: Duration) -> &str {
        let line = match stream {
            Stream::Console => {
                match &self.fault {
                    Some(_) => self.dump.hear(&line),
                    None => self.fault = fault(&line),
                }
                format!("console| {line}")
            }
            Stream::Report => {
                match Line::parse(&line) {
                    Some(Line::Up) => self.boot = Some(at),
                    Some(parsed) => self.report.add(&parsed),
                    None => {}
                }
                line
            }
        };
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
        self.tail.back().map_or("", String::as_str)
    }

    /// What the kernel died with while cases ran, if only an emulator can have made that.
    pub(super) fn broken_by_emulator(&self) -> Option<Impossible> {
        let fault = self.fault.as_deref().filter(|_| !self.report.is_counted())?;
        self.dump.impossible(fault)
    }

    /// Why the run as a whole must count as a failure, if it must.
    pub(super) fn problem(&self) -> Option<String> {
        let stopped = |limit: Duration| match self.boot {
            Some(_) => format!("stopped after {} s", limit.as_secs()),
            None => format!("the guest was not up after {} s", limit.as_secs()),
        };
        self.fault.clone().or_else(|| self.stopped.map(stopped)).or_else(|| self.report.judge().1)
    }
}

/// Ends QEMU when the run ends, however it does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has usually ended by itself; neither failure leaves anything to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Machine<'_> {
    /// Boots with the guest's shell on this terminal, and returns when the guest is off.
    pub(super) fn interactive(&self) -> Result<()> {
        let mut qemu = self.command(&format!("{COMMAND_LINE} quiet"));
        qemu.args(["-serial", "mon:stdio"]);
        let status = qemu.status().map_err(not_started)?;
        anyhow::ensure!(status.success(), "qemu-system-x86_64 ended with {status}");
        Ok(())
    }

    /// Boots, writes everything the guest says to `log`, calls `show` with each line of the report as it comes, and
    /// stops the guest at its limits.
    pub(super) fn run(&self, log: &Path, limits: &Limits, mut show: impl FnMut(&str)) -> Result<Ended> {
        let started = Instant::now();
        let mut log = File::create(log).with_context(|| format!("create {}", log.display()))?;
        // A kernel that stops before it has a console still says where.
        let mut qemu = self.command(&format!("{COMMAND_LINE} earlyprintk=serial,ttyS0,115200"));
        // The first port is the kernel's console, here on QEMU's standard error beside its own messages.
        qemu.args([
            "-chardev",
            "file,id=console,path=/dev/stderr",
            "-serial",
            "chardev:console",
            "-serial",
            "stdio",
        ]);
        qemu.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut qemu = Running(qemu.spawn().map_err(not_started)?);
        let lines = listen(&mut qemu.0);

        let mut ended = Ended::default();
        loop {
            let limit = if ended.boot.is_some() { limits.whole } else { limits.boot.min(limits.whole) };
            let (stream, line) = match lines.recv_timeout(limit.saturating_sub(started.elapsed())) {
                Ok(received) => received,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    ended.stopped = Some(limit);
                    break;
                }
            };
            let line = ended.hear(stream, line, started.elapsed());
            writeln!(log, "{line}").context("write the guest's log")?;
            if stream == Stream::Report {
                show(line);
            }
        }
        ended.whole = started.elapsed();
        Ok(ended)
    }

    fn command(&self, kernel_arguments: &str) -> Command {
        let mut qemu = Command::new("qemu-system-x86_64");
        // QEMU does not fall back from KVM by itself, and on some hosts hangs in it: so it is only used when asked for.
        qemu.args(if self.kvm { ["-accel", "kvm"] } else { ["-accel", "tcg,thread=multi"] });
        qemu.args(["-cpu", "max", "-smp", "2", "-m"]).arg(self.memory_mib.to_string());
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        qemu.arg("-kernel").arg(self.kernel).arg("-initrd").arg(self.initramfs);
        qemu.args(["-append", kernel_arguments]);
        if let Some(directory) = self.share {
            let mut option = OsString::from("local,path=");
            option.push(directory);
            option.push(",mount_tag=host,security_model=none,multidevs=remap");
            qemu.arg("-virtfs").arg(option);
        }
        qemu
    }
}

/// - `tsc=reliable nowatchdog`: emulated clocks drift against each other, and a busy host looks like a lockup.
/// - `rcu_cpu_stall_timeout`: the same, for the one watchdog that stays on.
/// - `oops=panic panic=-1` with QEMU's `-no-reboot`: a fault of the kernel ends the run at once.
/// - `mitigations=off`: emulation needs none, and they cost a third of the time.
const COMMAND_LINE: &str = "console=ttyS0 panic=-1 oops=panic tsc=reliable nowatchdog \
    rcupdate.rcu_cpu_stall_timeout=60 mitigations=off random.trust_cpu=on net.ifnames=0";

fn not_started(error: std::io::Error) -> anyhow::Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        return anyhow!("qemu-system-x86_64 is not installed; apt-get install qemu-system-x86");
    }
    anyhow!(error).context("start qemu-system-x86_64")
}

/// Reads both streams of `qemu` until it ends.
fn listen(qemu: &mut Child) -> Receiver<(Stream, String)> {
    let (sender, receiver) = mpsc::channel();
    if let Some(standard_output) = qemu.stdout.take() {
        forward(Stream::Report, standard_output, sender.clone());
    }
    if let Some(standard_error) = qemu.stderr.take() {
        forward(Stream::Console, standard_error, sender);
    }
    receiver
}

fn forward(stream: Stream, from: impl Read + Send + 'static, to: Sender<(Stream, String)>) {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while let Ok(1..) = from.read_until(b'\n', &mut line) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
            if to.send((stream, text)).is_err() {
                return;
            }
            line.clear();
        }
    });
}

/// What a line of the console says about a broken kernel.
fn fault(line: &str) -> Option<String> {
    const SIGNS: [&str; 6] = [
        " BUG: ",
        " Kernel panic",
        " Oops: ",
        " detected stall",
        " general protection fault",
        " blocked for more than ",
    ];
    // A sign starts a word: a space before the line saves a second table for lines without a time.
    let spaced = format!(" {line}");
    SIGNS.iter().any(|sign| spaced.contains(sign)).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(lines: &[(Stream, &str)]) -> Ended {
        let mut ended = Ended::default();
        for (stream, line) in lines {
            ended.hear(*stream, (*line).to_owned(), Duration::from_secs(5));
        }
        ended
    }

    #[test]
    fn only_the_report_counts_cases_and_only_the_console_faults() {
        let good = [
            (Stream::Report, "guest: up"),
            (Stream::Console, "case x ... FAILED: not from the scenarios"),
            (Stream::Report, "case a ... ok"),
            (Stream::Report, "a line about a Kernel panic"),
            (Stream::Report, "1 passed, 0 failed"),
            (Stream::Report, "guest: exit status 0"),
        ];
        let ended = heard(&good);
        assert_eq!((ended.problem(), ended.boot), (None, Some(Duration::from_secs(5))));
        assert_eq!(ended.tail[1], "console| case x ... FAILED: not from the scenarios");

        let mut broken = good.to_vec();
        broken.insert(3, (Stream::Console, "BUG: first"));
        broken.insert(4, (Stream::Console, "Kernel panic - not syncing"));
        assert_eq!(heard(&broken).problem().as_deref(), Some("BUG: first"));
    }

    #[test]
    fn the_emulator_is_blamed_for_impossible_flags_behind_a_fault_only() {
        let dump = [
            (Stream::Console, "RIP: 0010:__kmalloc_noprof+0x17b/0x550"),
            (Stream::Console, "RSP: 0018:ff43f73100457c50 EFLAGS: 08866242"),
        ];
        let fault = [(Stream::Console, "Oops: double fault: 0000 [#1] SMP NOPTI")];
        let counted = [(Stream::Report, "1 passed, 0 failed")];
        let broken = |lines: &[&[(Stream, &str)]]| heard(&lines.concat()).broken_by_emulator();
        assert_eq!(broken(&[&fault, &dump]), Some(Impossible::Flags(0x0886_6242)));
        assert_eq!(broken(&[&dump, &fault]), None, "a warning's registers");
        assert_eq!(broken(&[&counted, &fault, &dump]), None, "all cases are told");
    }

    #[test]
    fn a_stopped_guest_says_how_far_it_came() {
        let stopped = Some(Duration::from_mins(1));
        let mut ended = Ended { stopped, ..heard(&[]) };
        assert_eq!(ended.problem().as_deref(), Some("the guest was not up after 60 s"));
        ended = Ended { stopped, ..heard(&[(Stream::Report, "guest: up")]) };
        assert_eq!(ended.problem().as_deref(), Some("stopped after 60 s"));
    }

    #[test]
    fn the_tail_is_bounded() {
        let ended = heard(&[(Stream::Report, "line"); TAIL_LINES + 9]);
        assert_eq!(ended.tail.len(), TAIL_LINES);
    }

    #[test]
    fn a_broken_kernel_is_noticed() {
        let cases = [
            ("[    3.1] Kernel panic - not syncing: Fatal exception", true),
            ("[    3.1] BUG: kernel NULL pointer dereference, address: 0000000000000008", true),
            ("[    3.1] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!", true),
            ("[    3.1] Oops: 0002 [#1] SMP NOPTI", true),
            ("[    3.1] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", true),
            ("[    3.1] IPVS: Registered protocols (TCP, UDP)", false),
            ("[    3.1] DEBUG: nothing", false),
        ];
        for (line, expected) in cases {
            assert_eq!(fault(line).is_some(), expected, "{line}");
        }
    }
}
