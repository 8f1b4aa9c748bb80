//! Many changes at once.

use std::{collections::BTreeSet, fmt::Write as _, process::Command};

use anyhow::{Result, ensure};

use super::{finish, told};
use crate::{case::Setting, command, namespace::Namespace};

const SERVERS: u32 = 500;

/// The address and port of a real server, and a weight only it has.
fn server(number: u32) -> (String, u32) {
    (format!("10.20.{}.{}:8080", number / 250, 1 + number % 250), number)
}

/// `ipvsadm --restore` adds all servers, changes every weight, and `--clear` removes them with their service.
pub(super) fn many(setting: &Setting) -> Result<()> {
    let namespace = Namespace::new("many")?;
    let tracer = setting.trace(&["--only", "ipvs"])?;
    let mut script = String::from("-A -t 10.9.9.9:80 -s rr\n");
    let mut expected =
        BTreeSet::from(["added 10.9.9.9:80 - - -".to_owned(), "removed 10.9.9.9:80 - - -".to_owned()]);
    for (real, weight) in (0..SERVERS).map(server) {
        writeln!(script, "-a -t 10.9.9.9:80 -r {real} -m -w {weight}")?;
        expected.insert(format!("added 10.9.9.9:80 {real} - {weight}"));
    }
    for (real, weight) in (0..SERVERS).map(server) {
        writeln!(script, "-e -t 10.9.9.9:80 -r {real} -m -w {}", weight + 1)?;
        expected.insert(format!("weight 10.9.9.9:80 {real} {weight} {}", weight + 1));
        expected.insert(format!("removed 10.9.9.9:80 {real} {} -", weight + 1));
    }
    namespace.enter(|| command::output_with_input(Command::new("ipvsadm").arg("--restore"), &script))?;
    namespace.run("ipvsadm", "--clear")?;
    tracer.wait_for("every change", |events| told(events, &namespace).len() >= expected.len())?;
    let told = told(&finish(tracer)?, &namespace);
    ensure!(told.len() == expected.len(), "{} changes are told, {} were made", told.len(), expected.len());
    let told = BTreeSet::from_iter(told);
    ensure!(told == expected, "missing: {:?}", expected.difference(&told).take(3).collect::<Vec<_>>());
    Ok(())
}
