//! Lines of an iCalendar document: folded by octets, ended by CRLF, with texts that stay inside.

use std::fmt::Write;

/// The longest line, its end not counted.
const MOST_OCTETS: usize = 75;

/// The lines written so far.
#[derive(Debug, Default)]
pub(super) struct Lines(String);

impl Lines {
    /// Adds one line; what is too long goes on in the next one, behind a space.
    pub(super) fn add(&mut self, line: impl AsRef<str>) {
        let mut room = MOST_OCTETS;
        for letter in line.as_ref().chars() {
            if letter.len_utf8() > room {
                self.0.push_str("\r\n ");
                room = MOST_OCTETS - 1;
            }
            self.0.push(letter);
            room -= letter.len_utf8();
        }
        self.0.push_str("\r\n");
    }

    /// The document.
    pub(super) fn text(self) -> String {
        self.0
    }
}

/// A text as a value: separators escaped, line ends as `\n`, other control characters left out.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' | ';' | ',' => safe.extend(['\\', letter]),
            '\r' if letters.peek() == Some(&'\n') => {}
            '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => safe.push_str("\\n"),
            '\t' => safe.push(' '),
            letter if letter.is_control() => {}
            letter => safe.push(letter),
        }
    }
    safe
}

/// An address to which a path can be added, if it is one that fits on a line.
pub(super) fn base(url: &str) -> Option<&str> {
    let plain = url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
    let web = url.starts_with("https://") || url.starts_with("http://");
    (plain && web).then(|| url.trim_end_matches('/'))
}

/// A text as one part of a path.
pub(super) fn url_part(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut part, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            part.push(char::from(byte));
        } else {
            let written = write!(part, "%{byte:02X}");
            debug_assert!(written.is_ok(), "a String takes everything");
        }
        part
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_folded_by_octets_and_never_inside_a_letter() {
        for letter in ["a", "é", "あ", "🚂"] {
            for before in 0..5 {
                let line = format!("{}{}", "x".repeat(before), letter.repeat(100));
                let mut lines = Lines::default();
                lines.add(&line);
                let text = lines.text();
                assert!(text.split("\r\n").all(|part| part.len() <= 75), "{text}");
                assert_eq!(text.replace("\r\n ", "").trim_end_matches("\r\n"), line);
            }
        }
    }

    #[test]
    fn a_text_cannot_leave_its_line() {
        let text = "a\r\nEND:VEVENT\nb\rc;d,e\\f\u{0}\u{7}\tg\u{2028}h\u{85}i";
        assert_eq!(escaped(text), "a\\nEND:VEVENT\\nb\\nc\\;d\\,e\\\\f g\\nh\\ni");
        assert!(!escaped(text).contains(['\r', '\n']));
    }

    #[test]
    fn an_address_is_plain_or_left_out() {
        assert_eq!(base("https://example.org/flow/"), Some("https://example.org/flow"));
        for odd in ["https://example.org/\r\nX:y", "javascript:alert(1)", "https://a b", ""] {
            assert_eq!(base(odd), None, "{odd}");
        }
        assert_eq!(url_part("run/a b\r\n"), "run%2Fa%20b%0D%0A");
    }
}
