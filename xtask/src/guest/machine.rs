//! Starts QEMU and listens to the guest.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};

use super::{command, report::Line, report::Report};

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
pub(super) struct Ended {
    pub(super) report: Report,
    /// From the start of QEMU to the guest's first process.
    pub(super) boot: Option<Duration>,
    pub(super) whole: Duration,
    /// The kernel's first complaint about itself, or that the guest was stopped.
    pub(super) fault: Option<String>,
    /// The last lines of both streams.
    pub(super) tail: String,
}

/// Which of the guest's serial ports a line came from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Console,
    Report,
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
        let mut qemu = self.command();
        qemu.args(["-serial", "mon:stdio"]);
        let status = qemu.status().map_err(not_started)?;
        anyhow::ensure!(status.success(), "qemu-system-x86_64 ended with {status}");
        Ok(())
    }

    /// Boots, writes everything the guest says to `log`, calls `show` with each line of the report as it comes, and
    /// stops the guest after `limit`.
    pub(super) fn run(&self, log: &Path, limit: Duration, mut show: impl FnMut(&str)) -> Result<Ended> {
        let started = Instant::now();
        let mut log = File::create(log).with_context(|| format!("create {}", log.display()))?;
        let mut qemu = self.command();
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

        let mut ended = Ended {
            report: Report::default(),
            boot: None,
            whole: Duration::ZERO,
            fault: None,
            tail: String::new(),
        };
        let mut text = String::new();
        loop {
            let (stream, line) = match lines.recv_timeout(limit.saturating_sub(started.elapsed())) {
                Ok(received) => received,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    ended.fault.get_or_insert(format!("stopped after {} s", limit.as_secs()));
                    break;
                }
            };
            let prefix = if stream == Stream::Console { "console| " } else { "" };
            writeln!(log, "{prefix}{line}").context("write the guest's log")?;
            text.push_str(&format!("{prefix}{line}\n"));
            if stream == Stream::Console {
                ended.fault = ended.fault.or_else(|| fault(&line));
                continue;
            }
            match Line::parse(&line) {
                Some(Line::Up) => ended.boot = Some(started.elapsed()),
                Some(parsed) => ended.report.add(&parsed),
                None => {}
            }
            show(&line);
        }
        ended.whole = started.elapsed();
        ended.tail = command::tail(&text, 40);
        Ok(ended)
    }

    fn command(&self) -> Command {
        let mut qemu = Command::new("qemu-system-x86_64");
        // QEMU does not fall back from KVM by itself, and on some hosts hangs in it: so it is only used when asked for.
        qemu.args(if self.kvm { ["-accel", "kvm"] } else { ["-accel", "tcg,thread=multi"] });
        qemu.args(["-cpu", "max", "-smp", "2", "-m"]).arg(self.memory_mib.to_string());
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        qemu.arg("-kernel").arg(self.kernel).arg("-initrd").arg(self.initramfs);
        qemu.args(["-append", COMMAND_LINE]);
        if let Some(directory) = self.share {
            let mut share = PathBuf::from(directory).into_os_string();
            share.push(",mount_tag=host,security_model=none,multidevs=remap");
            let mut option = std::ffi::OsString::from("local,path=");
            option.push(share);
            qemu.arg("-virtfs").arg(option);
        }
        qemu
    }
}

/// - `tsc=reliable nowatchdog`: emulated clocks drift against each other, and a busy host looks like a lockup.
/// - `oops=panic panic=-1` with QEMU's `-no-reboot`: a fault of the kernel ends the run at once.
/// - `mitigations=off`: emulation needs none, and they cost a third of the time.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 oops=panic tsc=reliable nowatchdog mitigations=off random.trust_cpu=on net.ifnames=0";

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
    const SIGNS: [&str; 7] = [
        "BUG: ",
        "Kernel panic",
        "Oops: ",
        "detected stall",
        "general protection fault",
        "hung_task: ",
        "soft lockup",
    ];
    SIGNS.iter().any(|sign| line.contains(sign)).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

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
