//! Cases of the other files, played again with the way avoided that would be taken first: programs for older kernels run
//! on every kernel that has their way.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tracer_common::hook::Way;

use super::{Case, Setting};
use crate::{expect::Events, need::Need};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "raw-retransmit-syn",
        proves: "repeated SYNs and their process are told by raw tracepoints",
        needs: &[],
        run: |setting| raw(setting, &["sock:inet_sock_set_state", "tcp:tcp_retransmit_skb"]),
    },
    Case {
        name: "raw-retransmit-syn-ack",
        proves: "repeated SYN-ACKs are told by a raw tracepoint",
        needs: &[Need::Nftables],
        run: |setting| raw(setting, &["tcp:tcp_retransmit_skb", "tcp:tcp_retransmit_synack"]),
    },
    Case {
        name: "raw-retransmit-loss",
        proves: "under random loss every segment is told once by a raw tracepoint",
        needs: &[Need::Nftables],
        run: |setting| raw(setting, &["tcp:tcp_retransmit_skb"]),
    },
    Case {
        name: "raw-neighbour-second-answer",
        proves: "both answers for one address are told by a raw tracepoint, the second as ignored",
        needs: &[],
        run: |setting| raw(setting, &["neigh:neigh_update"]),
    },
    Case {
        name: "raw-neighbour-failed",
        proves: "an address nobody answers for is told as failed by a raw tracepoint",
        needs: &[],
        run: |setting| raw(setting, &["neigh:neigh_timer_handler"]),
    },
    Case {
        name: "raw-icmp-sent",
        proves: "ICMP errors sent are told by a raw tracepoint",
        needs: &[Need::IcmpTracepoint],
        run: |setting| raw(setting, &["icmp:icmp_send"]),
    },
    Case {
        name: "raw-loop-unanswered",
        proves: "packets that go round are told by a raw tracepoint",
        needs: &[Need::Nftables],
        run: |setting| raw(setting, &["net:netif_receive_skb"]),
    },
    Case {
        name: "kprobe-icmp-sent",
        proves: "ICMP errors sent are told where functions can be hooked by kprobes only",
        needs: &[Need::FunctionHooks],
        run: |setting| kprobe(setting, &["icmpv6_push_pending_frames"]),
    },
    Case {
        name: "kprobe-icmp-sent-v6",
        proves: "ICMPv6 errors sent are told by a kprobe",
        needs: &[Need::FunctionHooks],
        run: |setting| kprobe(setting, &["icmpv6_push_pending_frames"]),
    },
    Case {
        name: "kprobe-icmp-received",
        proves: "ICMP and ICMPv6 errors received are told by kprobes",
        needs: &[Need::FunctionHooks],
        run: |setting| kprobe(setting, &["icmp_unreach", "icmpv6_notify"]),
    },
    Case {
        name: "kprobe-retransmit-failed",
        proves: "forbidden attempts are told by kprobes, where the tracepoint is silent about them",
        needs: &[Need::FunctionHooks, Need::Nftables, Need::SilentFailures],
        run: |setting| kprobe(setting, &["tcp_retransmit_skb"]),
    },
    Case {
        name: "kprobe-claim-arp",
        proves: "an ARP question and its answer are told by kprobes",
        needs: &[Need::FunctionHooks],
        run: |setting| kprobe(setting, &["arp_process", "arp_xmit"]),
    },
    Case {
        name: "kprobe-claim-advertisement",
        proves: "an IPv6 neighbour advertisement is told by kprobes",
        needs: &[Need::FunctionHooks],
        run: |setting| kprobe(setting, &["ndisc_recv_na", "ndisc_send_skb"]),
    },
    Case {
        name: "kprobe-conntrack-reopened",
        proves: "a source port reused in TIME_WAIT is told as reopened by kprobes",
        needs: &[Need::FunctionHooks, Need::Nftables, Need::Conntrack],
        run: |setting| kprobe(setting, &["nf_conntrack_tcp_packet"]),
    },
    Case {
        name: "kprobe-conntrack-reopened-dropped",
        proves: "a reopening whose SYN is dropped is told by kprobes",
        needs: &[Need::FunctionHooks, Need::Nftables, Need::Conntrack],
        run: |setting| kprobe(setting, &["nf_conntrack_tcp_packet", "__nf_conntrack_confirm"]),
    },
    Case {
        name: "kprobe-conntrack-reused-established",
        proves: "a new connection on an established entry is told by kprobes",
        needs: &[Need::FunctionHooks, Need::Nftables, Need::Conntrack],
        run: |setting| kprobe(setting, &["nf_conntrack_tcp_packet"]),
    },
    Case {
        name: "kprobe-conntrack-clash-resolved",
        proves: "two datagrams of one new flow that race are told by kprobes",
        needs: &[Need::FunctionHooks, Need::Nftables, Need::Conntrack, Need::Queue],
        run: |setting| kprobe(setting, &["nf_ct_resolve_clash"]),
    },
    Case {
        name: "kprobe-conntrack-insert-failed",
        proves: "the loser of two flows translated to one is told by kprobes",
        needs: &[Need::FunctionHooks, Need::Nftables, Need::Conntrack, Need::Queue],
        run: |setting| kprobe(setting, &["__nf_conntrack_confirm"]),
    },
    Case {
        name: "kprobe-conntrack-table-full",
        proves: "every packet dropped because the table is full is told by kprobes",
        needs: &[Need::FunctionHooks, Need::Nftables, Need::Conntrack],
        run: |setting| kprobe(setting, &["__nf_conntrack_alloc"]),
    },
    Case {
        name: "kprobe-ipvs-scheduled",
        proves: "every new connection is told as scheduled by kprobes",
        needs: IPVS_NEEDS,
        run: |setting| kprobe(setting, IPVS),
    },
    Case {
        name: "kprobe-ipvs-reused-drained",
        proves: "reused source ports that reach a drained server are told by kprobes",
        needs: IPVS_NEEDS,
        run: |setting| kprobe(setting, IPVS),
    },
    Case {
        name: "kprobe-ipvs-rescheduled",
        proves: "rescheduled connections are told by kprobes",
        needs: IPVS_NEEDS,
        run: |setting| kprobe(setting, IPVS),
    },
    Case {
        name: "kprobe-ipvs-dropped",
        proves: "SYNs towards a removed server are told by kprobes",
        needs: IPVS_NEEDS,
        run: |setting| kprobe(setting, IPVS),
    },
    Case {
        name: "kprobe-ipvs-udp",
        proves: "decisions about datagrams are told by kprobes",
        needs: IPVS_NEEDS,
        run: |setting| kprobe(setting, IPVS),
    },
    Case {
        name: "kprobe-ipvs-nested",
        proves: "a packet that passes IPVS in two namespaces at once is told once in each by kprobes",
        needs: IPVS_NEEDS,
        run: |setting| kprobe(setting, IPVS),
    },
    Case {
        name: "kprobe-ipvs-refused",
        proves: "a SYN for a service without servers is told as refused by kprobes",
        needs: IPVS_NEEDS,
        run: |setting| kprobe(setting, IPVS),
    },
    Case {
        name: "kprobe-ipvs-change",
        proves: "changes of services, real servers and weights are told by kprobes",
        needs: &[Need::FunctionHooks, Need::Ipvs],
        run: |setting| kprobe(setting, &["__ip_vs_update_dest", "__ip_vs_del_dest", "ip_vs_add_service"]),
    },
    Case {
        name: "kprobe-ipvs-change-many",
        proves: "of hundreds of changes in one go kprobes miss none",
        needs: &[Need::FunctionHooks, Need::Ipvs],
        run: |setting| kprobe(setting, &["__ip_vs_update_dest", "__ip_vs_del_dest", "ip_vs_add_service"]),
    },
];

const IPVS_NEEDS: &[Need] = &[Need::FunctionHooks, Need::Nftables, Need::Ipvs];

/// Each decision takes all of them, but an expiry, which only a rescheduling needs.
const IPVS: &[&str] =
    &["ip_vs_conn_in_get_proto", "ip_vs_conn_expire_now", "ip_vs_schedule", "ip_vs_in_hook"];

/// A way of attaching that is avoided, and what has to take its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fallback {
    /// The way no hook may be attached by.
    pub(super) avoided: Way,
    /// The way the hooks have to be attached by.
    expected: Way,
    /// The hooks the case is about, by name.
    hooks: &'static [&'static str],
}

impl Fallback {
    /// Fails unless the `ready` line says that the hooks are attached by the expected way, and none by the avoided one.
    pub(super) fn is_taken(&self, events: &Events) -> Result<()> {
        let ready =
            events.all().iter().find(|event| event["type"] == "ready").context("there is no ready line")?;
        let told = ready["hooks"].as_array().context("the ready line has no hooks")?;
        for &name in self.hooks {
            let hook = told
                .iter()
                .find(|hook| hook["hook"] == name)
                .with_context(|| format!("the ready line does not tell of {name}: {ready}"))?;
            ensure!(
                (hook["state"] == "attached" || hook["state"] == "standby")
                    && hook["way"] == self.expected.name(),
                "not attached by {}: {hook}",
                self.expected.name()
            );
        }
        if let Some(hook) = told.iter().find(|hook: &&Value| hook["way"] == self.avoided.name()) {
            bail!("attached by {}, which is to be avoided: {hook}", self.avoided.name());
        }
        Ok(())
    }
}

/// Typed tracepoints avoided, in favour of raw ones.
fn raw(setting: &Setting, hooks: &'static [&'static str]) -> Result<()> {
    replay(setting, Fallback { avoided: Way::TypedTracepoint, expected: Way::RawTracepoint, hooks })
}

/// Trampolines avoided, in favour of breakpoints.
fn kprobe(setting: &Setting, hooks: &'static [&'static str]) -> Result<()> {
    replay(setting, Fallback { avoided: Way::Trampoline, expected: Way::Kprobe, hooks })
}

fn replay(setting: &Setting, fallback: Fallback) -> Result<()> {
    let original =
        original(setting.case).with_context(|| format!("{} is named like no other case", setting.case))?;
    (original.run)(&Setting { fallback: Some(fallback), ..setting.clone() })
}

/// The case that one of these plays again: its name less the first word.
fn original(name: &str) -> Option<&'static Case> {
    let (_, name) = name.split_once('-')?;
    super::all().find(|case| case.name == name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tracer_common::hook::Way;

    use super::{CASES, Fallback, original};
    use crate::expect::Events;

    #[test]
    fn each_plays_another_case_again_and_needs_at_least_as_much() {
        for case in CASES {
            let original = original(case.name).unwrap();
            assert!(CASES.iter().all(|other| other.name != original.name), "{}", case.name);
            assert!(original.needs.iter().all(|need| case.needs.contains(need)), "{}", case.name);
        }
    }

    #[test]
    fn the_ready_line_has_to_show_the_expected_way() {
        const FALLBACK: Fallback =
            Fallback { avoided: Way::Trampoline, expected: Way::Kprobe, hooks: &["arp_process"] };
        let attached = |name: &str, way: &str| json!({"hook": name, "state": "attached", "way": way});
        for (name, lines, good) in [
            ("as expected", vec![ready(&[attached("arp_process", "kprobe")])], true),
            (
                "others may be attached by other ways",
                vec![ready(&[attached("arp_process", "kprobe"), attached("neigh:neigh_update", "tp_btf")])],
                true,
            ),
            ("by the avoided way", vec![ready(&[attached("arp_process", "fentry")])], false),
            (
                "another by the avoided way",
                vec![ready(&[attached("arp_process", "kprobe"), attached("arp_xmit", "fentry")])],
                false,
            ),
            ("missing", vec![ready(&[json!({"hook": "arp_process", "state": "missing"})])], false),
            ("not told of", vec![ready(&[attached("arp_xmit", "kprobe")])], false),
            ("no ready line", Vec::new(), false),
        ] {
            assert_eq!(FALLBACK.is_taken(&Events::new(lines)).is_ok(), good, "{name}");
        }
    }

    fn ready(hooks: &[Value]) -> Value {
        json!({"type": "ready", "hooks": hooks})
    }
}
