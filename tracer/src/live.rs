//! The running node as a source of blocks.
//!
//! One thread attaches the hooks, empties the ring on a timer (the kernel side never wakes it: a wake-up costs more
//! than the record), adds what only user space can tell, and hands whole blocks on. While its consumer is slow it
//! waits, the ring fills, and the kernel side counts what is lost.

mod account;
mod clock;
mod conntrack;
mod containers;
mod encode;
mod ipvs;
mod namespaces;
mod owners;
mod path;
mod rulesets;
mod suspicion;
mod translations;
mod watch;
mod watches;

use std::{
    sync::mpsc as std_mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::BytesMut;
use tokio::sync::mpsc;
use tracer_common::{
    offsets::Offsets,
    record::{ReadyRecord, RecordHeader},
};

pub(crate) use self::encode::{Stamp, marker};
#[cfg(test)]
pub(crate) use self::path::Device;
pub(crate) use self::path::{Settings, Surroundings, read_settings};
pub(crate) use self::rulesets::count_here;
use self::{
    clock::ClockWatch,
    containers::Containers,
    encode::{append_facts, append_hook_status, append_node, append_record, append_stats},
    ipvs::ToldByHooks,
    owners::Owners,
    path::{Asked, Unasked},
    suspicion::Suspicion,
    watches::Watchers,
};
use crate::{
    block::Block,
    kernel::{
        Paths,
        facts::{Facts, wall_minus_boot_ns},
        machine,
    },
    probe::{Options, Probes},
};

/// The largest block, by the session format's limit of 1 MiB a frame.
const BLOCK_BYTES: usize = 1 << 20;

/// Blocks that may wait for their consumer before the ring begins to fill.
const BLOCKS_WAITING: usize = 16;

/// How long the ring is left alone while it has something at every look, and while it has nothing.
const BUSY_INTERVAL: Duration = Duration::from_millis(10);
const IDLE_INTERVAL: Duration = Duration::from_millis(40);

/// How often the accounting is sampled and modules are looked for.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// The running node. Dropping it detaches the hooks without waiting for the last records.
pub struct Live {
    /// Blocks in their order; closed after the last one.
    pub blocks: mpsc::Receiver<Block>,
    /// Ends the collection.
    pub stop: Stop,
    collector: thread::JoinHandle<anyhow::Result<()>>,
}

/// Asks a [`Live`] to detach its hooks, hand over what is left, and close.
#[derive(Clone, Debug)]
pub struct Stop(std_mpsc::Sender<()>);

impl Stop {
    /// Asks; more than once is fine.
    pub fn ask(&self) {
        // A collector that is gone has stopped already.
        let _ = self.0.send(());
    }
}

impl Live {
    /// Begins to attach and to collect.
    pub fn start(paths: Paths, facts: Facts, options: Options) -> anyhow::Result<Self> {
        let (sender, blocks) = mpsc::channel(BLOCKS_WAITING);
        let (stop, stopped) = std_mpsc::channel();
        let collector = thread::Builder::new()
            .name("collector".to_owned())
            .spawn(move || Collector::new(paths, facts, options, sender)?.run(&stopped))
            .context("cannot start the thread that collects records")?;
        Ok(Self { blocks, stop: Stop(stop), collector })
    }

    /// Waits for the end and says how it ended. Blocks that nobody took are thrown away.
    pub fn finish(self) -> anyhow::Result<()> {
        let Self { blocks, stop, collector } = self;
        stop.ask();
        drop(blocks);
        collector.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the thread that collects records panicked")))
    }
}

/// The consumer of the blocks is gone.
struct Closed;

struct Collector {
    probes: Probes,
    owners: Owners,
    containers: Containers,
    suspicion: Suspicion,
    watchers: Watchers,
    asked: Asked,
    ipvs_told: ToldByHooks,
    clocks: ClockWatch,
    offsets_told: Option<Offsets>,
    blocks: mpsc::Sender<Block>,
    buffer: BytesMut,
}

impl Collector {
    fn new(
        paths: Paths,
        facts: Facts,
        options: Options,
        blocks: mpsc::Sender<Block>,
    ) -> anyhow::Result<Self> {
        let (owners, containers) = (Owners::new(paths.proc.clone()), Containers::new(paths.proc.clone()));
        let (ipvs_told, unasked) = (ToldByHooks::default(), Unasked::default());
        let watchers = Watchers::start(&paths, &options, &ipvs_told, &unasked)?;
        let probes = Probes::new(paths, facts, options)?;
        let (suspicion, asked) = (Suspicion::default(), Asked::new(unasked));
        Ok(Self {
            probes,
            owners,
            containers,
            suspicion,
            watchers,
            asked,
            ipvs_told,
            clocks: ClockWatch::new()?,
            offsets_told: None,
            blocks,
            buffer: BytesMut::new(),
        })
    }

    fn run(mut self, stopped: &std_mpsc::Receiver<()>) -> anyhow::Result<()> {
        if self.begin()?.is_err() {
            return Ok(());
        }
        let mut next_sample = Instant::now() + SAMPLE_INTERVAL;
        let mut interval = BUSY_INTERVAL;
        // Ends when asked to stop, or when everybody who could ask is gone.
        while stopped.recv_timeout(interval) == Err(std_mpsc::RecvTimeoutError::Timeout) {
            self.clocks.look(&mut self.buffer)?;
            let Ok(had_records) = self.hand_over_records() else { return Ok(()) };
            self.watch_suspects()?;
            for batch in self.watchers.batches() {
                if self.send(batch).is_err() {
                    return Ok(());
                }
            }
            interval = if had_records { BUSY_INTERVAL } else { IDLE_INTERVAL };
            if Instant::now() >= next_sample {
                next_sample = Instant::now() + SAMPLE_INTERVAL;
                self.attach_late()?;
                self.probes.collect_waiting(&mut self.buffer, false);
                if self.sample()?.is_err() {
                    return Ok(());
                }
            }
        }
        self.probes.detach();
        for batch in self.watchers.finish() {
            if self.send(batch).is_err() {
                return Ok(());
            }
        }
        self.probes.collect_waiting(&mut self.buffer, true);
        if self.hand_over_records().is_ok() {
            // The last sample, after which nothing is counted any more.
            let _ = self.sample()?;
        }
        Ok(())
    }

    /// Tells the node's names, attaches the hooks telling each, and says when all are tried. Each of these goes out at
    /// once, so that the screens can show how far it is.
    fn begin(&mut self) -> anyhow::Result<Result<(), Closed>> {
        let facts = self.probes.facts().clone();
        let stamp = Stamp::now()?;
        append_node(&mut self.buffer, stamp, &facts);
        self.clocks.begin(&mut self.buffer, stamp);
        append_facts(&mut self.buffer, stamp, &machine::facts(self.probes.paths()));
        if self.hand_over().is_err() {
            return Ok(Err(Closed));
        }
        let stamp = Stamp::now()?;
        let blocks = &self.blocks;
        self.probes.attach(|status| {
            let mut told = BytesMut::new();
            append_hook_status(&mut told, stamp, status);
            // A consumer that is gone is noticed at the end of this function.
            let _ = blocks.blocking_send(Block(told.freeze()));
        })?;
        self.settle_ipvs();
        // What was there before is complete by now, and comes after the word that the node is ready: that one is first.
        let first_round: Vec<BytesMut> = self.watchers.first_round().collect();
        self.tell_offsets()?;
        let stamp = Stamp::now()?;
        append_record(&mut self.buffer, stamp, 0, &ReadyRecord { header: RecordHeader::default() }, &[]);
        if self.hand_over().is_err() {
            return Ok(Err(Closed));
        }
        Ok(first_round.into_iter().try_for_each(|batch| self.send(batch)))
    }

    /// Hands over everything in the ring; whether there was anything.
    fn hand_over_records(&mut self) -> Result<bool, Closed> {
        let mut had_records = false;
        loop {
            let remain = self.probes.drain(&mut self.buffer, BLOCK_BYTES);
            if self.buffer.is_empty() {
                return Ok(had_records);
            }
            had_records = true;
            // Who owns a socket is told before the record that needs it.
            let records = self.buffer.split();
            self.owners.look_up(&records, &mut self.buffer);
            self.containers.look_up(&records, &mut self.buffer);
            self.asked.ask(&records, &self.watchers);
            // The clock does not fail; and if it did, a flow would be suspected one record later.
            if let (true, Ok(stamp)) = (self.probes.can_watch(), Stamp::now()) {
                self.suspicion.note(&records, stamp.boot_ns());
            }
            self.hand_over()?;
            self.buffer = records;
            self.hand_over()?;
            if !remain {
                return Ok(true);
            }
        }
    }

    /// Keeps the kernel side's watch list in step with the flows under suspicion, and its hook attached while there are
    /// any. What there is to say of the hook goes out with the next records.
    fn watch_suspects(&mut self) -> anyhow::Result<()> {
        if !self.probes.can_watch() {
            return Ok(());
        }
        let stamp = Stamp::now()?;
        let plan = self.suspicion.plan(stamp.boot_ns());
        self.probes.change_watched(&plan.watch, &plan.forget)?;
        let reason = match plan.flows {
            0 => "no flow is under suspicion any more".to_owned(),
            1 => "1 flow is under suspicion".to_owned(),
            flows => format!("{flows} flows are under suspicion"),
        };
        let buffer = &mut self.buffer;
        self.probes.arm(plan.is_armed, &reason, |status| append_hook_status(buffer, stamp, status));
        Ok(())
    }

    /// Attaches hooks whose module has appeared. What there is to say of them goes out with the next sample.
    fn attach_late(&mut self) -> anyhow::Result<()> {
        let stamp = Stamp::now()?;
        let buffer = &mut self.buffer;
        self.probes.attach_late(|status| append_hook_status(buffer, stamp, status));
        self.settle_ipvs();
        self.tell_offsets()
    }

    /// Tells where the kernel keeps what is read, if that was not told or is news: the types of a module come with it.
    fn tell_offsets(&mut self) -> anyhow::Result<()> {
        let offsets = self.probes.offsets();
        if offsets != self.offsets_told
            && let Some(offsets) = &offsets
        {
            append_facts(&mut self.buffer, Stamp::now()?, &machine::offsets(offsets));
        }
        self.offsets_told = offsets;
        Ok(())
    }

    /// Says which changes of IPVS hooks tell.
    fn settle_ipvs(&self) {
        self.ipvs_told.settle(self.probes.statuses(), self.probes.is_waiting_for("ip_vs"));
    }

    /// Samples the accounting.
    fn sample(&mut self) -> anyhow::Result<Result<(), Closed>> {
        let counters = self.probes.counters()?;
        let stamp = Stamp::now()?;
        append_stats(&mut self.buffer, stamp, &counters);
        // The wall clock may have been set since.
        let facts = Facts { wall_minus_boot_ns: wall_minus_boot_ns()?, ..self.probes.facts().clone() };
        append_node(&mut self.buffer, stamp, &facts);
        Ok(self.hand_over())
    }

    /// Sends the buffer as a block, waiting for the consumer if it must.
    fn hand_over(&mut self) -> Result<(), Closed> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let records = self.buffer.split();
        self.send(records)
    }

    /// Sends whole records as a block.
    fn send(&self, records: BytesMut) -> Result<(), Closed> {
        self.blocks.blocking_send(Block(records.freeze())).map_err(|_| Closed)
    }
}
