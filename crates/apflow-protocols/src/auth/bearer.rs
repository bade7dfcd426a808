//! Taking the token out of the headers of a request.

/// The most bytes of a token.
pub const MAX_TOKEN: usize = 8 << 10;

/// What a request shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Presented<'a> {
    /// Nothing at all.
    Nothing,
    /// A token.
    Token(&'a str),
    /// Something that is no bearer token: another scheme, two of them, or too long.
    Malformed,
}

impl std::fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Token(_) => "Token(…)",
            Self::Malformed => "Malformed",
        })
    }
}

/// Reads the values of all `Authorization` headers of a request.
///
/// Cookies and addresses are not looked at: browsers send the first by themselves, and logs keep the
/// second.
pub fn presented<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Presented<'a> {
    let mut values = values.into_iter();
    let Some(value) = values.next() else { return Presented::Nothing };
    if values.next().is_some() || value.len() > MAX_TOKEN + "Bearer ".len() {
        return Presented::Malformed;
    }
    let token = std::str::from_utf8(value).ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        let good =
            scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.bytes().all(plain);
        good.then_some(token)
    });
    token.map_or(Presented::Malformed, Presented::Token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> String {
        match presented(values.iter().map(|value| value.as_bytes())) {
            Presented::Token(token) => token.to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a13_only_one_bearer_header_shows_a_token() {
        assert_eq!(read(&["Bearer abc.def-_"]), "abc.def-_");
        assert_eq!(read(&["bearer abc"]), "abc");
        assert_eq!(read(&[]), "Nothing");
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer  a",
            "Bearer a b",
            "abc",
            "Basic abc",
            "Bearer é",
            "Bearer a,b",
        ] {
            assert_eq!(read(&[wrong]), "Malformed", "{wrong:?}");
        }
        assert_eq!(read(&["Bearer abc", "Bearer abc"]), "Malformed");
        assert_eq!(read(&[&format!("Bearer {}", "a".repeat(MAX_TOKEN))]).len(), MAX_TOKEN);
        assert_eq!(read(&[&format!("Bearer {}", "a".repeat(MAX_TOKEN + 1))]), "Malformed");
    }

    #[test]
    fn l3_debug_does_not_show_a_token() {
        let shown = format!("{:?}", Presented::Token("CANARY"));
        assert!(!shown.contains("CANARY"), "{shown}");
    }
}
