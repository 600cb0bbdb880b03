//! The `wakeful` command: a tour of the event loop, small servers, and what this system can do.

#![deny(unsafe_code)]

mod info;
mod manual;
mod memory;
mod output;
mod serve;
mod tour;
mod watch;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// One thread waits for everything that can happen.
///
/// Without a command it takes a tour: one thread, one poll, real sockets, pipes, timers, signals, a child,
/// files and other threads, each event printed as it happens and the outcome checked.
///
/// WAKEFUL_BACKEND=epoll or =poll chooses the backend.
#[derive(Debug, Parser)]
#[command(name = "wakeful", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Wait for any mix of events, print each, and run a command
    ///
    /// <WHAT> is one or more of --file, --every, --at, --signal, --pid, --stdin, --listen, --connect and --fd.
    ///
    /// While the command runs, events are gathered, and it runs once more when it has ended. With --restart
    /// it is ended together with all that it started (SIGTERM, after two seconds SIGKILL), and has no
    /// standard input. It finds the latest event in $WAKEFUL_EVENT, as JSON.
    ///
    /// With --json each event is an object with "time" (UTC) and "source": "file" with "kind" (created,
    /// modified, attributes, removed, renamed-from, renamed-to, moved, gone, unmounted, unwatched, overflow),
    /// "path", "is_directory", and where there is one "cookie" (the same in both halves of a rename),
    /// "error", "path_hex" (of a path that is no text); "every" with "count"; "at" with "time_of"; "signal"
    /// with "name", "number", "count"; "pid" with "pid"; "stdin", and "fd" with "fd", with "kind" (line, end,
    /// ready) and "text"; "listen" with "address" and "peer"; "connect" with "address" and "kind" (connected,
    /// closed). An overflow says that changes were lost: look at all files anew.
    ///
    /// Exit status: 0 when all that was waited for has happened, at the first event with --once, or when it
    /// is interrupted (^C, SIGTERM, SIGHUP, SIGQUIT) without it; with --once that of the command, 128 and
    /// the number of the signal that ended it, or 128 and that of the signal that interrupted the wait (130
    /// at ^C); 124 when --timeout is over; 126 or 127 if the command cannot be run or found; 1 for another
    /// error; 2 for wrong arguments.
    Watch(Box<watch::Arguments>),
    /// Run a small server until ^C.
    Serve(serve::Arguments),
    /// Tell the kernel, the backends, what each can do, and the limits.
    Info(info::Arguments),
    /// Print the completions for a shell: source them, or install them.
    Completions(manual::Completions),
    /// Print a manual page, as for `wakeful man watch | man -l -`.
    Man(manual::Man),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        None => tour::run(),
        Some(Command::Watch(arguments)) => watch::run(&arguments),
        Some(Command::Serve(arguments)) => serve::run(&arguments),
        Some(Command::Info(arguments)) => info::run(&arguments),
        Some(Command::Completions(arguments)) => manual::completions(&arguments),
        Some(Command::Man(arguments)) => manual::page(&arguments),
    };
    match result {
        Ok(code) => code,
        // Whoever reads the output has seen enough, as with `wakeful | head -1`.
        Err(error) if is_broken_output(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(anstream::stderr(), "wakeful: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_output(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<output::OutputError>()
        .is_some_and(|output::OutputError(error)| error.kind() == io::ErrorKind::BrokenPipe)
}
