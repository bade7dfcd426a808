//! A Rust file cut into code, literals and comments, well enough for rules that look at one of them.

use std::ops::RangeInclusive;

/// A piece of text and the line it begins on, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The line.
    pub line: usize,
    /// The text, without quotes or slashes.
    pub text: String,
}

/// A Rust file, cut.
#[derive(Debug)]
pub(crate) struct RustSource {
    /// The code; every character of a comment or inside quotes is a blank, lines stay lines.
    pub code: Vec<char>,
    /// What stands in quotes.
    pub strings: Vec<Piece>,
    /// What stands in comments, one piece per line.
    pub comments: Vec<Piece>,
    /// Lines that are compiled for tests only.
    tests: Vec<RangeInclusive<usize>>,
}

impl RustSource {
    /// Cuts a file.
    pub(crate) fn read(text: &str) -> Self {
        let mut cutter = Cutter { rest: text.chars().collect(), at: 0, line: 1, code: Vec::new() };
        let (strings, comments) = cutter.cut();
        let mut source = Self { code: cutter.code, strings, comments, tests: Vec::new() };
        source.tests = source.find_tests();
        source
    }

    /// The line a character of [`Self::code`] is on.
    pub(crate) fn line_at(&self, index: usize) -> usize {
        1 + self.code.iter().take(index).filter(|c| **c == '\n').count()
    }

    /// Whether the line belongs to a test.
    pub(crate) fn in_test(&self, line: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&line))
    }

    /// Where `needle` begins in the code.
    pub(crate) fn find<'a>(&'a self, needle: &str) -> impl Iterator<Item = usize> + use<'a> {
        let needle: Vec<char> = needle.chars().collect();
        let last = self.code.len().saturating_sub(needle.len().saturating_sub(1));
        (0..last).filter(move |at| self.code[*at..].starts_with(&needle))
    }

    /// Each attribute's first character and its words, without blanks: `cfg(test)`, `!allow(dead_code)`.
    pub(crate) fn attributes(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for at in self.find("#") {
            let mut open = skip_blanks(&self.code, at + 1);
            let inner = self.code.get(open) == Some(&'!');
            if inner {
                open = skip_blanks(&self.code, open + 1);
            }
            if self.code.get(open) != Some(&'[') {
                continue;
            }
            let close = closing(&self.code, open);
            let words = self.code[open + 1..close].iter().filter(|c| !c.is_whitespace());
            found.push((at, inner.then_some('!').into_iter().chain(words.copied()).collect()));
        }
        found
    }

    fn find_tests(&self) -> Vec<RangeInclusive<usize>> {
        let mut tests = Vec::new();
        for (at, words) in self.attributes() {
            let is_test = words == "test" || words.ends_with("::test") || words.contains("::test(");
            let is_cfg = words.starts_with("cfg(") && has_word(&words, "test");
            if !is_test && (!is_cfg || words.contains("not(test)")) {
                continue;
            }
            let mut end = at;
            while let Some(c) = self.code.get(end) {
                match c {
                    ';' => break,
                    '{' => {
                        end = closing(&self.code, end);
                        break;
                    }
                    '(' | '[' => end = closing(&self.code, end),
                    _ => {}
                }
                end += 1;
            }
            tests.push(self.line_at(at)..=self.line_at(end));
        }
        tests
    }
}

/// Whether `word` stands in `text` by itself.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// Whether a character may be part of a name.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The first character at or after `at` that is no blank.
pub(crate) fn skip_blanks(code: &[char], at: usize) -> usize {
    at + code.iter().skip(at).take_while(|c| c.is_whitespace()).count()
}

/// Where the bracket opened at `open` is closed; the end of the code if it never is.
pub(crate) fn closing(code: &[char], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.iter().enumerate().skip(open) {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    code.len().saturating_sub(1).max(open)
}

/// Where the bracket around `at` was opened.
pub(crate) fn opening(code: &[char], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, c) in code.iter().enumerate().take(at).rev() {
        match c {
            ')' | ']' | '}' => depth += 1,
            '(' | '[' | '{' if depth == 0 => return Some(index),
            '(' | '[' | '{' => depth -= 1,
            _ => {}
        }
    }
    None
}

struct Cutter {
    rest: Vec<char>,
    at: usize,
    line: usize,
    code: Vec<char>,
}

impl Cutter {
    fn cut(&mut self) -> (Vec<Piece>, Vec<Piece>) {
        let (mut strings, mut comments) = (Vec::new(), Vec::new());
        while let Some(c) = self.peek(0) {
            match c {
                '/' if self.peek(1) == Some('/') => comments.push(self.line_comment()),
                '/' if self.peek(1) == Some('*') => self.block_comment(&mut comments),
                '"' => strings.push(self.string()),
                'r' if !self.inside_a_word() => match self.raw_hashes() {
                    Some(hashes) => strings.push(self.raw_string(hashes)),
                    None => self.keep(),
                },
                '\'' => self.quote(),
                _ => self.keep(),
            }
        }
        (strings, comments)
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    fn keep(&mut self) {
        if let Some(c) = self.peek(0) {
            self.code.push(c);
            self.line += usize::from(c == '\n');
            self.at += 1;
        }
    }

    /// Takes a character out of the code, leaving a blank; a line end stays one.
    fn blank(&mut self) -> Option<char> {
        let c = self.peek(0)?;
        self.code.push(if c == '\n' { '\n' } else { ' ' });
        self.line += usize::from(c == '\n');
        self.at += 1;
        Some(c)
    }

    /// Whether the `r` here ends a longer name: `for"` is not a raw string, `br"` is one.
    fn inside_a_word(&self) -> bool {
        let before = |back: usize| self.at.checked_sub(back).and_then(|at| self.rest.get(at));
        match before(1) {
            Some('b' | 'c') => before(2).is_some_and(|c| is_word(*c)),
            Some(c) => is_word(*c),
            None => false,
        }
    }

    fn raw_hashes(&self) -> Option<usize> {
        let hashes = self.rest[self.at + 1..].iter().take_while(|c| **c == '#').count();
        (self.peek(1 + hashes) == Some('"')).then_some(hashes)
    }

    fn line_comment(&mut self) -> Piece {
        let line = self.line;
        let mut text = String::new();
        while self.peek(0).is_some_and(|c| c != '\n') {
            text.extend(self.blank());
        }
        Piece { line, text: text.trim_start_matches(['/', '!']).trim().to_owned() }
    }

    fn block_comment(&mut self, comments: &mut Vec<Piece>) {
        let mut depth = 0_usize;
        let (mut line, mut text) = (self.line, String::new());
        while self.peek(0).is_some() {
            let two = (self.peek(0), self.peek(1));
            if two == (Some('/'), Some('*')) || two == (Some('*'), Some('/')) {
                depth = if two.0 == Some('/') { depth + 1 } else { depth.saturating_sub(1) };
                self.blank();
                self.blank();
                if depth == 0 {
                    break;
                }
                continue;
            }
            match self.blank() {
                Some('\n') => {
                    let text = std::mem::take(&mut text);
                    comments.push(Piece { line, text: text.trim().to_owned() });
                    line = self.line;
                }
                c => text.extend(c),
            }
        }
        comments.push(Piece { line, text: text.trim().to_owned() });
    }

    fn string(&mut self) -> Piece {
        let line = self.line;
        let mut text = String::new();
        self.keep();
        while let Some(c) = self.peek(0) {
            if c == '"' {
                self.keep();
                break;
            }
            self.blank();
            if c == '\\' {
                text.push(' ');
                self.blank();
            } else {
                text.push(c);
            }
        }
        Piece { line, text }
    }

    fn raw_string(&mut self, hashes: usize) -> Piece {
        let line = self.line;
        let mut text = String::new();
        for _ in 0..hashes + 2 {
            self.keep();
        }
        while let Some(c) = self.peek(0) {
            let closes = c == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
            if closes {
                for _ in 0..=hashes {
                    self.keep();
                }
                break;
            }
            text.extend(self.blank());
        }
        Piece { line, text }
    }

    /// A character literal loses its content; a lifetime is code.
    fn quote(&mut self) {
        let is_char = self.peek(1) == Some('\\') || self.peek(2) == Some('\'');
        self.keep();
        if !is_char {
            return;
        }
        if self.blank() == Some('\\') {
            self.blank();
        }
        while self.peek(0).is_some_and(|c| c != '\'' && c != '\n') {
            self.blank();
        }
        self.keep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        RustSource::read(text).code.iter().collect()
    }

    #[test]
    fn words_in_quotes_and_comments_are_not_code() {
        let text =
            "a /* b /* c */ */ d // e\nf(\"g \\\" h\", r#\"i \"j\" \"#, b\"k\", 'l', '\\'', '{')";
        let source = RustSource::read(text);
        let left: String = source.code.iter().collect();
        assert_eq!(
            left,
            "a                 d     \nf(\"      \", r#\"      \"#, b\" \", ' ', '  ', ' ')"
        );
        assert_eq!(left.len(), text.len(), "positions are kept");
        let strings: Vec<&str> = source.strings.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(strings, ["g   h", "i \"j\" ", "k"]);
        let comments: Vec<_> = source.comments.iter().map(|c| (c.line, c.text.as_str())).collect();
        assert_eq!(comments, [(1, "b  c"), (1, "e")]);
    }

    #[test]
    fn lifetimes_do_not_open_a_quote() {
        let text = "fn f<'a>(x: &'a str) -> &'a str { let c = 'x'; x } // 'b";
        assert!(code(text).contains("fn f<'a>(x: &'a str) -> &'a str { let c = ' '; x }"));
    }

    #[test]
    fn a_name_that_ends_in_r_opens_no_raw_string() {
        let source = RustSource::read("for\"a\"; br\"b\\\"; xbr\"c\"");
        let strings: Vec<&str> = source.strings.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(strings, ["a", "b\\", "c"]);
    }

    #[test]
    fn lines_of_tests_are_known_and_no_others() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n#[tokio::test]\nasync fn d() {\n}\n#[cfg(not(test))]\nfn e() {}\n";
        let source = RustSource::read(text);
        let tests: Vec<usize> = (1..=11).filter(|line| source.in_test(*line)).collect();
        assert_eq!(tests, [2, 3, 4, 5, 7, 8, 9]);
    }

    #[test]
    fn attributes_are_read_across_lines() {
        let source = RustSource::read("#![allow(\n  dead_code\n)]\n#[ test ]\nfn a() {}");
        let words: Vec<String> = source.attributes().into_iter().map(|(_, words)| words).collect();
        assert_eq!(words, ["!allow(dead_code)", "test"]);
    }
}
