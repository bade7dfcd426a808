//! Which names a task may set in the environment of its command.

/// Names that make a program load or run something else, whoever allows them.
const HARMFUL: &[&str] = &[
    "BASHOPTS",
    "BASH_ENV",
    "BROWSER",
    "CDPATH",
    "EDITOR",
    "ENV",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "HOME",
    "HOSTALIASES",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LESSCLOSE",
    "LESSOPEN",
    "LOCPATH",
    "MAKEFLAGS",
    "MANPAGER",
    "NLSPATH",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PAGER",
    "PATH",
    "PROMPT_COMMAND",
    "PS4",
    "RES_OPTIONS",
    "RUSTC_WRAPPER",
    "SHELL",
    "SHELLOPTS",
    "SSH_ASKPASS",
    "SUDO_ASKPASS",
    "VISUAL",
    "XDG_CONFIG_HOME",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
];

/// Families of such names.
const HARMFUL_PREFIXES: &[&str] = &[
    "BASH_FUNC",
    "CARGO_",
    "DYLD_",
    "GIT_",
    "LD_",
    "MALLOC_",
    "NPM_CONFIG_",
    "PERL",
    "PIP_",
    "PYTHON",
    "RUBY",
    "RUSTUP_",
];

/// Why a task may not set `name`; none if it may.
pub(super) fn refusal(name: &str, allowed: &[String]) -> Option<String> {
    // Said of a name from outside, so it is quoted with its control characters escaped.
    let shown: String = name.chars().take(60).collect();
    if name.is_empty()
        || !name.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '_')
        || name.starts_with(|sign: char| sign.is_ascii_digit())
    {
        return Some(format!("{shown:?} is no name of an environment variable"));
    }
    let upper = name.to_ascii_uppercase();
    if HARMFUL.contains(&upper.as_str())
        || HARMFUL_PREFIXES.iter().any(|prefix| upper.starts_with(prefix))
    {
        return Some(format!("{shown} can make a program run another one and is never passed on"));
    }
    if allowed.iter().any(|entry| entry == name) {
        return None;
    }
    Some(format!("{shown} is not among the variables a task may set: {}", allowed.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_harmful_name_is_refused_even_if_it_is_allowed() {
        for name in [
            "LD_PRELOAD",
            "ld_preload",
            "LD_LIBRARY_PATH",
            "DYLD_INSERT_LIBRARIES",
            "BASH_ENV",
            "ENV",
            "PYTHONSTARTUP",
            "PYTHONPATH",
            "PERL5OPT",
            "RUBYOPT",
            "NODE_OPTIONS",
            "GIT_SSH_COMMAND",
            "GIT_EXTERNAL_DIFF",
            "GIT_CONFIG_COUNT",
            "PAGER",
            "PATH",
            "IFS",
            "HOME",
        ] {
            let refused = refusal(name, &[name.to_owned()]);
            assert!(refused.is_some_and(|why| why.contains("never passed on")), "{name}");
        }
    }

    #[test]
    fn only_allowed_names_pass() {
        let allowed = ["TZ".to_owned()];
        assert_eq!(refusal("TZ", &allowed), None);
        assert!(refusal("tz", &allowed).is_some());
        assert!(refusal("OTHER", &allowed).is_some_and(|why| why.contains("TZ")));
        for odd in ["", "A=B", "A\nB", "1A", "Ä", "A\0"] {
            let why = refusal(odd, &[odd.to_owned()]).expect(odd);
            assert!(!why.contains('\n') && !why.contains('\0'), "{why:?}");
        }
    }
}
