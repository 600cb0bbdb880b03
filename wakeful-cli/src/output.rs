//! Lines for people, coloured on a terminal.

use std::fmt;
use std::io::{self, Write};
use std::time::Instant;

use owo_colors::OwoColorize;

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
    start: Instant,
}

impl Output {
    pub(crate) fn new() -> Output {
        Output { stream: Box::new(anstream::stdout()), start: Instant::now() }
    }

    /// For those whose standard output is somebody else's.
    pub(crate) fn to_stderr() -> Output {
        Output { stream: Box::new(anstream::stderr()), start: Instant::now() }
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
