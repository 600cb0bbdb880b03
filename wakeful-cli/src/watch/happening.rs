//! What is told of an event: a line for people, or a JSON object.

use std::fmt::{self, Write};
use std::os::unix::ffi::OsStrExt;

use jiff::{Timestamp, Zoned};
use owo_colors::OwoColorize;
use serde::Serialize;
use wakeful::watch::{Change, Kind};

/// Something that was waited for.
#[derive(Debug, Serialize)]
pub(super) struct Happening {
    /// When it was found, in UTC.
    time: String,
    #[serde(flatten)]
    pub(super) what: What,
}

#[derive(Debug, Serialize)]
#[serde(tag = "source", rename_all = "lowercase")]
pub(super) enum What {
    File {
        kind: String,
        path: String,
        /// Its bytes, if it is no text.
        #[serde(skip_serializing_if = "Option::is_none")]
        path_hex: Option<String>,
        is_directory: bool,
        /// The same in both halves of a rename.
        #[serde(skip_serializing_if = "Option::is_none")]
        cookie: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    Every {
        /// How many periods are over since the last one that was told.
        count: u64,
    },
    At {
        time_of: String,
    },
    Signal {
        name: String,
        number: i32,
        count: u32,
    },
    Pid {
        pid: u32,
    },
    Stdin(Input),
    Fd {
        fd: i32,
        #[serde(flatten)]
        input: Input,
    },
    Listen {
        address: String,
        peer: String,
    },
    Connect {
        address: String,
        /// `connected` or `closed`.
        kind: &'static str,
    },
}

impl What {
    pub(super) fn of_change(change: &Change) -> What {
        let cookie = match change.kind {
            Kind::RenamedFrom(cookie) | Kind::RenamedTo(cookie) => Some(cookie),
            _ => None,
        };
        let bytes = change.path.as_os_str().as_bytes();
        let hex = || bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        What::File {
            kind: change.kind.to_string(),
            path: change.path.to_string_lossy().into_owned(),
            path_hex: change.path.to_str().is_none().then(hex),
            is_directory: change.is_directory,
            cookie,
            error: change.error().map(ToString::to_string),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub(super) enum Input {
    Line {
        text: String,
    },
    End,
    /// It is ready, and it is nothing that could be read.
    Ready,
}

impl Happening {
    pub(super) fn now(what: What) -> Happening {
        Happening { time: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(), what }
    }

    pub(super) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// A line for people, with the time of day here.
impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Zoned::now().strftime("%H:%M:%S%.3f").to_string();
        let source = match &self.what {
            What::File { .. } => "file",
            What::Every { .. } => "every",
            What::At { .. } => "at",
            What::Signal { .. } => "signal",
            What::Pid { .. } => "pid",
            What::Stdin(_) => "stdin",
            What::Fd { .. } => "fd",
            What::Listen { .. } => "listen",
            What::Connect { .. } => "connect",
        };
        write!(f, "{}  {:<8} {}", time.dimmed(), source.cyan(), self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::File { kind, path, error, .. } => {
                write!(f, "{kind:<12} {}", Printable(path))?;
                error.iter().try_for_each(|error| write!(f, ": {error}"))
            }
            What::Every { count: 1 } => f.write_str("a period is over"),
            What::Every { count } => write!(f, "{count} periods are over"),
            What::At { time_of } => write!(f, "it is {time_of}"),
            What::Signal { name, count: 1, .. } => f.write_str(name),
            What::Signal { name, count, .. } => write!(f, "{count} × {name}"),
            What::Pid { pid } => write!(f, "process {pid} has ended"),
            What::Stdin(input) => input.fmt(f),
            What::Fd { fd, input } => write!(f, "{fd}: {input}"),
            What::Listen { address, peer } => write!(f, "{peer} connected to {address}"),
            What::Connect { address, kind } => write!(f, "{address} {kind}"),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Line { text } => Printable(text).fmt(f),
            Input::End => f.write_str("the end"),
            Input::Ready => f.write_str("is ready"),
        }
    }
}

/// On one line, and without power over a terminal.
struct Printable<'text>(&'text str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '\t' => f.write_char('\t'),
            _ if character.is_control() => write!(f, "{}", character.escape_default()),
            _ => f.write_char(character),
        })
    }
}
