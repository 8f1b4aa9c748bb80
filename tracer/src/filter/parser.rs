//! From tokens to an expression, by recursive descent.

use std::{net::IpAddr, ops::Range, str::FromStr};

use tracer_common::record::HARDWARE_ADDRESS_BYTES;

use super::{
    ParseError,
    lexer::{self, Token, TokenKind},
    syntax::{Condition, Expression, Network, Pattern, Side},
    words,
};
use crate::event::HardwareAddress;

/// Brackets and negations within each other; more would be no filter anybody means, and would cost stack.
const DEEPEST: usize = 64;

const CONDITION: &str = "a condition: host, net, port (after src or dst, if wanted), kind, family, netns, node, process, \
                         container, pod, dev, mac, verdict, decision, event, state, weight, failed, or a type of event";

/// The words [`CONDITION`] lists.
#[cfg(test)]
pub(super) fn condition_words() -> impl Iterator<Item = &'static str> {
    let words = CONDITION.split([',', ' ', ':', '(', ')']);
    words.filter(|word| !["", "a", "condition", "after", "if", "wanted", "or", "type", "of"].contains(word))
}

/// Reads a whole expression.
pub(super) fn parse(text: &str) -> Result<Expression, ParseError> {
    let mut parser = Parser { text, tokens: lexer::tokens(text)?, next: 0, depth: 0 };
    let expression = parser.expression()?;
    match parser.peek() {
        None => Ok(expression),
        Some(TokenKind::Close) => Err(parser.error("this bracket closes nothing".to_owned())),
        Some(_) => Err(parser.expected("and, or, or the end")),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&TokenKind> {
        self.tokens.get(self.next).map(|token| &token.kind)
    }

    fn span(&self) -> Range<usize> {
        let end = self.text.trim_end().len();
        self.tokens.get(self.next).map_or(end..end, |token| token.span.clone())
    }

    fn error(&self, message: String) -> ParseError {
        ParseError::new(self.text, self.span(), message)
    }

    /// An error at the next token.
    fn expected(&self, what: &str) -> ParseError {
        let found = self.text.get(self.span()).filter(|found| !found.is_empty());
        self.error(match found {
            Some(found) => format!("expected {what}; found {found}"),
            None => format!("expected {what}; the expression ends here"),
        })
    }

    /// Takes the next token if it is this word.
    fn take(&mut self, word: &str) -> bool {
        let is_it = matches!(self.peek(), Some(TokenKind::Word(found)) if found.eq_ignore_ascii_case(word));
        self.next += usize::from(is_it);
        is_it
    }

    fn expression(&mut self) -> Result<Expression, ParseError> {
        self.list("or", Self::conjunction, Expression::Any)
    }

    fn conjunction(&mut self) -> Result<Expression, ParseError> {
        self.list("and", Self::negation, Expression::All)
    }

    /// Parts joined by a word; a single part stands for itself.
    fn list(
        &mut self,
        word: &str,
        part: impl Fn(&mut Self) -> Result<Expression, ParseError>,
        join: impl Fn(Vec<Expression>) -> Expression,
    ) -> Result<Expression, ParseError> {
        let first = part(self)?;
        if !self.take(word) {
            return Ok(first);
        }
        let mut parts = vec![first, part(self)?];
        while self.take(word) {
            parts.push(part(self)?);
        }
        Ok(join(parts))
    }

    fn negation(&mut self) -> Result<Expression, ParseError> {
        if self.depth == DEEPEST {
            return Err(self.error(format!("brackets and negations go at most {DEEPEST} deep")));
        }
        self.depth += 1;
        let expression = if self.take("not") {
            Expression::Not(Box::new(self.negation()?))
        } else if self.peek() == Some(&TokenKind::Open) {
            self.next += 1;
            let inner = self.expression()?;
            if self.peek() != Some(&TokenKind::Close) {
                return Err(self.expected("and, or, or a closing bracket"));
            }
            self.next += 1;
            inner
        } else {
            Expression::Condition(self.condition()?)
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn condition(&mut self) -> Result<Condition, ParseError> {
        let Some(TokenKind::Word(word)) = self.peek() else { return Err(self.expected(CONDITION)) };
        let word = word.to_lowercase();
        match word.as_str() {
            "src" => self.side(Side::Source),
            "dst" => self.side(Side::Destination),
            "host" | "net" | "port" => self.end(Side::Either),
            "kind" => self.argument(words::retransmit_kind).map(Condition::Kind),
            "family" => self.argument(words::family).map(Condition::Family),
            "netns" => self.netns(),
            "node" => self.pattern("a node's name").map(Condition::Node),
            "process" => self.pattern("a process name").map(Condition::Process),
            "container" => self.pattern("a container's name or id").map(Condition::Container),
            "pod" => self.pattern("a pod's name, such as web-1 or shop/web-*").map(Condition::Pod),
            "dev" => self.name("a device name").map(Condition::Device),
            "mac" => self.argument(hardware_address).map(Condition::Mac),
            "verdict" => self.argument(words::verdict).map(Condition::Verdict),
            "decision" => self.argument(words::decision).map(Condition::Decision),
            "event" => self.argument(words::conntrack_event).map(Condition::Event),
            "state" => self.argument(words::state).map(Condition::State),
            "weight" => self.weight(),
            "failed" => {
                self.next += 1;
                Ok(Condition::Failed)
            }
            _ => match words::kind(&word) {
                Some(kind) => {
                    self.next += 1;
                    Ok(Condition::Type(kind))
                }
                None => Err(self.expected(CONDITION)),
            },
        }
    }

    fn side(&mut self, side: Side) -> Result<Condition, ParseError> {
        self.next += 1;
        self.end(side)
    }

    /// `host`, `net` or `port` and what follows.
    fn end(&mut self, side: Side) -> Result<Condition, ParseError> {
        match self.peek() {
            Some(TokenKind::Word(word)) if word.eq_ignore_ascii_case("host") => {
                self.argument(|word| network(word, false)).map(|network| Condition::Host(side, network))
            }
            Some(TokenKind::Word(word)) if word.eq_ignore_ascii_case("net") => {
                self.argument(|word| network(word, true)).map(|network| Condition::Host(side, network))
            }
            Some(TokenKind::Word(word)) if word.eq_ignore_ascii_case("port") => {
                self.argument(ports).map(|(first, last)| Condition::Port(side, first, last))
            }
            _ => Err(self.expected("host, net or port")),
        }
    }

    fn weight(&mut self) -> Result<Condition, ParseError> {
        let weight = |word: &str| number(word, "a weight, or < and a weight");
        if self.tokens.get(self.next + 1).is_some_and(|token| token.kind == TokenKind::Less) {
            self.next += 1;
            return self.argument(weight).map(Condition::WeightBelow);
        }
        self.argument(weight).map(Condition::WeightIs)
    }

    /// Takes the word at hand and reads the one after it; `read` says what it expected.
    fn argument<T>(&mut self, read: impl Fn(&str) -> Result<T, String>) -> Result<T, ParseError> {
        self.next += 1;
        let word = match self.peek() {
            Some(TokenKind::Word(word) | TokenKind::Quoted(word)) => word.as_str(),
            _ => "",
        };
        let value = read(word).map_err(|what| self.expected(&what))?;
        self.next += 1;
        Ok(value)
    }

    /// An inode number, or a name. In quotes it is a name even if it is a number.
    fn netns(&mut self) -> Result<Condition, ParseError> {
        let next = self.tokens.get(self.next + 1).map(|token| &token.kind);
        if let Some(TokenKind::Word(word)) = next
            && let Ok(inode) = word.parse()
        {
            self.next += 2;
            return Ok(Condition::Netns(inode));
        }
        self.pattern("an inode number or a name").map(Condition::NetnsName)
    }

    fn pattern(&mut self, what: &str) -> Result<Pattern, ParseError> {
        self.name(what).map(Pattern)
    }

    fn name(&mut self, what: &str) -> Result<String, ParseError> {
        self.next += 1;
        match self.peek() {
            Some(TokenKind::Word(name) | TokenKind::Quoted(name)) => {
                let name = name.clone();
                self.next += 1;
                Ok(name)
            }
            _ => Err(self.expected(what)),
        }
    }
}

fn number<T: FromStr>(word: &str, what: &str) -> Result<T, String> {
    word.parse().map_err(|_| what.to_owned())
}

/// `N` or `N-M`.
fn ports(word: &str) -> Result<(u16, u16), String> {
    const WHAT: &str = "a port such as 80 or a range such as 8000-8080";
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let (first, last) = (number(first, WHAT)?, number(last, WHAT)?);
    if first > last { Err(WHAT.to_owned()) } else { Ok((first, last)) }
}

/// An address, with or without the length of a prefix; an IPv4-mapped one means the IPv4 address.
fn network(word: &str, needs_length: bool) -> Result<Network, String> {
    const HOST: &str = "an address such as 10.0.0.5 or fd00::5, or a prefix such as 10.0.0.0/24";
    const NETWORK: &str = "a prefix such as 10.0.0.0/24 or fd00::/64";
    const MAPPED_BITS: u8 = 96;
    let what = || if needs_length { NETWORK } else { HOST }.to_owned();

    let (address, length) = match word.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None if needs_length => return Err(what()),
        None => (word, None),
    };
    let written: IpAddr = address.parse().map_err(|_| what())?;
    let longest = Network::longest(written);
    let length: u8 = length.map_or(Ok(longest), |length| length.parse().map_err(|_| what()))?;
    if length > longest {
        return Err(what());
    }
    let canonical = written.to_canonical();
    match length.checked_sub(MAPPED_BITS) {
        Some(length) if canonical != written => Ok(Network::new(canonical, length)),
        _ => Ok(Network::new(written, length)),
    }
}

/// Bytes in hexadecimal, separated by colons.
fn hardware_address(word: &str) -> Result<HardwareAddress, String> {
    let what = || "a hardware address such as 02:00:5e:00:53:01".to_owned();
    let mut bytes = [0; HARDWARE_ADDRESS_BYTES];
    let mut length = 0_u8;
    for (index, part) in word.split(':').enumerate() {
        let is_byte = (1..=2).contains(&part.len()) && part.bytes().all(|digit| digit.is_ascii_hexdigit());
        let place = bytes.get_mut(index).filter(|_| is_byte).ok_or_else(what)?;
        *place = u8::from_str_radix(part, 16).map_err(|_| what())?;
        length += 1;
    }
    Ok(HardwareAddress::new(bytes, length))
}
