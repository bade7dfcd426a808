//! A look at the text of an expression before the parser sees it: the parser goes as deep as the text does.

use super::MAX_SOURCE;

/// The most signs, points, bars and words that join or turn values.
pub(super) const MOST_OPERATORS: usize = 128;
/// The most of them that put texts together.
const MOST_JOINS: usize = 32;
/// The most brackets inside one another.
pub(super) const MOST_DEEP: usize = 32;

/// Words that work like signs.
const WORDS: [&str; 7] = ["not", "and", "or", "in", "is", "if", "else"];

/// Why a source may not be parsed.
pub(super) fn scan(source: &str) -> Result<(), String> {
    if source.len() > MAX_SOURCE {
        return Err(format!("it is longer than {MAX_SOURCE} bytes"));
    }
    if source.trim().is_empty() {
        return Err("there is nothing in it".to_owned());
    }
    let mut deep = 0_usize;
    let (mut operators, mut joins) = (0_usize, 0_usize);
    let mut letters = Letters { rest: source };
    while let Some(piece) = letters.next() {
        match piece {
            Piece::Text => {}
            Piece::Word(word) => operators += usize::from(WORDS.contains(&word)),
            Piece::Sign(sign) => match sign {
                '(' | '[' | '{' => {
                    deep += 1;
                    operators += 1;
                    if deep > MOST_DEEP {
                        return Err(format!("its brackets are more than {MOST_DEEP} deep"));
                    }
                }
                ')' | ']' | '}' => deep = deep.saturating_sub(1),
                '*' => {
                    return Err("`*` would repeat texts and lists without bound; \
                        write `times(a, b)` to multiply"
                        .to_owned());
                }
                '+' | '~' => {
                    operators += 1;
                    joins += 1;
                }
                ',' | ':' => {}
                // The parser stops without a word at a letter that is none of the language.
                '!' if !letters.rest.starts_with('=') => return Err(stray(sign)),
                '.' | '|' | '-' | '/' | '%' | '<' | '>' | '=' | '!' => operators += 1,
                _ => return Err(stray(sign)),
            },
        }
        if operators > MOST_OPERATORS {
            return Err(format!("it has more than {MOST_OPERATORS} operators, points and bars"));
        }
        if joins > MOST_JOINS {
            return Err(format!("it adds and joins more than {MOST_JOINS} times"));
        }
    }
    Ok(())
}

fn stray(sign: char) -> String {
    format!("`{sign}` means nothing there")
}

/// How many bytes lie before the `}}` that ends an expression.
pub(super) fn end_of_braces(inside: &str) -> Option<usize> {
    let mut deep = 0_usize;
    let mut letters = Letters { rest: inside };
    loop {
        match letters.next()? {
            Piece::Sign('{') => deep += 1,
            Piece::Sign('}') if deep > 0 => deep -= 1,
            Piece::Sign('}') if letters.rest.starts_with('}') => {
                return Some(inside.len() - letters.rest.len() - 1);
            }
            _ => {}
        }
    }
}

enum Piece<'a> {
    /// A text in quotes; the quotes may be open at the end.
    Text,
    /// A name or a number.
    Word(&'a str),
    /// Anything else but space.
    Sign(char),
}

/// The pieces of a source, cut as the language cuts them.
struct Letters<'a> {
    rest: &'a str,
}

impl<'a> Letters<'a> {
    fn next(&mut self) -> Option<Piece<'a>> {
        self.rest = self.rest.trim_start();
        let first = self.rest.chars().next()?;
        if first == '"' || first == '\'' {
            self.rest = &self.rest[1..];
            let mut escaped = false;
            while let Some(letter) = self.rest.chars().next() {
                self.rest = &self.rest[letter.len_utf8()..];
                match letter {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    _ if letter == first => break,
                    _ => {}
                }
            }
            return Some(Piece::Text);
        }
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        if is_word(first) {
            let end = self.rest.find(|letter| !is_word(letter)).unwrap_or(self.rest.len());
            let (word, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Some(Piece::Word(word));
        }
        self.rest = &self.rest[first.len_utf8()..];
        Some(Piece::Sign(first))
    }
}
