//! Which rules are equal.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use super::message::{Message, big_endian, content, name};
use crate::netlink::attributes;

/// Attributes of a rule (`enum nft_rule_attributes`) that make it what it is. The others say where it stands.
pub(super) mod attribute {
    pub(in super::super) const EXPRESSIONS: u16 = 4;
    pub(in super::super) const COMPATIBILITY: u16 = 5;
    /// Comments, among others.
    pub(in super::super) const USER_DATA: u16 = 7;
}

/// Attributes of an expression (`enum nft_expr_attributes`).
pub(super) const EXPRESSION_NAME: u16 = 1;
pub(super) const EXPRESSION_DATA: u16 = 2;

/// Attributes on the way to the chain a rule jumps to (`enum nft_immediate_attributes`, `nft_data_attributes` and
/// `nft_verdict_attributes`).
const IMMEDIATE_DATA: u16 = 2;
const DATA_VERDICT: u16 = 2;
const VERDICT_CHAIN: u16 = 2;

/// Attributes of a quota (`enum nft_quota_attributes`).
const QUOTA_FLAGS: u16 = 2;
const QUOTA_CONSUMED: u16 = 4;
/// The flag that says it is used up (`NFT_QUOTA_F_DEPLETED`).
const QUOTA_DEPLETED: u32 = 2;

/// The hash of what makes two rules equal: neither its place, nor what packets changed in it. Sets without a name have
/// one of the kernel's making, another for each, so rules that use them are equal to none.
pub(super) fn hash(hashing: &RandomState, rule: &Message<'_>) -> u64 {
    let mut hasher = hashing.build_hasher();
    for (number, content) in rule.attributes() {
        match number {
            attribute::EXPRESSIONS => {
                for (_, expression) in attributes(content) {
                    add_expression(&mut hasher, expression);
                }
            }
            attribute::COMPATIBILITY | attribute::USER_DATA => add(&mut hasher, number, content),
            _ => {}
        }
    }
    hasher.finish()
}

/// Calls `jump` with the name of every chain that the rule jumps to by itself; what maps hold is not its own.
pub(super) fn jumps(rule: &Message<'_>, mut jump: impl FnMut(&[u8])) {
    let expressions = rule.attribute(attribute::EXPRESSIONS).unwrap_or_default();
    for (_, expression) in attributes(expressions) {
        if name(content(expression, EXPRESSION_NAME)) != b"immediate" {
            continue;
        }
        let chain = content(expression, EXPRESSION_DATA)
            .and_then(|data| content(data, IMMEDIATE_DATA))
            .and_then(|data| content(data, DATA_VERDICT))
            .and_then(|verdict| content(verdict, VERDICT_CHAIN));
        if chain.is_some() {
            jump(name(chain));
        }
    }
}

fn add_expression(hasher: &mut impl std::hash::Hasher, expression: &[u8]) {
    let kind = name(content(expression, EXPRESSION_NAME));
    add(hasher, EXPRESSION_NAME, kind);
    let data = content(expression, EXPRESSION_DATA).unwrap_or_default();
    match kind {
        b"counter" | b"last" => {}
        b"quota" => {
            for (number, content) in attributes(data) {
                match number {
                    QUOTA_CONSUMED => {}
                    QUOTA_FLAGS => {
                        hasher.write_u32(big_endian(content).unwrap_or_default() & !QUOTA_DEPLETED);
                    }
                    _ => add(hasher, number, content),
                }
            }
        }
        _ => add(hasher, EXPRESSION_DATA, data),
    }
}

/// Adds number and length too, so that no two sequences of attributes are the same bytes.
fn add(hasher: &mut impl std::hash::Hasher, number: u16, content: &[u8]) {
    hasher.write_u16(number);
    hasher.write_usize(content.len());
    hasher.write(content);
}
