//! A running program with everything it started: one process group that ends as one.

use std::{io, process::ExitStatus, time::Duration};

use apflow_core::executor::Context;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, Command},
    time::{sleep, timeout},
};

/// How long the pipes may stay open after the program and its group are gone: a process that left
/// the group may still hold them.
const LINGER: Duration = Duration::from_millis(500);

/// How a program came to its end.
pub(crate) enum End {
    /// By itself.
    Exited(ExitStatus),
    /// Its time was over.
    TimedOut,
    /// The task was cancelled.
    Cancelled,
}

/// The first bytes of a stream; the rest is read and forgotten, so that the writer is not held up.
pub(crate) struct Captured {
    kept: Vec<u8>,
    limit: usize,
    /// Something was left out.
    pub(crate) truncated: bool,
}

impl Captured {
    pub(crate) fn up_to(limit: usize) -> Self {
        Self { kept: Vec::new(), limit, truncated: false }
    }

    fn take(&mut self, bytes: &[u8]) {
        let room = self.limit - self.kept.len();
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.truncated |= bytes.len() > room;
    }

    /// What was kept as text that any database can hold, trimmed.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.kept).trim().replace('\0', "\u{fffd}")
    }
}

/// What is to be known about the run of one program.
pub(crate) struct Run<'a> {
    pub(crate) input: Option<&'a str>,
    pub(crate) time: Duration,
    /// Between the request to end and the kill.
    pub(crate) grace: Duration,
    /// Says when the task is cancelled.
    pub(crate) context: &'a Context,
}

/// Kills the group when it is dropped, whatever happens to the future that holds it.
struct Group {
    id: Option<Pid>,
}

impl Group {
    /// Asks every process of the group to end.
    fn ask(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends every process of the group.
    ///
    /// The leader may have been reaped a moment ago, but no await lies between: its number is not
    /// given to another group so soon. Afterwards the number is forgotten.
    fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.id = None;
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.id
            && let Err(error) = kill_process_group(id, signal)
            && error != rustix::io::Errno::SRCH
        {
            tracing::warn!(group = id.as_raw_nonzero().get(), %error, "a process group stays");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs `command` in a group of its own until it ends, its time is over or the task is cancelled.
///
/// When this returns, or when its future is dropped, nothing of the group is left running.
pub(crate) async fn run(
    mut command: Command,
    run: Run<'_>,
    started: impl FnOnce(Pid),
    stdout: &mut Captured,
    stderr: &mut Captured,
) -> io::Result<End> {
    command.process_group(0).kill_on_drop(true);
    let mut child = command.spawn()?;
    // Declared after the child, so dropped before it: the group is killed while its number is ours.
    let mut group = Group { id: leader(&child) };
    if let Some(id) = group.id {
        started(id);
    }
    let pipes = (child.stdout.take(), child.stderr.take(), child.stdin.take());
    let flow = async {
        tokio::join!(
            drain(pipes.0, stdout),
            drain(pipes.1, stderr),
            feed(pipes.2, run.input.unwrap_or_default()),
        );
    };
    tokio::pin!(flow);
    let mut flowing = true;
    let over = sleep(run.time);
    tokio::pin!(over);

    let end = loop {
        tokio::select! {
            biased;
            () = run.context.cancelled.cancelled() => break End::Cancelled,
            () = &mut over => break End::TimedOut,
            status = child.wait() => break End::Exited(status?),
            () = &mut flow, if flowing => flowing = false,
        }
    };
    if let End::Exited(_) = end {
        // What the program left in the background would hold the pipes, and nobody would end it.
        group.kill();
        if flowing {
            let _ = timeout(LINGER, &mut flow).await;
        }
        return Ok(end);
    }
    group.ask();
    let _ = timeout(run.grace, async {
        loop {
            tokio::select! {
                _ = child.wait() => break,
                () = &mut flow, if flowing => flowing = false,
            }
        }
    })
    .await;
    group.kill();
    child.wait().await?;
    Ok(end)
}

/// The leader of the group, which is the child itself.
fn leader(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
}

async fn drain(from: Option<impl AsyncRead + Unpin>, into: &mut Captured) {
    let Some(mut from) = from else { return };
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        into.take(&chunk[..count]);
    }
}

async fn feed(into: Option<ChildStdin>, text: &str) {
    let Some(mut into) = into else { return };
    // A program that does not read to the end closes the pipe; that is its right.
    let _ = into.write_all(text.as_bytes()).await;
    let _ = into.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_keeps_the_head_and_says_so() {
        let mut captured = Captured::up_to(4);
        captured.take(b"ab");
        assert!(!captured.truncated);
        captured.take(b"cd");
        assert!(!captured.truncated, "exactly full is not cut");
        captured.take(b"e");
        assert!(captured.truncated);
        assert_eq!(captured.text(), "abcd");
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let mut captured = Captured::up_to(100);
        captured.take(b" a\xffb\0c\n");
        assert_eq!(captured.text(), "a\u{fffd}b\u{fffd}c");
    }
}
