//! The same administration for every kind of service.

use anyhow::{Result, ensure};

use crate::namespace::Namespace;

/// A kind of service, as `ipvsadm` names it and as tracer does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    /// Arguments of `ipvsadm` that name the service.
    pub(super) arguments: &'static str,
    /// The service in events.
    pub(super) service: &'static str,
    /// A real server.
    pub(super) real: &'static str,
}

pub(super) const DIALECTS: [Dialect; 4] = [
    Dialect { arguments: "--tcp-service 10.9.9.9:80", service: "10.9.9.9:80", real: "10.9.8.1:80" },
    Dialect { arguments: "--udp-service [fd09::9]:53", service: "[fd09::9]:53", real: "[fd09:8::1]:53" },
    Dialect { arguments: "--fwmark-service 7", service: "fwmark 7", real: "10.9.8.1:8080" },
    Dialect { arguments: "--fwmark-service 7 --ipv6", service: "fwmark 7 IPv6", real: "[fd09:8::1]:8080" },
];

/// Whether `ipvsadm` is to succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Refused,
}

/// One command, and the changes it makes.
#[derive(Clone, Debug)]
pub(super) struct Step {
    command: String,
    outcome: Outcome,
    /// As [`text`](super::text) tells them, a service that goes before its servers.
    pub(super) told: Vec<String>,
}

impl Step {
    /// Runs the command in a namespace.
    pub(super) fn play(&self, namespace: &Namespace) -> Result<()> {
        match (namespace.run("ipvsadm", &self.command), self.outcome) {
            (Err(error), Outcome::Done) => Err(error),
            (answer, outcome) => {
                ensure!(answer.is_err() == (outcome == Outcome::Refused), "{} is {outcome:?}", self.command);
                Ok(())
            }
        }
    }
}

impl Dialect {
    /// A service's and a server's life: what succeeds, what fails, and what changes nothing. The server comes back
    /// while the kernel still keeps the one that was removed, which had another weight.
    pub(super) fn steps(&self) -> Vec<Step> {
        use Outcome::{Done, Refused};
        let service = |command: &str, options: &str| format!("{command} {} {options}", self.arguments);
        let server = |command: &str, options: &str| {
            service(command, &format!("--real-server {} {options}", self.real))
        };
        let of_service = |change: &str| format!("{change} {} - - -", self.service);
        let of_server =
            |change: &str, weights: &str| format!("{change} {} {} {weights}", self.service, self.real);
        let nothing = Vec::new;
        [
            (service("--add-service", "--scheduler rr"), Done, vec![of_service("added")]),
            (service("--add-service", "--scheduler rr"), Refused, nothing()),
            (server("--edit-server", "--masquerading --weight 1"), Refused, nothing()),
            (server("--add-server", "--masquerading --weight 1"), Done, vec![of_server("added", "- 1")]),
            (server("--add-server", "--masquerading --weight 2"), Refused, nothing()),
            (server("--edit-server", "--masquerading --weight 0"), Done, vec![of_server("weight", "1 0")]),
            (server("--edit-server", "--masquerading --weight 0"), Done, nothing()),
            // Another limit, the same weight.
            (server("--edit-server", "--masquerading --weight 0 --u-threshold 9"), Done, nothing()),
            (
                server("--edit-server", "--masquerading --weight 65535"),
                Done,
                vec![of_server("weight", "0 65535")],
            ),
            (service("--edit-service", "--scheduler rr --persistent 60"), Done, nothing()),
            (server("--delete-server", ""), Done, vec![of_server("removed", "65535 -")]),
            (server("--delete-server", ""), Refused, nothing()),
            (server("--add-server", "--masquerading --weight 3"), Done, vec![of_server("added", "- 3")]),
            (service("--delete-service", ""), Done, vec![of_service("removed"), of_server("removed", "3 -")]),
        ]
        .into_iter()
        .map(|(command, outcome, told)| Step { command, outcome, told })
        .collect()
    }
}
