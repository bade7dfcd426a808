//! `apflow tasks webhook-url`: how a system outside triggers a task, ready to be copied.

#![expect(clippy::doc_markdown, reason = "clap shows the comments word for word")]

use std::fmt::Write as _;

use apflow::core::{
    id::{TaskId, check_id},
    webhook::standard_secret,
};
use clap::Args;
use serde_json::json;

use crate::{
    access,
    args::{Format, Output},
    config::Settings,
    error::{CliError, Exit},
    show::{
        self,
        sheet::{self, Sheet},
    },
};

#[derive(Debug, Args)]
pub(crate) struct WebhookUrl {
    /// The task.
    pub(crate) id: String,
    /// Where the server is reached [default: server.base_url, or http://localhost:8000]
    #[arg(short, long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// Also print the secret that Standard Webhooks senders need for this task.
    #[arg(long)]
    pub(crate) show_secret: bool,
}

pub(crate) fn show(
    args: &WebhookUrl,
    format: &Format,
    settings: &Settings,
) -> Result<Exit, CliError> {
    if let Some(why) = check_id(&args.id) {
        return Err(CliError::usage("that is no task id").because(why));
    }
    let base = match (&args.base_url, &settings.server.base_url) {
        (Some(given), _) => base(given)?,
        (None, Some(configured)) => base(configured.whole())?,
        (None, None) => "http://localhost:8000",
    };
    let secrets = access::webhooks(settings)?.secrets;
    let signed = !secrets.is_empty();
    let url = format!("{base}/webhook/trigger/{}", encoded(&args.id));
    let curl = curl(&url, &args.id, signed);
    let mut said = json!({
        "url": url, "method": "POST", "curl": curl, "cron": cron(&curl, &args.id),
    });
    if signed {
        said["signature_header"] = json!("X-Webhook-Signature");
        said["timestamp_header"] = json!("X-Webhook-Timestamp");
        said["signature_format"] =
            json!("hex(HMAC-SHA256(secret, TIMESTAMP + '.' + TASK_ID + NUL + BODY))");
    }
    if args.show_secret {
        let Some(secret) = secrets.first() else {
            return Err(CliError::usage("there is no secret to show")
                .help(format!("set {} first", access::WEBHOOK_SECRET)));
        };
        let secret = standard_secret(secret, &TaskId::new(args.id.as_str()));
        said["standard_webhooks_secret"] = json!(secret.reveal());
    }
    if format.output == Output::Id {
        show::data(&format!("{url}\n"))?;
        return Ok(Exit::Ok);
    }
    sheet::write(&said, Sheet::Fields, format)?;
    Ok(Exit::Ok)
}

/// The base of the address, which goes into commands as it is.
fn base(text: &str) -> Result<&str, CliError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/[]".contains(&byte);
    let good =
        (text.starts_with("http://") || text.starts_with("https://")) && text.bytes().all(plain);
    if good {
        return Ok(text.trim_end_matches('/'));
    }
    Err(CliError::usage("--base-url is no address of a server")
        .help("write it like https://apflow.example:8000"))
}

/// An id as part of an address: only letters, digits and what is safe everywhere stays as it is.
fn encoded(id: &str) -> String {
    id.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) && !is_dots(id) {
            text.push(char::from(byte));
        } else {
            // Writing into a text does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// `.` and `..` mean something else in an address.
fn is_dots(id: &str) -> bool {
    id == "." || id == ".."
}

/// An id as part of a format of `printf` between single quotes: one line, whatever is in it.
fn formatted(id: &str) -> String {
    id.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_./:@".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing into a text does not fail.
            let _ = write!(text, "\\{byte:03o}");
        }
        text
    })
}

/// A command for a shell that triggers the task.
fn curl(url: &str, id: &str, signed: bool) -> String {
    if !signed {
        return format!("curl -fsS -X POST '{url}'");
    }
    let id = formatted(id);
    let secret = access::WEBHOOK_SECRET;
    format!(
        "ts=$(date +%s); curl -fsS -X POST -H \"X-Webhook-Timestamp: $ts\" \
         -H \"X-Webhook-Signature: $(printf '%s.{id}\\000' \"$ts\" | openssl dgst -sha256 -hmac \
         \"${secret}\" -r | cut -d' ' -f1)\" '{url}'"
    )
}

/// The same as a line of a crontab, in which a percent sign ends the command.
fn cron(curl: &str, id: &str) -> String {
    format!("*/5 * * * * {curl} # apflow task {}", encoded(id)).replace('%', "\\%")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const HOSTILE: [&str; 8] = [
        "a\n* * * * * root id",
        "$(id)",
        "`id`",
        "a'; id; '",
        "a\"; id; \"",
        "%s%n",
        "\\0\\n",
        "é 任务",
    ];

    #[test]
    fn w7_whatever_an_id_holds_stays_one_line_of_harmless_letters() {
        for id in HOSTILE.into_iter().chain([".", "..", "x y"]) {
            for signed in [false, true] {
                let url = format!("http://localhost:8000/webhook/trigger/{}", encoded(id));
                let curl = curl(&url, id, signed);
                let line = cron(&curl, id);
                for text in [&curl, &line] {
                    assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
                }
                // Every percent sign of a crontab is escaped.
                assert!(!line.replace("\\%", "").contains('%'), "{line}");
                let path = encoded(id);
                assert!(path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~%".contains(&b)));
                assert!(path != "." && path != "..");
            }
        }
        assert_eq!(encoded("report-1.a"), "report-1.a");
    }

    #[test]
    fn w7_a_shell_signs_exactly_the_id() {
        for id in HOSTILE {
            let script = format!("printf '%s.{}\\000' \"$0\"", formatted(id));
            let output = Command::new("sh").args(["-c", &script, "17"]).output().expect("a shell");
            assert_eq!(output.stdout, format!("17.{id}\0").as_bytes(), "{script}");
        }
    }

    #[test]
    fn w7_a_base_that_would_leave_its_quotes_is_refused() {
        assert_eq!(base("https://a.example:1/x/").ok(), Some("https://a.example:1/x"));
        for wrong in
            ["", "ftp://a", "http://a'b", "http://a b", "http://a\nb", "http://a$(id)", "a"]
        {
            assert!(base(wrong).is_err(), "{wrong}");
        }
    }
}
