//! BTF as it lies in the file: types as words, so that what is not understood is at least copied faithfully.
//!
//! Format: <https://docs.kernel.org/bpf/btf.html>. A base description numbers its types from 1; a split one continues
//! its base's numbers and string offsets.

use anyhow::{Context as _, bail, ensure};

const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
const HEADER_BYTES: u32 = 24;
const WORD_BYTES: usize = 4;

/// The part of a type's second word that counts its entries.
const ENTRIES_MASK: u32 = 0xffff;

/// What a type is, by its number in the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Pointer,
    Array,
    Struct,
    Union,
    Enum,
    Forward,
    Typedef,
    Volatile,
    Const,
    Restrict,
    Function,
    Prototype,
    Variable,
    DataSection,
    Float,
    DeclarationTag,
    TypeTag,
    Enum64,
}

impl Kind {
    fn from_number(number: u32) -> Option<Self> {
        use Kind::{
            Array, Const, DataSection, DeclarationTag, Enum, Enum64, Float, Forward, Function, Int, Pointer,
            Prototype, Restrict, Struct, TypeTag, Typedef, Union, Variable, Volatile,
        };
        const BY_NUMBER: [Kind; 19] = [
            Int,
            Pointer,
            Array,
            Struct,
            Union,
            Enum,
            Forward,
            Typedef,
            Volatile,
            Const,
            Restrict,
            Function,
            Prototype,
            Variable,
            DataSection,
            Float,
            DeclarationTag,
            TypeTag,
            Enum64,
        ];
        BY_NUMBER.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
    }

    /// Words after the first three: how many once, and how many an entry.
    fn trailing_words(self) -> (usize, usize) {
        match self {
            Self::Int | Self::Variable | Self::DeclarationTag => (1, 0),
            Self::Array => (3, 0),
            Self::Enum | Self::Prototype => (0, 2),
            Self::Struct | Self::Union | Self::DataSection | Self::Enum64 => (0, 3),
            _ => (0, 0),
        }
    }

    /// Which word of each entry is a name, and which a type.
    fn entry_layout(self) -> (Option<usize>, Option<usize>) {
        match self {
            Self::Struct | Self::Union | Self::Prototype => (Some(0), Some(1)),
            Self::Enum | Self::Enum64 => (Some(0), None),
            Self::DataSection => (None, Some(0)),
            _ => (None, None),
        }
    }

    /// Whether the third word is a type (else it is a size, or nothing).
    fn refers(self) -> bool {
        matches!(
            self,
            Self::Pointer
                | Self::Typedef
                | Self::Volatile
                | Self::Const
                | Self::Restrict
                | Self::Function
                | Self::Prototype
                | Self::Variable
                | Self::DeclarationTag
                | Self::TypeTag
        )
    }
}

/// One type: name, kind and flags, size or referred type, then what its kind adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawType {
    /// What it is.
    pub(super) kind: Kind,
    words: Vec<u32>,
}

impl RawType {
    /// A pointer to nothing in particular.
    pub(super) fn void_pointer() -> Self {
        Self { kind: Kind::Pointer, words: vec![0, 2 << 24, 0] }
    }

    /// Offset of its name.
    pub(super) fn name_offset(&self) -> u32 {
        self.words[0]
    }

    /// The single type it refers to; 0 is void.
    pub(super) fn target(&self) -> Option<u32> {
        self.kind.refers().then(|| self.words[2])
    }

    /// Offsets of its entries' names: those of members, values or parameters.
    pub(super) fn entry_names(&self) -> impl Iterator<Item = u32> {
        self.words_holding(true).into_iter().skip(1).map(|place| self.words[place])
    }

    /// The same type of the same size without members, values or parameters.
    pub(super) fn without_entries(&self) -> Self {
        let (once, _) = self.kind.trailing_words();
        let mut words = self.words[..3 + once].to_vec();
        words[1] &= !ENTRIES_MASK;
        Self { kind: self.kind, words }
    }

    fn words_holding(&self, name: bool) -> Vec<usize> {
        let (once, entry) = self.kind.trailing_words();
        let (name_word, type_word) = self.kind.entry_layout();
        let mut places = Vec::new();
        if name {
            places.push(0);
        } else if self.kind.refers() {
            places.push(2);
        } else if self.kind == Kind::Array {
            places.extend([3, 4]);
        }
        if let (Some(word), true) = (if name { name_word } else { type_word }, entry > 0) {
            places.extend((3 + once..self.words.len()).step_by(entry).map(|start| start + word));
        }
        places
    }

    /// Every type it refers to.
    pub(super) fn references(&self) -> Vec<u32> {
        self.words_holding(false).into_iter().map(|place| self.words[place]).collect()
    }

    /// The same type with other type ids and string offsets.
    pub(super) fn renumbered(&self, id: impl Fn(u32) -> u32, mut string: impl FnMut(u32) -> u32) -> Self {
        let mut words = self.words.clone();
        for place in self.words_holding(false) {
            words[place] = id(words[place]);
        }
        for place in self.words_holding(true) {
            words[place] = string(words[place]);
        }
        Self { kind: self.kind, words }
    }
}

/// A description: of a kernel image, or of a module on top of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Description {
    /// The types, from id 1 on or from where the base ends.
    pub(super) types: Vec<RawType>,
    /// The strings, each ended by a zero byte, from offset 0 on or from where the base's end.
    pub(super) strings: Vec<u8>,
}

impl Description {
    /// Reads a little-endian description. Fails on damage and on kinds the format did not have when this was written.
    pub(super) fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let word = |at: usize| -> anyhow::Result<u32> {
            let bytes = bytes.get(at..at + WORD_BYTES).context("the BTF ends in its header")?;
            Ok(u32::from_le_bytes(bytes.try_into()?))
        };
        let first = word(0)?.to_le_bytes();
        ensure!(u16::from_le_bytes([first[0], first[1]]) == MAGIC, "not little-endian BTF");
        ensure!(first[2] == VERSION, "BTF version {} is not known", first[2]);
        let section = |offset: u32, length: u32| -> anyhow::Result<&[u8]> {
            let start = usize::try_from(u64::from(word(4)?) + u64::from(offset))?;
            bytes.get(start..start + usize::try_from(length)?).context("the BTF ends inside a section")
        };
        let type_words: Vec<u32> = section(word(8)?, word(12)?)?
            .as_chunks::<WORD_BYTES>()
            .0
            .iter()
            .map(|word| u32::from_le_bytes(*word))
            .collect();
        let strings = section(word(16)?, word(20)?)?.to_vec();
        Ok(Self { types: parse_types(&type_words)?, strings })
    }

    /// The file's bytes.
    pub(super) fn to_bytes(&self) -> anyhow::Result<Vec<u8>> {
        let type_bytes: Vec<u8> = self
            .types
            .iter()
            .flat_map(|described| &described.words)
            .flat_map(|word| word.to_le_bytes())
            .collect();
        let type_length = u32::try_from(type_bytes.len())?;
        let mut bytes = Vec::new();
        bytes.extend(MAGIC.to_le_bytes());
        bytes.extend([VERSION, 0]);
        for word in [HEADER_BYTES, 0, type_length, type_length, u32::try_from(self.strings.len())?] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(type_bytes);
        bytes.extend(&self.strings);
        Ok(bytes)
    }
}

fn parse_types(mut words: &[u32]) -> anyhow::Result<Vec<RawType>> {
    let mut types = Vec::new();
    while let [_, info, _, ..] = words {
        let Some(kind) = Kind::from_number(info >> 24 & 0x1f) else {
            bail!("BTF kind {} is not known", info >> 24 & 0x1f);
        };
        let (once, entry) = kind.trailing_words();
        let entries = usize::try_from(info & ENTRIES_MASK)?;
        let length = 3 + once + entry * entries;
        let (own, rest) = words.split_at_checked(length).context("the BTF ends inside a type")?;
        types.push(RawType { kind, words: own.to_vec() });
        words = rest;
    }
    ensure!(words.is_empty(), "the BTF ends inside a type");
    Ok(types)
}
