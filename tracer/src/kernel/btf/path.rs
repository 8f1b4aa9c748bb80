//! Following a path of members to a field's place.

use btf_rs::{Btf, Member, Struct, Type};
use tracer_common::offsets::{ABSENT, Field};

use super::resolve_alias;

/// Structs nested in each other before giving up: a valid description cannot nest without end, a damaged one may.
const MAX_DEPTH: usize = 8;

/// Bytes of a pointer on the machines tracer runs on.
const POINTER_BYTES: u64 = 8;

/// Where a member lies in its outermost struct, in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// From the beginning of the struct.
    offset_bits: u64,
    /// Of a bitfield, else 0.
    width_bits: u32,
}

impl Place {
    /// The same in the shape the kernel side reads, or none if it does not fit: an offset the kernel side takes for
    /// "absent", or a bitfield in more than one byte.
    pub(super) fn as_field(self) -> Option<Field> {
        let offset = u16::try_from(self.offset_bits / 8).ok().filter(|&offset| offset != ABSENT)?;
        let bit_shift = u8::try_from(self.offset_bits % 8).ok()?;
        let bit_width = u8::try_from(self.width_bits).ok()?;
        if bit_width == 0 && bit_shift == 0 {
            return Some(Field { offset, bit_shift: 0, bit_width: 0 });
        }
        // A member that is not a bitfield begins at a whole byte; anything else is damage.
        (bit_width != 0 && bit_shift.checked_add(bit_width)? <= 8).then_some(Field {
            offset,
            bit_shift,
            bit_width,
        })
    }
}

/// Follows `path` from a struct or union on; none if it leads nowhere.
pub(super) fn follow(btf: &Btf, structure: &Struct, path: &str) -> Option<Place> {
    let mut structure = structure.clone();
    let mut offset_bits = 0;
    let mut steps = path.split('.').peekable();
    while let Some(step) = steps.next() {
        let (name, index) = parse_step(step)?;
        let (member, within_bits) = find_member(btf, &structure, name, MAX_DEPTH)?;
        offset_bits += within_bits;
        let width_bits = member.bitfield_size().unwrap_or(0);
        let mut reached = resolve_alias(btf, &member)?;
        if let Some(index) = index {
            let Type::Array(array) = &reached else { return None };
            if index >= array.len() {
                return None;
            }
            let element = resolve_alias(btf, array)?;
            offset_bits +=
                u64::try_from(index).ok()?.checked_mul(size_bytes(btf, &element)?)?.checked_mul(8)?;
            reached = element;
        }
        if steps.peek().is_none() {
            return Some(Place { offset_bits, width_bits });
        }
        let (Type::Struct(inner) | Type::Union(inner)) = reached else { return None };
        structure = inner;
    }
    None
}

/// Splits `name[3]` into its name and index; a step without a name is none.
fn parse_step(step: &str) -> Option<(&str, Option<usize>)> {
    let (name, index) = match step.split_once('[') {
        None => (step, None),
        Some((name, index)) => (name, Some(index.strip_suffix(']')?.parse().ok()?)),
    };
    (!name.is_empty()).then_some((name, index))
}

/// Finds a member by name, in the struct itself or in its anonymous members, and how far into the struct it lies.
fn find_member(btf: &Btf, structure: &Struct, name: &str, depth: usize) -> Option<(Member, u64)> {
    let depth = depth.checked_sub(1)?;
    structure.members.iter().find_map(|member| {
        let member_name = btf.resolve_name(member).ok()?;
        let offset_bits = u64::from(member.bit_offset());
        if member_name == name {
            return Some((member.clone(), offset_bits));
        }
        if !member_name.is_empty() {
            return None;
        }
        let (Type::Struct(inner) | Type::Union(inner)) = resolve_alias(btf, member)? else { return None };
        let (found, within_bits) = find_member(btf, &inner, name, depth)?;
        Some((found, offset_bits + within_bits))
    })
}

/// How many bytes a value of a type takes; none for types without values.
fn size_bytes(btf: &Btf, of: &Type) -> Option<u64> {
    let bytes = match of {
        Type::Int(int) => int.size(),
        Type::Struct(structure) | Type::Union(structure) => structure.size(),
        Type::Enum(enumeration) => enumeration.size(),
        Type::Enum64(enumeration) => enumeration.size(),
        Type::Float(float) => float.size(),
        Type::Ptr(_) => return Some(POINTER_BYTES),
        Type::Array(array) => {
            // Arrays of arrays nest only as deep as the source's brackets, but a damaged description may loop.
            let element = resolve_alias(btf, array)?;
            if matches!(element, Type::Array(_)) {
                return None;
            }
            return size_bytes(btf, &element)?.checked_mul(u64::try_from(array.len()).ok()?);
        }
        _ => return None,
    };
    u64::try_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_field_only_if_the_kernel_side_can_read_it() {
        let field = |offset, bit_shift, bit_width| Some(Field { offset, bit_shift, bit_width });
        let cases = [
            (0, 0, field(0, 0, 0)),
            (8 * 1500, 0, field(1500, 0, 0)),
            (8 * 147 + 1, 7, field(147, 1, 7)),
            (8 * 1248, 5, field(1248, 0, 5)),
            (8 * 16, 8, field(16, 0, 8)),
            // Nine bits, or eight that do not begin with a byte, lie in two bytes.
            (8 * 64 + 7, 9, None),
            (8 * 64 + 1, 8, None),
            // The last offset means "absent"; those behind it do not fit.
            (8 * 65_534, 0, field(65_534, 0, 0)),
            (8 * 65_535, 0, None),
            (8 * 65_536, 0, None),
            // No bitfield, yet not at a whole byte.
            (8 * 64 + 7, 0, None),
        ];
        for (offset_bits, width_bits, expected) in cases {
            let place = Place { offset_bits, width_bits };
            assert_eq!(place.as_field(), expected, "{place:?}");
        }
    }

    #[test]
    fn steps_are_names_with_or_without_an_index() {
        let cases = [
            ("sk", Some(("sk", None))),
            ("tuplehash[1]", Some(("tuplehash", Some(1)))),
            ("", None),
            ("[1]", None),
            ("x[", None),
            ("x[]", None),
            ("x[-1]", None),
            ("x[1]y", None),
        ];
        for (step, expected) in cases {
            assert_eq!(parse_step(step), expected, "{step:?}");
        }
    }
}
