//! What was configured before tracer started.

use std::{collections::BTreeSet, fmt::Write as _, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::told;
use crate::{case::Setting, command, expect::Events, namespace::Namespace};

/// More than fit into one netlink message.
const SERVERS: u32 = 400;

/// Every kind of service, one of them with hundreds of servers. The weights differ from namespace to namespace.
fn configure(namespace: &Namespace, weight: u32) -> Result<()> {
    let mut script = format!(
        "-A -t 10.9.9.9:80 -s rr\n-a -t 10.9.9.9:80 -r 10.9.8.1:8080 -m -w {weight}\n\
         -a -t 10.9.9.9:80 -r 10.9.8.2:80 -g -w 0\n-a -t 10.9.9.9:80 -r 10.9.8.3:80 -i -w 1\n\
         -A -u 10.9.9.9:80 -s rr\n-A -t [fd09::9]:443 -s rr -p 600\n\
         -a -t [fd09::9]:443 -r [fd09:8::1]:8443 -m -w {weight}\n\
         -A -f 7 -s rr\n-a -f 7 -r 10.9.8.1 -g -w {weight}\n\
         -A -f 7 -6 -s rr\n-a -f 7 -6 -r [fd09:8::1]:443 -m -w {weight}\n\
         -A -t 10.9.9.10:80 -s rr\n"
    );
    for number in 0..SERVERS {
        let (third, fourth) = (number / 250, 1 + number % 250);
        writeln!(script, "-a -t 10.9.9.10:80 -r 10.20.{third}.{fourth}:80 -m -w {number}")?;
    }
    namespace.enter(|| command::output_with_input(Command::new("ipvsadm").arg("--restore"), &script))?;
    Ok(())
}

/// `ipvsadm --save` of each namespace against the events before and after `ready`.
pub(super) fn listed(setting: &Setting) -> Result<()> {
    let namespaces = [Namespace::new("one")?, Namespace::new("other")?];
    for (namespace, weight) in namespaces.iter().zip([3, 5]) {
        configure(namespace, weight)?;
    }
    let tracer = setting.trace(&["--only", "ipvs"])?;
    let saved: Vec<BTreeSet<String>> = namespaces.iter().map(saved).collect::<Result<_>>()?;
    tracer.wait_for("what is configured", |events| {
        namespaces.iter().zip(&saved).all(|(namespace, saved)| lines(events, namespace).len() >= saved.len())
    })?;
    let events = tracer.stop()?.events;
    for (namespace, saved) in namespaces.iter().zip(&saved) {
        let listed = lines(&events, namespace);
        let count = listed.len();
        let listed = BTreeSet::from_iter(listed);
        ensure!(
            &listed == saved,
            "only ipvsadm: {:?}, only tracer: {:?}",
            saved.difference(&listed).take(3).collect::<Vec<_>>(),
            listed.difference(saved).take(3).collect::<Vec<_>>()
        );
        ensure!(count == saved.len(), "{count} are told, {} are configured", saved.len());
        ensure!(told(&events, namespace).is_empty(), "nothing was changed: {:?}", told(&events, namespace));
    }
    Ok(())
}

/// What `ipvsadm --save` says, a line each, in the words of [`lines`].
fn saved(namespace: &Namespace) -> Result<BTreeSet<String>> {
    namespace.run("ipvsadm", "--save --numeric")?.lines().map(saved_line).collect()
}

fn saved_line(line: &str) -> Result<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |option: &str| {
        words.iter().position(|&word| word == option).and_then(|place| words.get(place + 1)).copied()
    };
    let has = |option: &str| words.contains(&option);
    let service = match (after("-t"), after("-u"), after("-f")) {
        (Some(address), ..) => format!("tcp {address}"),
        (_, Some(address), _) => format!("udp {address}"),
        (.., Some(mark)) if has("-6") => format!("- fwmark {mark} IPv6"),
        (.., Some(mark)) => format!("- fwmark {mark}"),
        _ => anyhow::bail!("no service in {line:?}"),
    };
    let Some(real) = after("-r") else {
        let scheduler = after("-s").with_context(|| format!("no scheduler in {line:?}"))?;
        return Ok(format!("{service} {scheduler} {}", after("-p").unwrap_or("-")));
    };
    let forwarding = ["-m", "-g", "-i"].into_iter().find(|option| has(option)).unwrap_or("?");
    let weight = after("-w").with_context(|| format!("no weight in {line:?}"))?;
    Ok(format!("{service} {real} {forwarding} {weight}"))
}

/// The services and real servers told of a namespace.
fn lines(events: &Events, namespace: &Namespace) -> Vec<String> {
    let field = |event: &Value, name: &str| match &event[name] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let service = |event: &Value| format!("{} {}", field(event, "protocol"), field(event, "service"));
    let of_services = events.of("ipvs-service", namespace);
    let of_servers = events.of("ipvs-destination", namespace);
    let services = of_services.events().iter().map(|event| {
        format!("{} {} {}", service(event), field(event, "scheduler"), field(event, "persistence_s"))
    });
    let servers = of_servers.events().iter().map(|event| {
        let forwarding = match event["forward"].as_str() {
            Some("nat") => "-m",
            Some("direct") => "-g",
            Some("tunnel") => "-i",
            _ => "?",
        };
        let (real, weight) = (field(event, "real"), field(event, "weight"));
        format!("{} {real} {forwarding} {weight}", service(event))
    });
    services.chain(servers).collect()
}

#[cfg(test)]
mod tests {
    use super::saved_line;

    #[test]
    fn lines_of_ipvsadm_are_read() {
        for (line, expected) in [
            ("-A -t 10.9.9.9:80 -s rr", "tcp 10.9.9.9:80 rr -"),
            ("-A -u [fd09::9]:53 -s wrr -p 600", "udp [fd09::9]:53 wrr 600"),
            ("-a -f 7 -6 -r [fd09:8::1]:0 -g -w 5", "- fwmark 7 IPv6 [fd09:8::1]:0 -g 5"),
            ("-a -t 10.9.9.9:80 -r 10.9.8.3:80 -i -w 1 --tun-type ipip", "tcp 10.9.9.9:80 10.9.8.3:80 -i 1"),
        ] {
            assert_eq!(saved_line(line).unwrap(), expected, "{line}");
        }
        assert!(saved_line("-w 1").is_err());
    }
}
