//! What conntrack makes of flows that retransmit: looked up in the flow's own network namespace, and in the node's, where
//! the flows of its pods are translated.
//!
//! Asking over netlink would load ctnetlink, so it is asked only where that is there already. A socket is open no longer
//! than a question takes.

mod account;
mod lookup;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;
use tracer_common::record::{Flow, RetransmitRecord, TranslationRecord};

use self::{account::Account, lookup::Found};
use super::{
    path::Unasked,
    watch::{Question, Records, Watch},
};
use crate::{
    kernel::{Paths, modules::Part},
    namespaces::{Door, EnterError, Namespace},
    netlink::Refusal,
};

/// A translation that stays the same is told again after this, for whoever looks at a part of a session.
const TOLD_AGAIN: Duration = Duration::from_mins(1);

/// Translations remembered as told.
const REMEMBERED: usize = 32_768;

/// Looks up translations.
pub(super) struct TranslationWatch {
    ctnetlink: Part,
    /// The network namespace of the node's first process.
    node: Option<u32>,
    namespaces: BTreeMap<u32, Namespace>,
    account: Account,
    /// By the namespace of the entry and its original tuple.
    told: FxHashMap<(u32, Flow), (Found, Instant)>,
}

impl TranslationWatch {
    pub(super) fn new(paths: &Paths, unasked: Unasked) -> Self {
        let node = fs::metadata(paths.proc.join("1/ns/net")).ok();
        Self {
            ctnetlink: Part::new(paths.clone(), "nf_conntrack_netlink", "ctnetlink_get_conntrack"),
            node: node.and_then(|metadata| u32::try_from(metadata.ino()).ok()),
            namespaces: BTreeMap::new(),
            account: Account::new(unasked),
            told: FxHashMap::default(),
        }
    }

    /// Looks a flow up where it is, and then on the node as it leaves its own namespace.
    fn look_up(
        &mut self,
        retransmit: &RetransmitRecord,
        door: &Door,
        records: &mut Records,
    ) -> Result<(), EnterError> {
        let flow_netns = retransmit.header.netns;
        if !self.account.may_ask() {
            return Ok(());
        }
        let mut flow = retransmit.flow;
        let mut failed = false;
        for inode in [Some(flow_netns), self.node.filter(|&node| node != flow_netns)].into_iter().flatten() {
            let Some(namespace) = self.namespaces.get(&inode) else { continue };
            match door.within(namespace, || lookup::look_up(&flow)) {
                Ok(Ok(Some(found))) => {
                    flow = found.beyond();
                    self.tell(inode, flow_netns, &found, records);
                }
                Ok(Ok(None)) => {}
                Ok(Err(error)) => {
                    failed = true;
                    log_refusal(inode, &error);
                }
                Err(error @ EnterError::Stranded { .. }) => return Err(error),
                Err(error) => {
                    failed = true;
                    log::debug!("{error}");
                }
            }
        }
        if failed {
            self.account.lose();
        }
        Ok(())
    }

    /// Puts an entry into the stream, if it is translated and news.
    fn tell(&mut self, inode: u32, flow_netns: u32, found: &Found, records: &mut Records) {
        if !found.is_translated() || !self.is_news(inode, found, Instant::now()) {
            return;
        }
        self.account.deliver();
        let &Found { original, reply, status, mark, expires_seconds, zone, tcp_state, is_of_replies } = found;
        let record = TranslationRecord {
            original,
            reply,
            status,
            mark,
            expires_seconds,
            flow_netns,
            zone,
            tcp_state,
            is_of_replies: u8::from(is_of_replies),
            ..TranslationRecord::default()
        };
        records.append(inode, &record, &[]);
    }

    fn is_news(&mut self, inode: u32, found: &Found, now: Instant) -> bool {
        let key = (inode, found.original);
        // Only its time to live differs each time it is looked at.
        let is_known = self.told.get(&key).is_some_and(|(known, told)| {
            let same = Found { expires_seconds: known.expires_seconds, ..*found };
            same == *known && now.duration_since(*told) < TOLD_AGAIN
        });
        if is_known {
            return false;
        }
        if self.told.len() >= REMEMBERED && !self.told.contains_key(&key) {
            // What was told a while ago is told again; this is rare enough to go through all.
            self.told.retain(|_, (_, told)| now.duration_since(*told) < TOLD_AGAIN);
            if self.told.len() >= REMEMBERED {
                self.told.clear();
            }
        }
        self.told.insert(key, (*found, now));
        true
    }
}

fn log_refusal(inode: u32, error: &Refusal) {
    log::debug!("cannot look up a translation in network namespace {inode}: {error}");
}

impl Watch for TranslationWatch {
    fn appeared(&mut self, namespace: &Namespace, _records: &mut Records) {
        self.namespaces.insert(namespace.inode, namespace.clone());
    }

    fn sample(&mut self, namespace: &Namespace, _records: &mut Records) {
        // Whoever led to it may have ended while another is in it still.
        if let Some(known) = self.namespaces.get_mut(&namespace.inode) {
            known.clone_from(namespace);
        }
    }

    fn vanished(&mut self, inode: u32, _records: &mut Records) {
        self.namespaces.remove(&inode);
        self.told.retain(|(of, _), _| *of != inode);
    }

    fn asked(&mut self, question: &Question, door: &Door, records: &mut Records) -> Result<(), EnterError> {
        let Question::Retransmit(retransmit) = question;
        if self.ctnetlink.is_there() { self.look_up(retransmit, door, records) } else { Ok(()) }
    }

    fn went_round(&mut self, _door: &Door, records: &mut Records) -> Result<(), EnterError> {
        self.account.append(self.ctnetlink.is_there(), records);
        Ok(())
    }

    fn finish(&mut self, records: &mut Records) {
        self.account.append(self.ctnetlink.is_there(), records);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tracer_common::record::Flow;

    use super::{REMEMBERED, TOLD_AGAIN, TranslationWatch, lookup::Found};
    use crate::{kernel::Paths, live::path::Unasked};

    fn of_port(port: u16) -> Found {
        let original = Flow { source_port: port, destination_port: 80, ..Flow::default() };
        Found { original, ..Found::default() }
    }

    #[test]
    fn a_translation_is_news_once_and_when_it_changed_or_long_after() {
        let mut watch = TranslationWatch::new(&Paths::default(), Unasked::default());
        let (began, second) = (Instant::now(), Duration::from_secs(1));
        let first = of_port(1);
        let aged = Found { expires_seconds: 5, ..first };
        let changed = Found { tcp_state: 3, ..first };
        assert!(watch.is_news(7, &first, began));
        assert!(!watch.is_news(7, &aged, began + second));
        assert!(watch.is_news(8, &aged, began + second), "in another namespace");
        assert!(watch.is_news(7, &changed, began + second));
        assert!(!watch.is_news(7, &changed, began + second));
        assert!(watch.is_news(7, &changed, began + second + TOLD_AGAIN));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut watch = TranslationWatch::new(&Paths::default(), Unasked::default());
        let began = Instant::now();
        for port in 0..=u16::try_from(REMEMBERED).unwrap() {
            assert!(watch.is_news(7, &of_port(port), began), "{port}");
        }
        assert!(watch.told.len() <= REMEMBERED);
    }
}
