//! Lines for people, coloured on a terminal.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use owo_colors::OwoColorize;
use wakeful_kernel::poll::{PollFd, poll};
use wakeful_kernel::readiness::Readiness;

/// Standard output failed.
#[derive(Debug)]
pub(crate) struct OutputError(pub(crate) io::Error);

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output")
    }
}

impl std::error::Error for OutputError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Prints lines; every one reaches its reader at once.
pub(crate) struct Output {
    stream: Box<dyn Write>,
    /// Of the stream.
    descriptor: OwnedFd,
    start: Instant,
}

impl Output {
    pub(crate) fn new() -> io::Result<Output> {
        let descriptor = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Output { stream: Box::new(anstream::stdout()), descriptor, start: Instant::now() })
    }

    /// For those whose standard output is somebody else's.
    pub(crate) fn to_stderr() -> io::Result<Output> {
        let descriptor = io::stderr().as_fd().try_clone_to_owned()?;
        Ok(Output { stream: Box::new(anstream::stderr()), descriptor, start: Instant::now() })
    }

    /// Waits until a line can be written. False: something is to be read from the other descriptor first, or
    /// the time is over.
    pub(crate) fn is_writable_before(
        &self,
        other: &impl AsFd,
        timeout: Option<Duration>,
    ) -> io::Result<bool> {
        let mut fds =
            [PollFd::new(&self.descriptor, Readiness::OUT), PollFd::new(other, Readiness::IN)];
        Ok(poll(&mut fds, timeout)? > 0 && !fds[1].readiness().contains(Readiness::IN))
    }

    pub(crate) fn line(&mut self, text: impl fmt::Display) -> Result<(), OutputError> {
        writeln!(self.stream, "{text}").and_then(|()| self.stream.flush()).map_err(OutputError)
    }

    /// A line of a log: when, who, what.
    pub(crate) fn log(&mut self, who: &str, what: impl fmt::Display) -> Result<(), OutputError> {
        let when = format!("{:8.1} ms", self.start.elapsed().as_secs_f64() * 1e3);
        self.line(format_args!("{}  {:<9} {what}", when.dimmed(), who.cyan()))
    }
}
