//! `wakeful serve`: small servers, each loop one thread with a poller and a listener of its own.

mod delay;
mod drop;
mod echo;
mod http;
mod server;
mod service;
mod statistics;
mod stop;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use wakeful::net::TcpListener;
use wakeful::{Poll, Token};

use self::server::Server;
use self::service::Service;
use self::statistics::Statistics;
use self::stop::Stop;
use crate::memory::{self, Bytes};
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What the server does.
    #[arg(value_enum)]
    kind: Kind,

    /// Where to listen: an IP address and a port; port 0 has the kernel choose.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// How many loops, each on a thread of its own.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,

    /// After ^C, how many seconds connections are given to finish; a second ^C ends them at once.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=86_400))]
    grace: u32,

    /// delay: How many seconds a request may take to arrive; 408 after that.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    request_timeout: u32,

    /// delay: How many seconds a connection may be idle between two requests.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    idle_timeout: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Send back what comes.
    Echo,
    /// Close what is accepted.
    Drop,
    /// Answer `GET /{ms}/{message}` with the message, after so many milliseconds.
    Delay,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    // Ten thousand connections are ten thousand descriptors; the soft limit is often a tenth of that.
    let open_files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or_default();
    let mut output = Output::new()?;
    let before = memory::resident();
    let statistics = match arguments.kind {
        Kind::Echo => serve(arguments, &mut output, open_files, echo::Echo::new)?,
        Kind::Drop => serve(arguments, &mut output, open_files, || drop::Drop)?,
        Kind::Delay => {
            let limits = delay::Limits {
                request: Duration::from_secs(arguments.request_timeout.into()),
                idle: Duration::from_secs(arguments.idle_timeout.into()),
            };
            serve(arguments, &mut output, open_files, || delay::Delay::new(limits))?
        }
    };
    let Statistics { accepted, peak, received, sent, polls, events, pauses, failed } = statistics;
    output.line(format_args!(
        "stopped after {accepted} connections (at most {peak} at once), {} in, {} out, \
         {events} events in {polls} polls",
        Bytes(received),
        Bytes(sent),
    ))?;
    if pauses > 0 {
        output.line(format_args!(
            "{pauses} times accepting had to pause, the {open_files} descriptors being in use"
        ))?;
    }
    if failed > 0 {
        output.line(format_args!(
            "{failed} connections were closed because they could not be registered: \
             see /proc/sys/fs/epoll/max_user_watches"
        ))?;
    }
    if let (Some((Bytes(before), _)), Some((_, most))) = (before, memory::resident()) {
        let growth = most.0.saturating_sub(before);
        let each = growth.checked_div(peak as u64).unwrap_or_default();
        output.line(format_args!(
            "memory: {most} at most, {} more than at the start ({each} bytes for each connection)",
            Bytes(growth),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the loops, one of them on this thread, until they are told to stop.
fn serve<S>(
    arguments: &Arguments,
    output: &mut Output,
    open_files: u64,
    service: impl Fn() -> S,
) -> anyhow::Result<Statistics>
where
    S: Service + Send,
    S::State: Send,
{
    let signals = stop::signals()?;
    let listeners = listeners(arguments)?;
    let address = listeners[0].local_addr()?;
    let polls = (0..listeners.len())
        .map(|_| Poll::new())
        .collect::<Result<Vec<_>, _>>()
        .context("no poller could be created: fewer --threads need fewer descriptors")?;
    let backend = polls[0].capabilities().backend;
    let stop = Arc::new(Stop::new(polls.iter().map(Poll::registry))?);

    let grace = Duration::from_secs(arguments.grace.into());
    let mut servers = Vec::new();
    for (poll, listener) in polls.into_iter().zip(listeners) {
        servers.push(Server::new(poll, listener, service(), Arc::clone(&stop), grace)?);
    }
    servers[0].watch(signals)?;

    let kind = arguments
        .kind
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned());
    let threads = arguments.threads;
    let plural = if threads == 1 { "" } else { "s" };
    output.line(format_args!(
        "{kind} server listening on {address} ({backend}, {threads} thread{plural}, \
         {open_files} descriptors; ^C stops)"
    ))?;

    let mut servers = servers.into_iter();
    let Some(first) = servers.next() else { bail!("no thread to run on") };
    // Whoever leaves early, by an error or a panic, takes the others along.
    let run = |server: Server<S>| {
        let _all = FinishOnDrop(&stop);
        server.run()
    };
    let run = &run;
    thread::scope(|scope| {
        let mut others = Vec::new();
        for server in servers {
            let spawned = thread::Builder::new().spawn_scoped(scope, move || run(server));
            others.push(
                spawned
                    .inspect_err(|_| stop.finish())
                    .context("a thread could not be started: choose fewer with --threads")?,
            );
        }
        let mut total = run(first);
        for other in others {
            let result = match other.join() {
                Ok(result) => result,
                Err(_) => bail!("a thread of the server panicked"),
            };
            total = total.and_then(|total| Ok(total + result?));
        }
        total.context("the server failed")
    })
}

fn listeners(arguments: &Arguments) -> anyhow::Result<Vec<TcpListener>> {
    let mut address = arguments.listen;
    let context = || format!("cannot listen on {address}: choose another address with --listen");
    if arguments.threads == 1 {
        return Ok(vec![TcpListener::bind(address).with_context(context)?]);
    }
    let first = TcpListener::bind_reuse_port(address).with_context(context)?;
    // With port 0, the others take the port that the first was given.
    address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..arguments.threads {
        listeners.push(TcpListener::bind_reuse_port(address).with_context(|| {
            format!("cannot listen on {address} once more: choose fewer --threads")
        })?);
    }
    Ok(listeners)
}

/// Makes all loops stop when one has ended.
struct FinishOnDrop<'stop>(&'stop Stop);

impl Drop for FinishOnDrop<'_> {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// The tokens of a loop that are no connection's.
const LISTENER: Token = Token(usize::MAX);
const STOP: Token = Token(usize::MAX - 1);
const SIGNALS: Token = Token(usize::MAX - 2);
