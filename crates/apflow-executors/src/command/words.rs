//! Splits a command line into words, and refuses what only a shell could do.

/// The words of `line`, with single quotes, double quotes and backslashes understood.
///
/// The error says what was found; nothing of the line but that one sign is repeated.
pub(super) fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut signs = line.chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match signs.next() {
                        Some('\'') => break,
                        Some(inside) => word.push(inside),
                        None => return Err("a single quote is not closed".to_owned()),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match signs.next() {
                        Some('"') => break,
                        Some('\\') => match signs.next() {
                            Some(escaped @ ('"' | '\\' | '$' | '`')) => word.push(escaped),
                            Some(other) => word.extend(['\\', other]),
                            None => return Err("a double quote is not closed".to_owned()),
                        },
                        Some(expanded @ ('$' | '`')) => {
                            refuse_expansion(expanded, signs.peek().copied())?;
                            word.push(expanded);
                        }
                        Some(inside) => word.push(inside),
                        None => return Err("a double quote is not closed".to_owned()),
                    }
                }
            }
            '\\' => match signs.next() {
                Some('\n') | None => {
                    return Err("a backslash stands at the end of a line".to_owned());
                }
                Some(escaped) => word.get_or_insert_default().push(escaped),
            },
            '\n' | '\r' => return Err("a line break outside quotes".to_owned()),
            ';' | '|' | '&' | '>' | '<' | '(' | ')' => return Err(shell_sign(sign)),
            '$' | '`' => {
                refuse_expansion(sign, signs.peek().copied())?;
                word.get_or_insert_default().push(sign);
            }
            _ if sign.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(sign),
        }
    }
    words.extend(word);
    Ok(words)
}

/// A `$` alone is a dollar; before a name, a brace or a parenthesis a shell would replace it.
fn refuse_expansion(sign: char, next: Option<char>) -> Result<(), String> {
    let replaced = sign == '`'
        || next.is_some_and(|next| {
            next == '_' || next == '(' || next == '{' || next.is_alphanumeric()
        });
    if replaced { Err(shell_sign(sign)) } else { Ok(()) }
}

fn shell_sign(sign: char) -> String {
    format!("`{sign}` means something to a shell only, and there is none here; quote it with '…'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_make_words() {
        let cases: [(&str, &[&str]); 9] = [
            ("", &[]),
            ("  echo   hi  ", &["echo", "hi"]),
            ("echo 'a b'c", &["echo", "a bc"]),
            ("echo '' \"\"", &["echo", "", ""]),
            (r#"echo "a \"b\" \n \$x""#, &["echo", r#"a "b" \n $x"#]),
            (r"echo a\ b \;", &["echo", "a b", ";"]),
            ("awk '{print $1; exit}'", &["awk", "{print $1; exit}"]),
            ("echo 5$ \"$ 5\"", &["echo", "5$", "$ 5"]),
            ("git\tlog --format=%h", &["git", "log", "--format=%h"]),
        ];
        for (line, words) in cases {
            assert_eq!(split(line).as_deref(), Ok(words.map_to_strings().as_slice()), "{line}");
        }
    }

    #[test]
    fn what_only_a_shell_could_do_is_refused() {
        for line in [
            "echo hi; id",
            "echo hi && id",
            "echo hi | id",
            "echo hi &",
            "echo $(id)",
            "echo `id`",
            "echo \"$(id)\"",
            "echo \"`id`\"",
            "echo $HOME",
            "echo ${HOME}",
            "echo \"$HOME\"",
            "echo hi > file",
            "cat < file",
            "(id)",
            "echo hi\nid",
            "echo hi\rid",
            "echo hi \\\nid",
        ] {
            let refused = split(line).expect_err(line);
            assert!(!refused.contains("echo"), "{refused}");
        }
    }

    #[test]
    fn an_open_quote_is_refused() {
        for line in ["echo 'a", "echo \"a", "echo \"a\\", "echo a\\"] {
            assert!(split(line).is_err(), "{line}");
        }
    }

    trait MapToStrings {
        fn map_to_strings(&self) -> Vec<String>;
    }

    impl MapToStrings for &[&str] {
        fn map_to_strings(&self) -> Vec<String> {
            self.iter().map(|word| (*word).to_owned()).collect()
        }
    }
}
