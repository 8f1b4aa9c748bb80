//! Risky settings of this node: what, as it is set, turns an ordinary event into an outage. A small table of rules over
//! facts, each with why it matters and what to do.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use serde::Serialize;

use crate::{
    event::{Body, Event, Facts as Programs, Netns, Ruleset, Text, Timestamp},
    findings::{Finding, Rules, other_half},
    live::{Settings, Surroundings},
    state::State,
    words::settings,
};

/// A setting, or several together, and what may come of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Risk {
    /// A name for programs.
    pub(super) id: &'static str,
    /// What is set, with the facts that make it a risk.
    pub(super) setting: String,
    /// What may come of it; lines.
    pub(super) why: Cow<'static, str>,
    /// What to do; lines.
    pub(super) advice: Cow<'static, str>,
}

/// What the rules look at.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) settings: Settings,
    pub(super) surroundings: Surroundings,
    /// Entries of connection tracking, where it is there.
    pub(super) conntrack_entries: Option<u64>,
    /// The tables of iptables and nftables.
    pub(super) rulesets: Vec<Ruleset>,
    /// What is installed of iptables: names and values.
    pub(super) programs: Vec<(String, String)>,
}

impl Facts {
    fn number(&self, name: &str) -> Option<u64> {
        self.settings.get(name)?.parse().ok()
    }

    /// A setting of a device as the kernel takes it: the greater of its own and that of `all` (`IN_DEV_MAXCONF`).
    fn greater(&self, device: &str, setting: &str) -> u64 {
        let of = |device: &str| self.number(&format!("net.ipv4.conf.{device}.{setting}")).unwrap_or(0);
        of("all").max(of(&device.replace('.', "/")))
    }

    fn strict_arp(&self) -> String {
        let of_all = |setting: &str| {
            let value = self.settings.get(&format!("net.ipv4.conf.all.{setting}"));
            value.map_or_else(|| "not known".to_owned(), ToString::to_string)
        };
        settings::strict_arp(&of_all("arp_ignore"), &of_all("arp_announce"))
    }

    /// IPv4 addresses that live on no wire: on `lo` or a dummy device, as those of services and announced addresses do.
    fn addresses_off_the_wire(&self) -> Vec<String> {
        let addresses = self.surroundings.addresses.iter();
        addresses
            .filter(|(_, address)| matches!(address, IpAddr::V4(address) if !address.is_loopback()))
            .filter_map(|(index, address)| {
                let device = self.surroundings.devices.get(index)?;
                (device.name == "lo" || device.link_type == "dummy")
                    .then(|| format!("{address} on {}", device.name))
            })
            .collect()
    }

    /// Devices that work and speak ARP.
    fn devices_with_arp(&self) -> impl Iterator<Item = &str> {
        let devices = self.surroundings.devices.values();
        devices
            .filter(|device| device.is_up && device.speaks_arp && device.link_type != "dummy")
            .map(|device| device.name.as_str())
    }
}

/// Every rule's risk that holds.
pub(super) fn all(facts: &Facts) -> Vec<Risk> {
    const RULES: [fn(&Facts) -> Option<Risk>; 8] = [
        arp_ignore,
        arp_announce,
        reverse_path_filter,
        neighbours_nearly_full,
        conntrack_nearly_full,
        ipvs_reuse_mode,
        ipvs_expire_nodest,
        ipvs_keeps_nodest,
    ];
    let tables = tables(facts);
    let rulesets = both_back_ends(&tables).into_iter().chain(rulesets(&tables));
    RULES.iter().filter_map(|rule| rule(facts)).chain(rulesets).collect()
}

/// The tables there are now, looked at.
fn tables(facts: &Facts) -> Box<State> {
    let mut state = Box::new(State::default());
    let mut take = |body| {
        state.apply(&Event { time: Timestamp::default(), netns: Netns::default(), cpu: 0, body });
    };
    let text = |(name, value): &(String, String)| (Text::new(name), Text::new(value));
    take(Body::Facts(Arc::new(Programs(facts.programs.iter().map(text).collect()))));
    for table in &facts.rulesets {
        take(Body::Ruleset(table.clone()));
    }
    state.look();
    state
}

fn both_back_ends(state: &State) -> Option<Risk> {
    let mut in_use = state.rulesets.iter().filter(|(_, table)| table.entries > 0);
    let (key, other) = in_use.find_map(|(key, _)| Some((key, other_half(state, key)?)))?;
    Some(Risk {
        id: "iptables-back-ends",
        setting: settings::both_back_ends(&format!("{} has {}, {other}", key.backend.name(), key.table)),
        why: "a program that asks one back end does not find its rules in the other: it adds them again there, and packets \
              pass both"
            .into(),
        advice: settings::one_back_end().into(),
    })
}

/// What the rule about tables finds, in its own words.
fn rulesets(state: &State) -> Vec<Risk> {
    let risk = |finding: &Finding| Risk {
        id: finding.id,
        setting: format!("{}: {}", finding.who, finding.what),
        why: finding.evidence.join("\n").into(),
        advice: finding.advice.join("\n").into(),
    };
    state.findings.open().iter().map(risk).collect()
}

fn arp_ignore(facts: &Facts) -> Option<Risk> {
    let addresses = facts.addresses_off_the_wire();
    let device = facts.devices_with_arp().find(|device| facts.greater(device, "arp_ignore") == 0)?;
    let first = addresses.first()?;
    Some(Risk {
        id: "arp-ignore",
        setting: format!("arp_ignore is 0 on {device}, and there is {first}{}", and_more(addresses.len())),
        why: "this node answers ARP on the wire for addresses that are not there: others send it what is meant for \
              the true owner of such an address".into(),
        advice: facts.strict_arp().into(),
    })
}

fn arp_announce(facts: &Facts) -> Option<Risk> {
    let addresses = facts.addresses_off_the_wire();
    let device = facts.devices_with_arp().find(|device| facts.greater(device, "arp_announce") < 2)?;
    let first = addresses.first()?;
    Some(Risk {
        id: "arp-announce",
        setting: format!(
            "arp_announce is {} on {device}, and there is {first}{}",
            facts.greater(device, "arp_announce"),
            and_more(addresses.len())
        ),
        why: "ARP requests of this node may name such an address as their sender's, which others then believe to live \
              here".into(),
        advice: facts.strict_arp().into(),
    })
}

fn reverse_path_filter(facts: &Facts) -> Option<Risk> {
    const STRICT: u64 = 1;
    let surroundings = &facts.surroundings;
    let cause = if surroundings.own_rules > 0 {
        format!("{} policy rules", surroundings.own_rules)
    } else if surroundings.default_devices > 1 {
        format!("default routes by {} devices", surroundings.default_devices)
    } else {
        return None;
    };
    let device = facts
        .devices_with_arp()
        .find(|device| *device != "lo" && facts.greater(device, "rp_filter") == STRICT)?;
    Some(Risk {
        id: "rp-filter-strict",
        setting: format!("rp_filter is 1 on {device}, and there are {cause}"),
        why: "packets that come in by another device than answers to them would leave by are dropped without a word".into(),
        advice: "set net.ipv4.conf.all.rp_filter=2 (loose) where ways may be asymmetric".into(),
    })
}

fn neighbours_nearly_full(facts: &Facts) -> Option<Risk> {
    let limit = facts.number("net.ipv4.neigh.default.gc_thresh3")?;
    let entries = facts.surroundings.ipv4_neighbours;
    is_nearly_full(entries, limit).then(|| Risk {
        id: "neighbours-nearly-full",
        setting: format!(
            "{entries} IPv4 neighbours here alone, of {limit} (gc_thresh3) for all namespaces together"
        ),
        why: "when the table is full, new neighbours are not looked for and packets to them are dropped"
            .into(),
        advice: "raise net.ipv4.neigh.default.gc_thresh1, 2 and 3".into(),
    })
}

fn conntrack_nearly_full(facts: &Facts) -> Option<Risk> {
    let (entries, limit) = (facts.conntrack_entries?, facts.number("net.netfilter.nf_conntrack_max")?);
    is_nearly_full(entries, limit).then(|| Risk {
        id: "conntrack-nearly-full",
        setting: format!("nf_conntrack has {entries} entries of {limit}"),
        why: "when the table is full, packets of new connections are dropped".into(),
        advice: settings::more_connections(Some(limit)).into(),
    })
}

fn ipvs_reuse_mode(facts: &Facts) -> Option<Risk> {
    (facts.number("net.ipv4.vs.conn_reuse_mode")? == 0).then(|| Risk {
        id: "ipvs-reuse-mode",
        setting: "net.ipv4.vs.conn_reuse_mode is 0".to_owned(),
        why: "a client that uses a source port again goes to the real server it had before, though that one is being \
              drained (weight 0)".into(),
        advice: settings::reuse_mode().into(),
    })
}

fn ipvs_expire_nodest(facts: &Facts) -> Option<Risk> {
    let is_on = |name: &str| facts.number(name).is_some_and(|value| value != 0);
    (is_on("net.ipv4.vs.expire_nodest_conn") && is_on("net.ipv4.vs.conntrack")).then(|| Risk {
        id: "ipvs-expire-nodest",
        setting: "net.ipv4.vs.expire_nodest_conn and net.ipv4.vs.conntrack are both on".to_owned(),
        why: "a SYN that uses a source port again and meets an entry of a real server that is gone or drained is \
              dropped: the client waits a second and sends it again".into(),
        advice: settings::ipvs_without_conntrack(" (now 1)").into(),
    })
}

fn ipvs_keeps_nodest(facts: &Facts) -> Option<Risk> {
    (facts.number("net.ipv4.vs.expire_nodest_conn")? == 0).then(|| Risk {
        id: "ipvs-keeps-nodest",
        setting: "net.ipv4.vs.expire_nodest_conn is 0".to_owned(),
        why: "packets of connections to a real server that was removed are dropped without a word until their entries \
              run out, minutes later"
            .into(),
        advice: settings::expire_entries_of_removed().into(),
    })
}

/// Whether it is by the share from which on a table of conntrack is found to be.
fn is_nearly_full(entries: u64, limit: u64) -> bool {
    let permille = Rules::default().conntrack_table_full.nearly_full_permille;
    limit > 0 && entries.saturating_mul(1_000) >= limit.saturating_mul(permille)
}

fn and_more(count: usize) -> String {
    if count > 1 { format!(" and {} more", count - 1) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::{Facts, all};
    use crate::{
        event::{Ruleset, RulesetBackend, Text},
        live::Device,
        state::fixture::ruleset,
    };

    fn device(name: &str, link_type: &str) -> Device {
        Device {
            name: name.to_owned(),
            link_type: link_type.to_owned(),
            is_up: true,
            speaks_arp: link_type != "dummy",
        }
    }

    /// A node with a wire and nothing risky.
    fn calm() -> Facts {
        let mut facts = Facts::default();
        facts.surroundings.devices.insert(1, device("lo", ""));
        facts.surroundings.devices.insert(2, device("eth0", ""));
        facts.surroundings.devices.insert(3, device("kube-ipvs0", "dummy"));
        facts.surroundings.addresses.push((1, "127.0.0.1".parse().unwrap()));
        facts.surroundings.addresses.push((2, "10.0.0.1".parse().unwrap()));
        facts
    }

    fn ids(facts: &Facts) -> Vec<&'static str> {
        all(facts).iter().map(|risk| risk.id).collect()
    }

    fn with(settings: &[(&str, &str)]) -> Facts {
        let mut facts = calm();
        for (name, value) in settings {
            facts.settings.insert((*name).to_owned(), (*value).to_owned());
        }
        facts
    }

    #[test]
    fn a_calm_node_has_none() {
        assert_eq!(ids(&calm()), [""; 0]);
        let usual = [
            ("net.ipv4.conf.all.rp_filter", "1"),
            ("net.ipv4.vs.conn_reuse_mode", "1"),
            ("net.ipv4.vs.conntrack", "0"),
            ("net.ipv4.vs.expire_nodest_conn", "1"),
            ("net.netfilter.nf_conntrack_max", "1000"),
        ];
        assert_eq!(ids(&Facts { conntrack_entries: Some(899), ..with(&usual) }), [""; 0]);
    }

    #[test]
    fn an_address_off_the_wire_is_one_only_while_others_may_hear_of_it() {
        let mut facts = calm();
        facts.surroundings.addresses.push((3, "10.96.0.10".parse().unwrap()));
        assert_eq!(ids(&facts), ["arp-ignore", "arp-announce"]);
        facts.settings.insert("net.ipv4.conf.all.arp_ignore".to_owned(), "1".to_owned());
        assert_eq!(ids(&facts), ["arp-announce"]);
        // lo answers nobody, and the device's own setting counts as much as that of all.
        facts.surroundings.devices.remove(&1);
        facts.settings.insert("net.ipv4.conf.eth0.arp_announce".to_owned(), "2".to_owned());
        assert_eq!(ids(&facts), [""; 0]);
    }

    #[test]
    fn strict_filtering_is_one_only_where_ways_may_be_asymmetric() {
        let mut facts = with(&[("net.ipv4.conf.eth0.rp_filter", "1")]);
        facts.surroundings.own_rules = 1;
        assert_eq!(ids(&facts), ["rp-filter-strict"]);
        facts.settings.insert("net.ipv4.conf.all.rp_filter".to_owned(), "2".to_owned());
        assert_eq!(ids(&facts), [""; 0]);
    }

    #[test]
    fn each_other_rule_holds_by_its_settings() {
        let full =
            Facts { conntrack_entries: Some(900), ..with(&[("net.netfilter.nf_conntrack_max", "1000")]) };
        assert_eq!(ids(&full), ["conntrack-nearly-full"]);
        let mut crowded = with(&[("net.ipv4.neigh.default.gc_thresh3", "100")]);
        crowded.surroundings.ipv4_neighbours = 90;
        assert_eq!(ids(&crowded), ["neighbours-nearly-full"]);
        assert_eq!(ids(&with(&[("net.ipv4.vs.conn_reuse_mode", "0")])), ["ipvs-reuse-mode"]);
        let both = [("net.ipv4.vs.expire_nodest_conn", "1"), ("net.ipv4.vs.conntrack", "1")];
        assert_eq!(ids(&with(&both)), ["ipvs-expire-nodest"]);
        assert_eq!(ids(&with(&[("net.ipv4.vs.expire_nodest_conn", "0")])), ["ipvs-keeps-nodest"]);
    }

    #[test]
    fn tables_are_judged_by_the_rule_about_them() {
        let healthy = Ruleset { entries: 20_000, examined: 20_000, ..ruleset("nat") };
        let leak = Ruleset { entries: 1_000, examined: 1_000, duplicates: 800, ..ruleset("filter") };
        let programs = vec![("iptables /usr/sbin/iptables".to_owned(), "1.8.9 (legacy)".to_owned())];
        let facts = Facts { rulesets: vec![healthy.clone()], programs, ..calm() };
        assert_eq!(ids(&facts), [""; 0]);
        let risks = all(&Facts { rulesets: vec![healthy, leak], ..facts });
        assert_eq!(risks.len(), 1, "{risks:?}");
        assert_eq!(risks[0].id, "ruleset-bloat");
        assert!(risks[0].setting.starts_with("legacy ip filter: "), "{risks:?}");
        assert!(risks[0].why.contains("/usr/sbin/iptables 1.8.9 (legacy)"), "{risks:?}");
        assert!(risks[0].advice.contains("iptables-legacy-restore -T filter"), "{risks:?}");
    }

    #[test]
    fn rules_in_both_halves_are_one() {
        let legacy = Ruleset { entries: 3, ..ruleset("nat") };
        let nft = Ruleset { backend: RulesetBackend::Nft, entries: 5, ..ruleset("filter") };
        let empty = Ruleset { entries: 0, ..nft.clone() };
        let own = Ruleset { table: Text::new("firewall"), ..nft.clone() };
        for (tables, expected) in [
            (vec![legacy.clone(), nft], vec!["iptables-back-ends"]),
            // Tables of other tools, and those that somebody only asked for, are none.
            (vec![legacy.clone(), empty], vec![]),
            (vec![legacy, own], vec![]),
        ] {
            assert_eq!(ids(&Facts { rulesets: tables, ..calm() }), expected);
        }
    }

    #[test]
    fn advice_is_that_of_the_findings() {
        let of = |settings: &[(&str, &str)]| all(&with(settings)).remove(0).advice.into_owned();
        let mode = of(&[("net.ipv4.vs.conn_reuse_mode", "0")]);
        assert!(mode.starts_with("`sysctl -w net.ipv4.vs.conn_reuse_mode=1` (now 0): "), "{mode}");
        let mut facts =
            with(&[("net.ipv4.conf.all.arp_ignore", "0"), ("net.ipv4.conf.all.arp_announce", "1")]);
        facts.surroundings.addresses.push((3, "10.96.0.10".parse().unwrap()));
        let strict = all(&facts).remove(0).advice;
        assert!(strict.contains("arp_ignore=1 net.ipv4.conf.all.arp_announce=2` (now 0 and 1)"), "{strict}");
    }
}
