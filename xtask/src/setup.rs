//! `cargo xtask setup`: finds what is missing, says what it will install and why, installs it.

mod needs;

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{run_aside, say, shown};
use crate::root;
use crate::toolchain::{self, Missing, Places};
use needs::{Group, LLVM_CONFIG, LLVM_PACKAGE, LLVM_PREFIX, Need};

/// What `setup` may do.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Print the commands instead of running them; the exit status tells whether something is missing
    #[arg(long)]
    no_install: bool,
}

/// Everything, for building, tests and guests.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if !arguments.no_install {
        return for_tests(false);
    }
    let plan = Plan::of(&Group::ALL);
    plan.explain();
    for command in plan.commands() {
        println!("{command}");
    }
    plan.check()
}

/// Sees to what building the program needs; with `no_install`, fails with the commands if something is missing.
pub(crate) fn for_build(no_install: bool) -> Result<()> {
    see_to(&[Group::Build], no_install)
}

/// Whether nothing is missing of what building the program needs.
pub(crate) fn is_ready_to_build() -> bool {
    Plan::of(&[Group::Build]).is_empty()
}

/// Sees to what all checks, tests and guests need.
///
/// Fails as [`for_build`] does.
pub(crate) fn for_tests(no_install: bool) -> Result<()> {
    see_to(&Group::ALL, no_install)
}

/// Sees to what measuring the kernel side needs.
///
/// Fails as [`for_build`] does.
pub(crate) fn for_bench(no_install: bool) -> Result<()> {
    see_to(&[Group::Build, Group::Scenarios, Group::Bench], no_install)
}

fn see_to(groups: &[Group], no_install: bool) -> Result<()> {
    let plan = Plan::of(groups);
    if plan.is_empty() {
        return Ok(());
    }
    plan.explain();
    if no_install {
        bail!("not installed, as asked; run\n{}", plan.commands().join("\n"));
    }
    plan.install()?;
    Plan::of(groups).check().context("installing went well, yet not everything is there")
}

/// What to install: Debian packages, each with its reason, and bpf-linker.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    packages: Vec<(&'static str, String)>,
    linker: Option<Missing>,
}

impl Plan {
    /// What this machine lacks of the groups' needs.
    fn of(groups: &[Group]) -> Self {
        let toolchain = toolchain::detect(&Places::of_this_machine());
        Self::from(toolchain.err().unwrap_or_default(), groups.iter().flat_map(|group| group.needs()))
    }

    fn from(missing: Vec<Missing>, needs: impl Iterator<Item = &'static Need>) -> Self {
        let mut plan = Self::default();
        for missing in missing {
            let reason = missing.to_string();
            match missing {
                Missing::Compiler => {
                    plan.add("rustc-web", &reason);
                    plan.add("libstd-rust-web-dev-bpf", "its core library for BPF");
                }
                Missing::Core => plan.add("libstd-rust-web-dev-bpf", &reason),
                Missing::Linker | Missing::LinkerTooOld { .. } => plan.linker = Some(missing),
            }
        }
        if plan.linker.is_some() && !LLVM_CONFIG.is_there() {
            plan.add(LLVM_PACKAGE, "building bpf-linker, and its LLVM");
        }
        for need in needs.filter(|need| !need.probe.is_there()) {
            plan.add(need.package, need.reason);
        }
        plan
    }

    fn add(&mut self, package: &'static str, reason: &str) {
        match self.packages.iter_mut().find(|(name, _)| *name == package) {
            Some((_, reasons)) => *reasons = format!("{reasons}; {reason}"),
            None => self.packages.push((package, reason.to_owned())),
        }
    }

    fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.linker.is_none()
    }

    fn explain(&self) {
        if self.is_empty() {
            return say("nothing is missing");
        }
        say("missing here:");
        for (package, reason) in &self.packages {
            say(&format!("  {package:<24} Debian package: {reason}"));
        }
        if let Some(reason) = &self.linker {
            say(&format!("  {:<24} from crates.io: {reason}", "bpf-linker"));
        }
    }

    /// The commands as one would type them, `sudo` included for who is not root.
    fn commands(&self) -> Vec<String> {
        let sudo = if root::is_root() { "" } else { "sudo " };
        let mut commands = Vec::new();
        if !self.packages.is_empty() {
            commands.push(format!("{sudo}apt-get update"));
            commands.push(format!("{sudo}{}", shown(&self.apt_install("apt-get"))));
        }
        commands.extend(self.linker_install("cargo").map(|command| shown(&command)));
        commands
    }

    fn install(&self) -> Result<()> {
        if !self.packages.is_empty() {
            self.install_packages()?;
        }
        if let Some(mut command) =
            self.linker_install(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        {
            run_aside(&mut command)?;
        }
        Ok(())
    }

    fn install_packages(&self) -> Result<()> {
        let Some(apt) = toolchain::on_path("apt-get") else {
            bail!(
                "no apt-get here: install the like of these packages yourself; for the eBPF object alone, \
                 `rustup toolchain install nightly --component rust-src` and `cargo install bpf-linker` do"
            );
        };
        if !root::is_root() {
            bail!("installing packages needs root; run\n{}", self.commands().join("\n"));
        }
        let mut install = self.apt_install(&apt.to_string_lossy());
        install.env("DEBIAN_FRONTEND", "noninteractive");
        if let Err(error) = run_aside(&mut install) {
            say(&format!("{error:#}; the package lists may be old or empty: updating them"));
            run_aside(Command::new(&apt).arg("update"))?;
            run_aside(&mut install)?;
        }
        Ok(())
    }

    fn apt_install(&self, apt: &str) -> Command {
        let mut command = Command::new(apt);
        command.args(["install", "--yes", "--no-install-recommends"]);
        command.args(self.packages.iter().map(|(package, _)| package));
        command
    }

    fn linker_install(&self, cargo: &str) -> Option<Command> {
        let missing = self.linker.as_ref()?;
        let mut command = Command::new(cargo);
        command.env("LLVM_PREFIX", LLVM_PREFIX);
        command.args(["install", "bpf-linker", "--version", "0.13.0", "--locked"]);
        command.args(["--no-default-features", "--features", "llvm-22"]);
        if matches!(missing, Missing::LinkerTooOld { .. }) {
            command.arg("--force");
        }
        Some(command)
    }

    fn check(&self) -> Result<()> {
        if !self.is_empty() {
            let names = self.packages.iter().map(|(package, _)| *package);
            let names: Vec<_> = names.chain(self.linker.is_some().then_some("bpf-linker")).collect();
            bail!("missing: {}", names.join(", "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::needs::{Need, Probe};
    use super::{Missing, Plan};

    const ABSENT: Need =
        Need { package: "absent-package", probe: Probe::Program("absent-program"), reason: "a test" };
    const PRESENT: Need = Need { package: "dash", probe: Probe::Program("sh"), reason: "a shell" };

    #[test]
    fn plans_what_is_absent_and_only_that() {
        static NEEDS: [Need; 2] = [ABSENT, PRESENT];
        let plan = Plan::from(vec![], NEEDS.iter());
        assert_eq!(plan.packages, [("absent-package", "a test".to_owned())]);
        assert!(plan.check().is_err());
        assert!(Plan::from(vec![], NEEDS[1..].iter()).check().is_ok());
    }

    #[test]
    fn one_package_for_two_reasons_is_installed_once() {
        let mut plan = Plan::default();
        plan.add("gcc", "linking");
        plan.add("gcc", "compiling");
        assert_eq!(plan.packages, [("gcc", "linking; compiling".to_owned())]);
    }

    #[test]
    fn commands_for_a_bare_machine() {
        let plan = Plan::from(vec![Missing::Compiler, Missing::Linker], [].iter());
        let commands = plan.commands();
        assert!(commands[1].contains(" rustc-web libstd-rust-web-dev-bpf"), "{commands:?}");
        assert_eq!(
            commands[2],
            "LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker --version 0.13.0 --locked --no-default-features \
             --features llvm-22"
        );
    }

    #[test]
    fn a_linker_that_is_too_old_is_replaced() {
        let missing =
            Missing::LinkerTooOld { linker: "/bin/bpf-linker".into(), has: (21, 1), needs: (22, 1) };
        let plan = Plan::from(vec![missing], [].iter());
        assert!(plan.commands().last().is_some_and(|command| command.ends_with(" --force")));
    }
}
