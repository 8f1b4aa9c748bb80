//! Keeping only the types tracer asks for, and what they are made of.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context as _, ensure};

use super::btf::{Description, Kind, RawType};

/// Type references followed when looking for what a pointer points to.
const MAX_ALIASES: usize = 16;

/// What to keep, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Roots {
    /// Structs and unions of the kernel image.
    pub(super) structures: BTreeSet<&'static str>,
    /// Structs and unions of modules. These describe many of the image's again, which nobody asks them for.
    pub(super) module_structures: BTreeSet<&'static str>,
    /// The members somebody asks for, in any struct.
    pub(super) members: BTreeSet<&'static str>,
    /// Enumerations.
    pub(super) enumerations: BTreeSet<&'static str>,
    /// Events: their `btf_trace_` typedefs.
    pub(super) tracepoints: BTreeSet<&'static str>,
    /// Functions.
    pub(super) functions: BTreeSet<&'static str>,
}

/// A kernel's types: the image's and its modules', by module name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kernel {
    /// The image's.
    pub(super) vmlinux: Description,
    /// What each module adds.
    pub(super) modules: BTreeMap<String, Description>,
}

/// Reduces a kernel's types to the roots and the types these are made of. Pointers to anything but a root are cut to
/// pointers to void, and structs inside roots keep their members only if somebody asks for one of them: nothing tracer
/// reads of the types follows the rest. The order of what is kept stays.
///
/// Fails on a reference to a type or string that does not exist.
pub(super) fn reduce(kernel: &Kernel, roots: &Roots) -> anyhow::Result<Kernel> {
    let mut base_kept = BTreeSet::new();
    View { base: &kernel.vmlinux, split: None }.collect(roots, &mut base_kept)?;
    let mut modules_kept = Vec::new();
    for (name, split) in &kernel.modules {
        let mut kept = BTreeSet::new();
        View { base: &kernel.vmlinux, split: Some(split) }.collect(roots, &mut kept)?;
        // Ids below the base's end are the base's own: it must keep them too.
        let first = first_split_id(&kernel.vmlinux)?;
        let own = kept.split_off(&first);
        base_kept.append(&mut kept);
        modules_kept.push((name, split, own));
    }

    let mut ids = HashMap::new();
    let mut strings = Strings::default();
    strings.add("");
    let vmlinux_view = View { base: &kernel.vmlinux, split: None };
    let vmlinux = vmlinux_view.write(roots, &base_kept, &mut ids, &mut strings)?;
    let mut modules = BTreeMap::new();
    for (name, split, own) in modules_kept {
        let view = View { base: &kernel.vmlinux, split: Some(split) };
        let written = view.write(roots, &own, &mut ids.clone(), &mut strings.clone())?;
        modules.insert(name.clone(), written);
    }
    Ok(Kernel { vmlinux, modules })
}

/// The id a split description's first type gets.
fn first_split_id(base: &Description) -> anyhow::Result<u32> {
    Ok(u32::try_from(base.types.len())? + 1)
}

/// A base description, or a split one with its base below it.
struct View<'a> {
    base: &'a Description,
    split: Option<&'a Description>,
}

impl View<'_> {
    fn type_by_id(&self, id: u32) -> anyhow::Result<&RawType> {
        let index = usize::try_from(id)?.checked_sub(1).context("void has no description")?;
        let of_split = || self.split?.types.get(index.checked_sub(self.base.types.len())?);
        self.base.types.get(index).or_else(of_split).with_context(|| format!("there is no type {id}"))
    }

    fn string(&self, offset: u32) -> anyhow::Result<&str> {
        let offset = usize::try_from(offset)?;
        let of_split = || self.split?.strings.get(offset.checked_sub(self.base.strings.len())?..);
        let bytes = match self.base.strings.get(offset..) {
            Some(bytes) if !bytes.is_empty() => Some(bytes),
            _ => of_split(),
        };
        let bytes = bytes.with_context(|| format!("there is no string at {offset}"))?;
        let end = bytes.iter().position(|byte| *byte == 0).context("the last string has no end")?;
        Ok(std::str::from_utf8(&bytes[..end])?)
    }

    /// The types the topmost description defines, with their ids.
    fn own_types(&self) -> anyhow::Result<impl Iterator<Item = (u32, &RawType)>> {
        let (first, own) = match self.split {
            None => (1, self.base),
            Some(split) => (first_split_id(self.base)?, split),
        };
        Ok((first..).zip(&own.types))
    }

    fn is_root(&self, described: &RawType, roots: &Roots) -> anyhow::Result<bool> {
        let name = self.string(described.name_offset())?;
        Ok(match described.kind {
            Kind::Struct | Kind::Union if self.split.is_some() => roots.module_structures.contains(name),
            Kind::Struct | Kind::Union => roots.structures.contains(name),
            Kind::Enum | Kind::Enum64 => roots.enumerations.contains(name),
            Kind::Typedef => {
                name.strip_prefix("btf_trace_").is_some_and(|event| roots.tracepoints.contains(event))
            }
            Kind::Function => roots.functions.contains(name),
            _ => false,
        })
    }

    /// Whether a pointer must keep what it points to: a root, or a tracepoint's prototype.
    fn keeps_target(&self, pointer: &RawType, roots: &Roots) -> anyhow::Result<bool> {
        let mut id = pointer.target().unwrap_or(0);
        for _ in 0..MAX_ALIASES {
            if id == 0 {
                return Ok(false);
            }
            let target = self.type_by_id(id)?;
            match target.kind {
                Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => {
                    id = target.target().unwrap_or(0);
                }
                _ => return self.is_root(target, roots),
            }
        }
        Ok(false)
    }

    /// Whether a struct is there for its size only: it has a name, and no member that anybody asks for. One without a
    /// name may hold such a member.
    fn is_hollow(&self, described: &RawType, roots: &Roots) -> anyhow::Result<bool> {
        if !matches!(described.kind, Kind::Struct | Kind::Union)
            || described.name_offset() == 0
            || self.is_root(described, roots)?
        {
            return Ok(false);
        }
        for name in described.entry_names() {
            let name = self.string(name)?;
            if name.is_empty() || roots.members.contains(name) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Collects the ids of the roots the topmost description defines, and of all they are made of.
    fn collect(&self, roots: &Roots, kept: &mut BTreeSet<u32>) -> anyhow::Result<()> {
        let mut pending = Vec::new();
        for (id, described) in self.own_types()? {
            if self.is_root(described, roots)? {
                pending.push(id);
                if described.kind == Kind::Typedef {
                    pending.extend(self.tracepoint_prototype(described)?);
                }
            }
        }
        while let Some(id) = pending.pop() {
            if id == 0 || !kept.insert(id) {
                continue;
            }
            let described = self.type_by_id(id)?;
            let is_cut = match described.kind {
                Kind::Pointer => !self.keeps_target(described, roots)?,
                _ => self.is_hollow(described, roots)?,
            };
            if !is_cut {
                pending.extend(described.references());
            }
        }
        Ok(())
    }

    /// The prototype a tracepoint's typedef points to.
    fn tracepoint_prototype(&self, typedef: &RawType) -> anyhow::Result<Option<u32>> {
        let pointer = self.type_by_id(typedef.target().unwrap_or(0))?;
        Ok(pointer.target().filter(|_| pointer.kind == Kind::Pointer))
    }

    /// Writes the kept types of the topmost description. `ids` gains the new number of each.
    fn write(
        &self,
        roots: &Roots,
        kept: &BTreeSet<u32>,
        ids: &mut HashMap<u32, u32>,
        strings: &mut Strings,
    ) -> anyhow::Result<Description> {
        let mut next = ids.values().max().map_or(1, |last| last + 1);
        let mut void_pointer = None;
        let mut reduced = Vec::new();
        for &id in kept {
            let described = self.type_by_id(id)?;
            let target = described.target().unwrap_or(0);
            if described.kind == Kind::Pointer && !kept.contains(&target) && !ids.contains_key(&target) {
                // All pointers to nothing in particular are one type.
                if let Some(pointer) = void_pointer {
                    ids.insert(id, pointer);
                    continue;
                }
                void_pointer = Some(next);
                reduced.push(RawType::void_pointer());
            } else if self.is_hollow(described, roots)? {
                reduced.push(described.without_entries());
            } else {
                reduced.push(described.clone());
            }
            ids.insert(id, next);
            next += 1;
        }
        let types = reduced.iter().map(|described| self.renumber(described, ids, strings));
        Ok(Description { types: types.collect::<anyhow::Result<_>>()?, strings: strings.take() })
    }

    fn renumber(
        &self,
        described: &RawType,
        ids: &HashMap<u32, u32>,
        strings: &mut Strings,
    ) -> anyhow::Result<RawType> {
        for id in described.references() {
            ensure!(id == 0 || ids.contains_key(&id), "type {id} is referred to but was not kept");
        }
        let mut failure = None;
        let renumbered = described.renumbered(
            |id| ids.get(&id).copied().unwrap_or(0),
            |offset| match self.string(offset) {
                Ok(string) => strings.add(string),
                Err(error) => {
                    failure = Some(error);
                    0
                }
            },
        );
        failure.map_or(Ok(renumbered), Err)
    }
}

/// Strings being gathered, each once.
#[derive(Clone, Debug, Default)]
struct Strings {
    offsets: HashMap<String, u32>,
    bytes: Vec<u8>,
    first_offset: u32,
}

impl Strings {
    /// The offset of a string, which is added if it is new.
    fn add(&mut self, string: &str) -> u32 {
        if let Some(&offset) = self.offsets.get(string) {
            return offset;
        }
        let offset = self.first_offset + u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes.extend(string.bytes());
        self.bytes.push(0);
        self.offsets.insert(string.to_owned(), offset);
        offset
    }

    /// The bytes gathered; later strings continue behind them.
    fn take(&mut self) -> Vec<u8> {
        self.first_offset += u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        std::mem::take(&mut self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRUCT: u32 = 4;
    const POINTER: u32 = 2;
    const FUNCTION: u32 = 12;
    const PROTOTYPE: u32 = 13;

    /// Builds descriptions by hand: strings first, then types that name them.
    #[derive(Default)]
    struct Builder {
        strings: Vec<u8>,
        words: Vec<u32>,
        first_offset: u32,
    }

    impl Builder {
        fn base() -> Self {
            Self { strings: vec![0], ..Self::default() }
        }

        fn string(&mut self, string: &str) -> u32 {
            let offset = self.first_offset + u32::try_from(self.strings.len()).unwrap();
            self.strings.extend(string.bytes().chain([0]));
            offset
        }

        fn add(&mut self, name: &str, kind: u32, size_or_type: u32, entries: &[(&str, u32, Option<u32>)]) {
            let name = if name.is_empty() { 0 } else { self.string(name) };
            let count = u32::try_from(entries.len()).unwrap();
            self.words.extend([name, kind << 24 | count, size_or_type]);
            for (name, described, offset) in entries {
                let name = self.string(name);
                self.words.extend([name, *described]);
                self.words.extend(offset);
            }
        }

        fn description(self) -> Description {
            let type_bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let length = u32::try_from(type_bytes.len()).unwrap();
            let mut bytes = vec![0x9f, 0xeb, 1, 0];
            for word in [24, 0, length, length, u32::try_from(self.strings.len()).unwrap()] {
                bytes.extend(word.to_le_bytes());
            }
            bytes.extend(type_bytes);
            bytes.extend(self.strings);
            Description::parse(&bytes).unwrap()
        }
    }

    /// An image with a root, what it is made of, and what it is not; a module with a root and a function.
    fn kernel() -> Kernel {
        let mut base = Builder::base();
        base.add("unused", STRUCT, 4, &[]); // 1
        base.add("big", STRUCT, 80, &[("lost", 3, Some(0))]); // 2: inside a root, nobody asks for its member
        base.add("", POINTER, 1, &[]); // 3: to something nobody asks for
        base.add("", POINTER, 6, &[]); // 4: to a root
        base.add("inner", STRUCT, 8, &[("wanted", 3, Some(0))]); // 5
        let members = [("a", 3, Some(0)), ("b", 4, Some(64)), ("c", 5, Some(128)), ("d", 2, Some(192))];
        base.add("root", STRUCT, 104, &members); // 6
        let base = base.description();

        let first_offset = u32::try_from(base.strings.len()).unwrap();
        let mut module = Builder { first_offset, ..Builder::default() };
        module.add("root", STRUCT, 8, &[("again", 3, Some(0))]); // 7: the image's, once more
        module.add("own", STRUCT, 8, &[("inner", 5, Some(0))]); // 8
        module.add("", PROTOTYPE, 0, &[("of", 3, None)]); // 9
        module.add("hooked", FUNCTION, 9, &[]); // 10
        module.add("other", FUNCTION, 9, &[]); // 11
        let modules = BTreeMap::from([("module".to_owned(), module.description())]);
        Kernel { vmlinux: base, modules }
    }

    fn roots() -> Roots {
        Roots {
            structures: ["root"].into(),
            module_structures: ["own"].into(),
            members: ["wanted"].into(),
            functions: ["hooked"].into(),
            ..Roots::default()
        }
    }

    /// A type's name, what it refers to, and the names of its entries.
    fn summary(view: &View, own: &[RawType]) -> Vec<(String, Vec<u32>, Vec<String>)> {
        own.iter()
            .map(|described| {
                let string = |offset| view.string(offset).unwrap().to_owned();
                let entries = described.entry_names().map(string).collect();
                (string(described.name_offset()), described.references(), entries)
            })
            .collect()
    }

    fn row(name: &str, references: &[u32], entries: &[&str]) -> (String, Vec<u32>, Vec<String>) {
        (name.to_owned(), references.to_vec(), entries.iter().map(|&entry| entry.to_owned()).collect())
    }

    #[test]
    fn only_roots_and_their_parts_stay_under_new_numbers() {
        let reduced = reduce(&kernel(), &roots()).unwrap();
        let view = View { base: &reduced.vmlinux, split: None };
        let expected = [
            row("big", &[], &[]),
            row("", &[0], &[]),
            row("", &[5], &[]),
            row("inner", &[2], &["wanted"]),
            row("root", &[2, 3, 4, 1], &["a", "b", "c", "d"]),
        ];
        assert_eq!(summary(&view, &reduced.vmlinux.types), expected);

        let split = &reduced.modules["module"];
        let view = View { base: &reduced.vmlinux, split: Some(split) };
        let expected = [row("own", &[4], &["inner"]), row("", &[0, 2], &["of"]), row("hooked", &[7], &[])];
        assert_eq!(summary(&view, &split.types), expected);
    }

    #[test]
    fn reducing_twice_changes_nothing_more() {
        let once = reduce(&kernel(), &roots()).unwrap();
        assert_eq!(reduce(&once, &roots()).unwrap(), once);
    }

    #[test]
    fn what_is_written_reads_back() {
        let reduced = reduce(&kernel(), &roots()).unwrap();
        let bytes = reduced.vmlinux.to_bytes().unwrap();
        assert_eq!(Description::parse(&bytes).unwrap(), reduced.vmlinux);
        for end in 0..bytes.len() {
            assert!(Description::parse(&bytes[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_reference_to_nothing_is_an_error() {
        let mut base = Builder::base();
        base.add("root", STRUCT, 8, &[("a", 99, Some(0))]);
        let kernel = Kernel { vmlinux: base.description(), ..Kernel::default() };
        let error = reduce(&kernel, &roots()).unwrap_err();
        assert!(error.to_string().contains("no type 99"), "{error}");
    }
}
