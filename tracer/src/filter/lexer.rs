//! From text to tokens.

use std::ops::Range;

use super::ParseError;

/// One word or sign, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// In bytes of the expression.
    pub(super) span: Range<usize>,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A word as it stands.
    Word(String),
    /// A word in double quotes, without them; never a word of the language.
    Quoted(String),
    Open,
    Close,
    Less,
}

/// Whether a character ends a word that is not quoted.
pub(super) fn ends_word(character: char) -> bool {
    character.is_whitespace() || matches!(character, '(' | ')' | '<' | '"')
}

/// The tokens of an expression.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    let mut tokens = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((start, character)) = rest.next() {
        let kind = match character {
            _ if character.is_whitespace() => continue,
            '(' => TokenKind::Open,
            ')' => TokenKind::Close,
            '<' => TokenKind::Less,
            '"' => TokenKind::Quoted(quoted(text, start, &mut rest)?),
            _ => {
                let mut word = String::from(character);
                while let Some((_, next)) = rest.next_if(|&(_, next)| !ends_word(next)) {
                    word.push(next);
                }
                TokenKind::Word(word)
            }
        };
        let end = rest.peek().map_or(text.len(), |&(end, _)| end);
        tokens.push(Token { kind, span: start..end });
    }
    Ok(tokens)
}

/// The rest of a quoted word, its closing quote taken.
fn quoted(
    text: &str,
    start: usize,
    rest: &mut impl Iterator<Item = (usize, char)>,
) -> Result<String, ParseError> {
    let unclosed = || ParseError::new(text, start..text.len(), "this quote is not closed".to_owned());
    let mut word = String::new();
    loop {
        match rest.next().ok_or_else(unclosed)?.1 {
            '"' => return Ok(word),
            '\\' => word.push(rest.next().ok_or_else(unclosed)?.1),
            character => word.push(character),
        }
    }
}
