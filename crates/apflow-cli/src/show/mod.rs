//! How things are written: data to standard output, talk to standard error.

pub(crate) mod data;
pub(crate) mod moment;
pub(crate) mod sheet;
pub(crate) mod table;
pub(crate) mod tree;

use std::{
    fmt::Write as _,
    io::{ErrorKind, Write as _},
    time::Duration,
};

use anstyle::{AnsiColor, Style};

use crate::error::CliError;

/// Writes data to standard output.
pub(crate) fn data(text: &str) -> Result<(), CliError> {
    let mut out = anstream::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| {
        if text.ends_with('\n') || text.is_empty() { Ok(()) } else { out.write_all(b"\n") }
    });
    match written.and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(CliError::NobodyReads),
        Err(error) => {
            Err(CliError::internal("standard output cannot be written").because(error.to_string()))
        }
    }
}

/// Writes talk to standard error; nobody can be told if that fails.
pub(crate) fn say(text: &str) {
    let mut err = anstream::stderr().lock();
    let _ = err.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = err.write_all(b"\n");
    }
}

/// How many cells a line of the terminal has; none where data does not go to one.
pub(crate) fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns >= 20)
}

/// Asks a person who can answer; `None` where nobody can.
pub(crate) fn ask(question: &str) -> Option<bool> {
    use std::io::{BufRead as _, IsTerminal as _};
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return None;
    }
    let mut err = anstream::stderr();
    let _ = write!(err, "{} [y/N] ", plain(question));
    let _ = err.flush();
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).ok()?;
    Some(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}

/// Writes a warning to standard error.
pub(crate) fn warn(text: &str) {
    const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
    say(&format!("{YELLOW}warning{YELLOW:#}: {}", plain_lines(text)));
}

/// Whether a character could steer the terminal or turn the direction of reading.
fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The text on one line, with everything that could steer a terminal written out.
pub(crate) fn plain(text: &str) -> String {
    escaped(text, false)
}

/// The same, but lines stay lines.
pub(crate) fn plain_lines(text: &str) -> String {
    escaped(text, true)
}

fn escaped(text: &str, lines: bool) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' if lines => safe.push('\n'),
            '\t' => safe.push(' '),
            '\n' => safe.push_str("\\n"),
            letter if steers(letter) => {
                let _ = write!(safe, "{}", letter.escape_unicode());
            }
            letter => safe.push(letter),
        }
    }
    safe
}

/// A word as it is typed in a shell.
pub(crate) fn quoted(word: &str) -> String {
    let harmless = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@".contains(letter);
    if !word.is_empty() && word.chars().all(harmless) {
        return word.to_owned();
    }
    format!("'{}'", plain(word).replace('\'', r"'\''"))
}

/// `1 task`, `2 tasks`.
pub(crate) fn count(number: usize, of: &str) -> String {
    if number == 1 { format!("1 {of}") } else { format!("{number} {of}s") }
}

/// The text on one line, cut after `most` characters.
pub(crate) fn short(text: &str, most: usize) -> String {
    let mut short: String = text.chars().take(most).collect();
    if text.chars().nth(most).is_some() {
        short.pop();
        short.push('…');
    }
    plain(&short)
}

/// A time as people say it: `3 ms`, `1.2 s`, `4 min 10 s`.
pub(crate) fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    match (time.as_millis(), seconds) {
        (0..=94, _) => format!("{} ms", time.as_millis()),
        (_, 0..=59) => format!("{:.1} s", time.as_secs_f64()),
        (_, 60..=3599) => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let said = |ms| time(Duration::from_millis(ms));
        assert_eq!(said(3), "3 ms");
        assert_eq!(said(95), "0.1 s");
        assert_eq!(said(1234), "1.2 s");
        assert_eq!(said(250_000), "4 min 10 s");
        assert_eq!(said(7_260_000), "2 h 1 min");
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\nc\td"), "a\\u{1b}[31mb\\nc d");
        assert_eq!(plain_lines("a\nb\u{7}"), "a\nb\\u{7}");
        assert_eq!(plain("\u{202e}evil"), "\\u{202e}evil");
        assert_eq!(short("abcdef", 4), "abc…");
    }
}
