//! The `wakeful` command: a tour of the event loop, small servers, and what this system can do.

#![deny(unsafe_code)]

mod info;
mod memory;
mod output;
mod serve;
mod tour;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// One thread waits for everything that can happen.
///
/// Without a command it takes a tour: one thread, one poll, real sockets, a pipe, wake-ups from another
/// thread and a timed wait, each event printed as it happens and the outcome checked.
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
    /// Run a small server until ^C.
    Serve(serve::Arguments),
    /// Tell the kernel, the backends, what each can do, and the limits.
    Info(info::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        None => tour::run(),
        Some(Command::Serve(arguments)) => serve::run(&arguments),
        Some(Command::Info(arguments)) => info::run(&arguments),
    };
    match result {
        Ok(code) => code,
        // Whoever reads the output has seen enough, as with `wakeful | head -1`.
        Err(error) if is_broken_output(&error) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("wakeful: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_output(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<output::OutputError>()
        .is_some_and(|output::OutputError(error)| error.kind() == io::ErrorKind::BrokenPipe)
}
