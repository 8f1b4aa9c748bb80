//! What other programs make of an exported session. Truth: what `tracer events --json` prints of it.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde_json::Value;
use tempfile::TempDir;

use super::{Case, Setting};
use crate::{
    command,
    need::Need,
    topology::{FAR, Family, NEAR, NOBODY, Pair},
    traffic, wait,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "export-formats",
        proves: "exported lines are those of `events --json`, a table has a row and a capture a frame for each",
        needs: &[],
        run: formats,
    },
    Case {
        name: "export-tshark",
        proves: "tshark shows every frame of a capture, and retransmits and ICMP errors as what they were",
        needs: &[Need::Tshark],
        run: in_tshark,
    },
    Case {
        name: "export-interrupted",
        proves: "an export that is stopped leaves no file, and replaces none",
        needs: &[],
        run: interrupted,
    },
];

/// A session of repeated SYNs, neighbours and ICMP errors, and where it is exported to.
struct Exported {
    program: PathBuf,
    session: PathBuf,
    directory: TempDir,
    /// What `events --json` prints of it.
    printed: String,
}

impl Exported {
    fn record(setting: &Setting) -> Result<Self> {
        const ATTEMPTS: usize = 2;
        const CLOSED_PORT: u16 = 9;
        let directory = tempfile::tempdir().context("make a directory for what is exported")?;
        let session = directory.path().join("session");
        let pair = Pair::new()?;
        let mut tracer = setting.trace(&[])?;
        let mut dialling = Vec::new();
        for family in Family::BOTH {
            dialling.push(traffic::dial(&pair.near, family.at(NEAR, 0), family.at(NOBODY, 80))?);
            traffic::knock(&pair.near, family.at(NEAR, 0), family.at(FAR, CLOSED_PORT))?;
        }
        tracer.wait_for("repeated SYNs of both families, and neighbours", |events| {
            let syns = |six: bool| {
                let is_of_family = |src: &Value| src.as_str().is_some_and(|src| src.contains(':') == six);
                let retransmits = events.of("retransmit", &pair.near);
                retransmits.events().iter().filter(|event| is_of_family(&event["src"])).count()
            };
            [true, false].into_iter().all(|six| syns(six) >= ATTEMPTS)
                && !events.of("neighbour", &pair.near).is_empty()
        })?;
        tracer.signal(Signal::SIGINT)?;
        let run = tracer.wait()?;
        ensure!(run.status.success(), "{}: {}", run.status, run.stderr);
        std::fs::copy(tracer.session(), &session).context("keep the session")?;
        let program = setting.program.clone();
        let printed = command::output(Command::new(&program).args(["events", "--json"]).arg(&session))?;
        Ok(Self { program, session, directory, printed })
    }

    /// The objects printed.
    fn objects(&self) -> Result<Vec<Value>> {
        self.printed.lines().map(|line| serde_json::from_str(line).context("a line of JSON")).collect()
    }

    fn export(&self, format: &str) -> Result<PathBuf> {
        let file = self.directory.path().join(format);
        let mut command = Command::new(&self.program);
        command.arg("export").arg(&self.session).args(["--format", format, "--output"]).arg(&file);
        command::output(&mut command)?;
        Ok(file)
    }

    /// What goes to standard output.
    fn piped(&self, format: &str) -> Result<Vec<u8>> {
        let mut command = Command::new(&self.program);
        let output = command.arg("export").arg(&self.session).args(["--format", format]).output()?;
        ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout)
    }
}

fn formats(setting: &Setting) -> Result<()> {
    let exported = Exported::record(setting)?;
    let objects = exported.objects()?;
    for format in ["jsonl", "parquet", "pcapng"] {
        let file = exported.export(format)?;
        let written = std::fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        ensure!(written == exported.piped(format)?, "{format}: a pipe gets something else than a file");
        refuses(&exported, format, &file)?;
    }
    let lines = std::fs::read_to_string(exported.directory.path().join("jsonl"))?;
    ensure!(lines == exported.printed, "the lines are not what `events --json` prints");
    let table = SerializedFileReader::new(File::open(exported.directory.path().join("parquet"))?)?;
    let rows = usize::try_from(table.metadata().file_metadata().num_rows())?;
    ensure!(rows == objects.len(), "{rows} rows of {} objects", objects.len());
    Ok(())
}

/// A file that is there is not replaced, unless that is asked for.
fn refuses(exported: &Exported, format: &str, file: &Path) -> Result<()> {
    let mut command = Command::new(&exported.program);
    command.arg("export").arg(&exported.session).args(["--format", format, "-o"]).arg(file);
    let output = command.output()?;
    let message = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1) && message.contains("--force"), "{format}: {message}");
    command::output(command.arg("--force")).map(drop)
}

/// Its session does not end, and a signal comes.
fn interrupted(setting: &Setting) -> Result<()> {
    let exported = Exported::record(setting)?;
    let mut session = std::fs::read(&exported.session).context("read the session")?;
    // As much as is read at once.
    session.resize(session.len() + (300 << 10), 0);
    let place = exported.directory.path().join("place");
    std::fs::create_dir(&place).context("make a directory")?;
    let names = || -> Result<Vec<String>> {
        let names =
            std::fs::read_dir(&place)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    };
    for (signal, is_there) in [(Signal::SIGINT, false), (Signal::SIGTERM, true)] {
        let file = place.join("file");
        if is_there {
            std::fs::write(&file, "another's")?;
        }
        let mut export = Command::new(&exported.program);
        export.args(["export", "/dev/stdin", "--format", "jsonl", "--force", "--output"]).arg(&file);
        let mut export =
            export.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().context("start tracer")?;
        let mut stdin = export.stdin.take().context("no standard input")?;
        stdin.write_all(&session).context("write half of a session")?;
        let before = usize::from(is_there);
        let begun = wait::until("a file that is written", || Ok((names()?.len() > before).then_some(())));
        command::run("kill", &format!("-{signal} {}", export.id()))?;
        let output = export.wait_with_output().context("wait for tracer")?;
        drop(stdin);
        begun?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.code() == Some(1) && said.contains("nothing was written"),
            "{}: {said}",
            output.status
        );
        let left = names()?;
        ensure!(left.len() == before, "{signal} leaves {left:?}");
        ensure!(!is_there || std::fs::read(&file)? == b"another's", "the file that was there is another");
    }
    Ok(())
}

/// Fields of every frame of a capture that passes a filter.
fn frames(file: &Path, filter: &str, fields: &[&str]) -> Result<Vec<Vec<String>>> {
    let mut command = Command::new("tshark");
    // No name is looked up; checksums are looked at.
    command.args(["-n", "-o", "ip.check_checksum:TRUE", "-T", "fields", "-r"]).arg(file);
    command.args(["-Y", filter]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command::output(&mut command)?;
    Ok(output.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

fn in_tshark(setting: &Setting) -> Result<()> {
    let exported = Exported::record(setting)?;
    let objects = exported.objects()?;
    let file = exported.export("pcapng")?;
    let count = |filter: &str| frames(&file, filter, &["frame.number"]).map(|frames| frames.len());
    ensure!(count("frame")? == objects.len(), "{} frames of {} objects", count("frame")?, objects.len());
    ensure!(count("_ws.malformed || ip.checksum.status == 0")? == 0, "tshark finds broken frames");

    let of = |kind: &'static str| objects.iter().filter(move |object| object["type"] == kind);
    for (version, filter) in [("4", "tcp && ip"), ("6", "tcp && ipv6")] {
        let is_of_version =
            |object: &&Value| object["src"].as_str().unwrap_or("").contains(':') == (version == "6");
        let told: Vec<Vec<String>> = of("retransmit").filter(is_of_version).map(segment).collect();
        let (source, destination) =
            if version == "6" { ("ipv6.src", "ipv6.dst") } else { ("ip.src", "ip.dst") };
        let fields =
            [source, "tcp.srcport", destination, "tcp.dstport", "tcp.seq_raw", "tcp.flags.syn", "tcp.len"];
        let shown = frames(&file, filter, &fields)?;
        ensure!(!told.is_empty() && shown == told, "IPv{version}: told {told:?}, shown {shown:?}");
    }
    let neighbours = of("neighbour").count();
    let shown = count(r#"json.path_with_value == "/type:neighbour""#)?;
    ensure!(neighbours > 0 && shown == neighbours, "{neighbours} neighbours, {shown} shown");
    let errors = of("icmp").filter(|object| object["protocol"] == "icmp").count();
    let shown = count("icmp.type == 3 && icmp.code == 3 && udp.dstport == 9")?;
    ensure!(shown == errors, "{errors} ICMP errors, {shown} shown");
    let comments = frames(&file, "tcp", &["frame.comment"])?;
    let retransmits: Vec<Value> = of("retransmit").cloned().collect();
    let comments: Vec<Value> =
        comments.iter().map(|fields| serde_json::from_str(&fields[0])).collect::<Result<_, _>>()?;
    ensure!(comments == retransmits, "the comments are not the objects");
    Ok(())
}

/// A repeated SYN as tshark shows it.
fn segment(object: &Value) -> Vec<String> {
    let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let number = |field: &str| object[field].to_string();
    [
        text("src"),
        number("sport"),
        text("dst"),
        number("dport"),
        number("sequence"),
        "1".to_owned(),
        "0".to_owned(),
    ]
    .into()
}
