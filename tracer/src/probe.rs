//! Hooks: the table of them, and attaching them to the running kernel.

pub mod table;

mod generation;
mod reopenings;
mod trampoline;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use aya::Btf;
use bytes::BytesMut;
use tracer_common::{
    counters::KindCounters,
    hook::{HookId, Way},
    offsets::{Object, Offsets},
    record::{Flow, KERNEL_KINDS},
    settings::Settings,
};

use self::{
    generation::Generation,
    table::{Attachment, Family, HOOKS, Hook, Need, Target, in_order_of_attaching},
};
use crate::{
    event::{HookStatus, Text},
    kernel::{
        Paths,
        btf::{FunctionPlace, KernelBtf},
        facts::Facts,
        modules, offsets,
        symbols::{Symbol, Symbols},
    },
};

/// Default size of the ring between kernel and program. Some 90,000 retransmits: two seconds of the worst storm seen,
/// while the program looks every few hundredths of a second.
pub const DEFAULT_RING_BYTES: u32 = 16 << 20;

/// What to attach.
#[derive(Clone, Debug)]
pub struct Options {
    /// The families wanted.
    pub families: BTreeSet<Family>,
    /// Inode of the only network namespace wanted, or all.
    pub only_netns: Option<u32>,
    /// Size of the ring buffer, rounded up by the kernel's rules.
    pub ring_bytes: u32,
    /// Ways not to attach by, even where they would hold.
    pub avoided: BTreeSet<Way>,
}

impl Default for Options {
    /// Everything, everywhere.
    fn default() -> Self {
        Self {
            families: Family::ALL.into(),
            only_netns: None,
            ring_bytes: DEFAULT_RING_BYTES,
            avoided: BTreeSet::new(),
        }
    }
}

impl Options {
    /// Whether a hook is wanted. Owners of sockets are part of what retransmits tell.
    fn wants(&self, hook: &Hook) -> bool {
        let family = if hook.family == Family::Owner { Family::Retransmit } else { hook.family };
        self.families.contains(&family)
    }
}

/// The attached hooks. Dropping it detaches them all; if the process dies, the kernel does.
pub struct Probes {
    paths: Paths,
    facts: Facts,
    options: Options,
    types: Btf,
    symbols: Symbols,
    generations: Vec<Generation>,
    statuses: BTreeMap<HookId, HookStatus>,
    waiting_modules: BTreeSet<&'static str>,
    /// As the newest generation was told them.
    offsets: Option<Offsets>,
    standby: Option<Standby>,
}

/// A hook that is attached only while a flow is under suspicion.
#[derive(Clone, Copy)]
struct Standby {
    hook: &'static Hook,
    /// The way that was tried and holds.
    attachment: &'static Attachment,
    /// The place of its generation.
    generation: usize,
    is_armed: bool,
}

/// What is known of the kernel while a generation is attached.
struct Knowledge {
    btf: KernelBtf,
    offsets: Offsets,
    settings: Settings,
}

impl Probes {
    /// Reads what must be known of the kernel. Nothing is attached yet.
    ///
    /// Fails without root's privileges, or if the kernel does not describe its types.
    pub fn new(paths: Paths, facts: Facts, options: Options) -> anyhow::Result<Self> {
        let types = Btf::parse_file(paths.btf().join("vmlinux"), aya::Endianness::default())
            .context("cannot read the kernel's types; tracer needs a kernel with CONFIG_DEBUG_INFO_BTF=y")?;
        let names: Vec<&str> = HOOKS
            .iter()
            .filter_map(|hook| match hook.target {
                Target::Function { name, .. } => Some(name),
                Target::Tracepoint(_) => None,
            })
            .collect();
        let symbols = Symbols::read(&paths.symbols(), &names)?;
        Ok(Self {
            paths,
            facts,
            options,
            types,
            symbols,
            generations: Vec::new(),
            statuses: BTreeMap::new(),
            waiting_modules: BTreeSet::new(),
            offsets: None,
            standby: None,
        })
    }

    /// Facts of this node.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Where the kernel shows itself.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Where this kernel keeps what the hooks read, once hooks have been tried.
    pub fn offsets(&self) -> Option<Offsets> {
        self.offsets
    }

    /// Every hook tried so far, in the order of the hook table.
    pub fn statuses(&self) -> impl Iterator<Item = &HookStatus> {
        HOOKS.iter().filter_map(|hook| self.statuses.get(&hook.id))
    }

    /// Whether hooks will be tried once that module comes.
    pub fn is_waiting_for(&self, module: &str) -> bool {
        self.waiting_modules.contains(module)
    }

    /// Tries every wanted hook and reports each, attached or not. None stops the others.
    ///
    /// Fails only if the object cannot be loaded at all.
    pub fn attach(&mut self, report: impl FnMut(&HookStatus)) -> anyhow::Result<()> {
        let wanted: Vec<&'static Hook> = HOOKS.iter().filter(|hook| self.options.wants(hook)).collect();
        self.attach_generation(&wanted, report)
    }

    /// Tries again the hooks whose module has been loaded since, and reports them. If the object cannot be loaded once
    /// more, they stay missing with that reason, and those attached before go on.
    pub fn attach_late(&mut self, mut report: impl FnMut(&HookStatus)) {
        let arrived: BTreeSet<&str> = self
            .waiting_modules
            .iter()
            .copied()
            .filter(|name| modules::is_loaded(&self.paths, name))
            .collect();
        if arrived.is_empty() {
            return;
        }
        let wanted: Vec<&'static Hook> = HOOKS
            .iter()
            .filter(|hook| {
                self.options.wants(hook) && hook.module().is_some_and(|module| arrived.contains(module))
            })
            .collect();
        self.waiting_modules.retain(|module| !arrived.contains(module));
        let names: Vec<&str> = wanted.iter().map(|hook| target_name(hook)).collect();
        let attached = Symbols::read(&self.paths.symbols(), &names).and_then(|symbols| {
            self.symbols = symbols;
            self.attach_generation(&wanted, &mut report)
        });
        let Err(error) = attached else { return };
        for hook in wanted {
            let status = HookStatus {
                hook: Some(hook.id),
                attached: None,
                is_needed: true,
                reason: Text::new(&root_cause(&error)),
            };
            report(&status);
            self.statuses.insert(hook.id, status);
        }
    }

    /// Detaches everything; the records already written and the counters can still be read.
    pub fn detach(&mut self) {
        for generation in &mut self.generations {
            generation.detach();
        }
    }

    /// Whether flows can be watched: the hook for it was wanted, and could be attached.
    pub fn can_watch(&self) -> bool {
        self.standby.is_some()
    }

    /// Puts flows on the watch list and takes others off it. Those that find no room are left out.
    pub fn change_watched(&mut self, watch: &[Flow], forget: &[Flow]) -> anyhow::Result<()> {
        let Some(standby) = self.standby else { return Ok(()) };
        let Some(generation) = self.generations.get_mut(standby.generation) else { return Ok(()) };
        forget.iter().try_for_each(|flow| generation.forget(flow))?;
        watch.iter().try_for_each(|flow| generation.watch(flow))
    }

    /// Attaches the hook that looks at the packets of watched flows, or detaches it; reports it if that changes it.
    /// `reason` is told with it.
    pub fn arm(&mut self, is_armed: bool, reason: &str, report: impl FnOnce(&HookStatus)) {
        let Some(standby) = self.standby.as_mut().filter(|standby| standby.is_armed != is_armed) else {
            return;
        };
        standby.is_armed = is_armed;
        let Standby { hook, attachment, generation, .. } = *standby;
        let Some(generation) = self.generations.get_mut(generation) else { return };
        let mut status = HookStatus {
            hook: Some(hook.id),
            attached: Some(attachment.way),
            is_needed: is_armed,
            reason: Text::new(reason),
        };
        if !is_armed {
            generation.unload(attachment);
        } else if let Err(error) = generation.attach(hook, attachment, None, &self.types) {
            self.standby = None;
            status.attached = None;
            status.reason = Text::new(&format!("{}: {}", attachment.way.name(), root_cause(&error)));
        }
        report(&status);
        self.statuses.insert(hook.id, status);
    }

    /// Moves whole records to `into` until there are none or it holds `limit_bytes`; whether any remain.
    pub fn drain(&mut self, into: &mut BytesMut, limit_bytes: usize) -> bool {
        let mut remain = false;
        for generation in &mut self.generations {
            remain |= generation.drain(into, limit_bytes);
        }
        remain
    }

    /// Moves records that have waited in the kernel for facts that did not come to `into`; all of them, once
    /// everything is detached.
    pub fn collect_waiting(&mut self, into: &mut BytesMut, all: bool) {
        for generation in &mut self.generations {
            generation.collect_waiting(into, all);
        }
    }

    /// The accounting of every kernel-side kind, by its number.
    pub fn counters(&self) -> anyhow::Result<[KindCounters; KERNEL_KINDS]> {
        let mut sums = [KindCounters::default(); KERNEL_KINDS];
        for generation in &self.generations {
            for (sum, counted) in sums.iter_mut().zip(generation.counters()?) {
                *sum = sum.plus(counted);
            }
        }
        Ok(sums)
    }

    fn attach_generation(
        &mut self,
        hooks: &[&'static Hook],
        mut report: impl FnMut(&HookStatus),
    ) -> anyhow::Result<()> {
        let knowledge = self.learn()?;
        let Knowledge { offsets, settings, .. } = knowledge;
        let mut generation = Generation::load(&offsets, &settings, self.options.ring_bytes, &self.types)?;
        for hook in in_order_of_attaching(hooks) {
            let status = self.attach_hook(&mut generation, hook, &knowledge);
            report(&status);
            self.statuses.insert(hook.id, status);
        }
        self.generations.push(generation);
        self.offsets = Some(offsets);
        Ok(())
    }

    fn learn(&self) -> anyhow::Result<Knowledge> {
        /// Arguments of `tcp:tcp_retransmit_skb` where it tells the error too (6.17 and later).
        const ARGUMENTS_WITH_ERROR: usize = 3;
        /// Arguments of `icmp_push_reply` where the first is a socket (5.11 and later).
        const ICMP_PUSH_ARGUMENTS_WITH_SOCKET: usize = 5;
        let btf = KernelBtf::open(&self.paths.btf())?;
        let offsets = offsets::resolve(&btf).offsets;
        let tells_error =
            btf.tracepoint_arguments("tcp_retransmit_skb").is_some_and(|count| count >= ARGUMENTS_WITH_ERROR);
        let takes_socket = btf
            .function("icmp_push_reply", None)
            .is_some_and(|function| function.arguments >= ICMP_PUSH_ARGUMENTS_WITH_SOCKET);
        let settings = Settings {
            only_netns: self.options.only_netns.unwrap_or(0),
            retransmit_tells_error: u32::from(tells_error),
            icmp_push_message: u32::from(takes_socket),
            ..Settings::DEFAULT
        };
        Ok(Knowledge { btf, offsets, settings })
    }

    fn attach_hook(
        &mut self,
        generation: &mut Generation,
        hook: &'static Hook,
        knowledge: &Knowledge,
    ) -> HookStatus {
        let status = |attached, reason: &str| HookStatus {
            hook: Some(hook.id),
            attached,
            is_needed: true,
            reason: Text::new(reason),
        };
        if let Some(reason) = self.needless(hook, knowledge) {
            return HookStatus { is_needed: false, ..status(None, reason) };
        }
        if let Need::IpvsTypesAndFirstOf(functions) = hook.need
            && let Some(&first) = functions.iter().find(|&&name| self.symbols.get(name).is_some())
            && first != target_name(hook)
        {
            return HookStatus { is_needed: false, ..status(None, &format!("{first} tells it here")) };
        }
        if let Some(reason) = self.obstacle(hook, knowledge) {
            return status(None, &reason);
        }
        let place = match hook.target {
            Target::Function { name, module } => knowledge.btf.function(name, module),
            Target::Tracepoint(_) => None,
        };
        let mut reasons = Vec::new();
        for attachment in hook.ways {
            let attempt = self.usable(hook, attachment, place.as_ref()).and_then(|()| {
                generation
                    .attach(hook, attachment, place.as_ref(), &self.types)
                    .map_err(|error| root_cause(&error))
            });
            match attempt {
                Ok(()) if hook.need == Need::Suspicion => {
                    generation.unload(attachment);
                    let generation = self.generations.len();
                    self.standby = Some(Standby { hook, attachment, generation, is_armed: false });
                    let reason = "attached while a flow is under suspicion";
                    return HookStatus { is_needed: false, ..status(Some(attachment.way), reason) };
                }
                Ok(()) => return status(Some(attachment.way), &reasons.join("; ")),
                Err(reason) => reasons.push(format!("{}: {reason}", attachment.way.name())),
            }
        }
        status(None, &reasons.join("; "))
    }

    /// Why a hook would tell nothing that others do not tell.
    fn needless(&self, hook: &Hook, knowledge: &Knowledge) -> Option<&'static str> {
        let is_attached = |id| self.statuses.get(&id).is_some_and(|status| status.attached.is_some());
        match hook.need {
            Need::SilentFailures if knowledge.settings.retransmit_tells_error != 0 => {
                Some("the tracepoint tells failures itself")
            }
            Need::Without(other) if is_attached(other) => Some("the tracepoint tells it"),
            _ => None,
        }
    }

    /// Why a hook need not be tried at all. A module that is not loaded is waited for.
    fn obstacle(&mut self, hook: &'static Hook, knowledge: &Knowledge) -> Option<String> {
        let name = target_name(hook);
        let is_function = matches!(hook.target, Target::Function { .. });
        let is_known = self.symbols.get(name).is_some();
        if is_function
            && !is_known
            && let Some(module) = hook.module()
            && !modules::is_loaded(&self.paths, module)
        {
            self.waiting_modules.insert(module);
            return Some(format!("module {module} is not loaded"));
        }
        if is_function && !is_known {
            return Some(format!("this kernel has no function {name}"));
        }
        match hook.need {
            Need::IpvsTypes | Need::IpvsTypesAndFirstOf(_)
                if !knowledge.btf.has_module(Object::IpVs.name()) =>
            {
                Some("the kernel does not describe the types of module ip_vs".to_owned())
            }
            _ => None,
        }
    }

    /// Why a way need not be tried.
    fn usable(
        &self,
        hook: &Hook,
        attachment: &Attachment,
        place: Option<&FunctionPlace>,
    ) -> Result<(), String> {
        match attachment.way {
            avoided if self.options.avoided.contains(&avoided) => Err("avoided, as asked".to_owned()),
            Way::Trampoline if place.is_none() => {
                Err("the kernel's types do not know the function".to_owned())
            }
            Way::Kprobe if !self.facts.has_kprobes => Err("the kernel is built without kprobes".to_owned()),
            Way::Kprobe if self.symbols.get(target_name(hook)).is_some_and(Symbol::is_ambiguous) => {
                Err("several functions have this name".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// The event or function a hook sits on.
fn target_name(hook: &Hook) -> &'static str {
    match hook.target {
        Target::Tracepoint(name) | Target::Function { name, .. } => name,
    }
}

/// An error in one line, from the outside in, without repeating what an outer message says already.
fn root_cause(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let first_line = text.lines().next().unwrap_or_default().to_owned();
        if !parts.iter().any(|part| part.contains(&first_line)) {
            parts.push(first_line);
        }
    }
    parts.join(": ")
}
