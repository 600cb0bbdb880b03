//! `wakeful info`: the kernel, the backends, what each can do, and the limits.

use std::fs;
use std::process::ExitCode;

use owo_colors::OwoColorize;
use serde::Serialize;
use wakeful::{Backend, EdgeRule, Poll, Support};

use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Info {
    version: &'static str,
    system: String,
    release: String,
    machine: String,
    /// What `Poll::new` takes.
    default_backend: String,
    backends: Vec<BackendInfo>,
    file_queue: FileQueue,
    limits: Limits,
}

/// Who carries operations on files out.
#[derive(Serialize)]
struct FileQueue {
    backend: String,
    /// Why nobody better, if there could be.
    reason: Option<String>,
}

#[derive(Serialize)]
struct BackendInfo {
    name: &'static str,
    edge: String,
    level: String,
    oneshot: String,
    edge_oneshot: String,
    /// What makes an edge-triggered registration report again.
    edge_rule: &'static str,
    /// The longest interval at which a bare descriptor is rechecked for an edge.
    edge_recheck_ms: Option<u128>,
    timeout_resolution_ns: u128,
    nests: bool,
    scales: bool,
    forgets_closed: bool,
}

#[derive(Serialize)]
struct Limits {
    open_files_soft: Option<u64>,
    open_files_hard: Option<u64>,
    epoll_watches: Option<u64>,
    inotify_instances: Option<u64>,
    inotify_watches: Option<u64>,
    pending_connections: Option<u64>,
}

impl Info {
    fn gather() -> anyhow::Result<Info> {
        let name = wakeful_kernel::system::name()?;
        Ok(Info {
            version: env!("CARGO_PKG_VERSION"),
            system: name.system,
            release: name.release,
            machine: name.machine,
            default_backend: Poll::new()?.capabilities().backend.to_string(),
            backends: Backend::available()
                .iter()
                .map(|&backend| BackendInfo::of(backend))
                .collect::<anyhow::Result<_>>()?,
            file_queue: FileQueue::find()?,
            limits: Limits::gather(),
        })
    }
}

impl FileQueue {
    fn find() -> anyhow::Result<FileQueue> {
        let queue = wakeful::file::Queue::<()>::new(1, wakeful::file::Backend::Auto)?;
        let capabilities = queue.capabilities();
        let (backend, reason) = (capabilities.backend.to_string(), capabilities.reason.clone());
        Ok(FileQueue { backend, reason })
    }
}

impl BackendInfo {
    fn of(backend: Backend) -> anyhow::Result<BackendInfo> {
        let capabilities = Poll::builder().backend(backend).build()?.capabilities();
        let word = |support: Support| support.to_string();
        Ok(BackendInfo {
            name: backend.name(),
            edge: word(capabilities.edge),
            level: word(capabilities.level),
            oneshot: word(capabilities.oneshot),
            edge_oneshot: word(capabilities.edge_oneshot),
            edge_rule: match capabilities.edge_rule {
                EdgeRule::EveryChange => "every change",
                EdgeRule::AfterWouldBlock => "after WouldBlock",
                _ => "unknown",
            },
            edge_recheck_ms: capabilities.edge_recheck.map(|longest| longest.as_millis()),
            timeout_resolution_ns: capabilities.timeout_resolution.as_nanos(),
            nests: capabilities.nests,
            scales: capabilities.scales,
            forgets_closed: capabilities.forgets_closed,
        })
    }
}

impl Limits {
    fn gather() -> Limits {
        let files = rlimit::getrlimit(rlimit::Resource::NOFILE).ok();
        Limits {
            open_files_soft: files.map(|(soft, _)| soft),
            open_files_hard: files.map(|(_, hard)| hard),
            epoll_watches: setting("fs/epoll/max_user_watches"),
            inotify_instances: setting("fs/inotify/max_user_instances"),
            inotify_watches: setting("fs/inotify/max_user_watches"),
            pending_connections: setting("net/core/somaxconn"),
        }
    }
}

/// A number under /proc/sys, where the system has it.
fn setting(path: &str) -> Option<u64> {
    fs::read_to_string(format!("/proc/sys/{path}")).ok()?.trim().parse().ok()
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let info = Info::gather()?;
    let mut output = Output::new()?;
    if arguments.json {
        output.line(serde_json::to_string_pretty(&info)?)?;
    } else {
        print(&info, &mut output)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(info: &Info, output: &mut Output) -> anyhow::Result<()> {
    let Info { version, system, release, machine, .. } = info;
    output.line(format_args!("{} {version} on {system} {release} {machine}", "wakeful".bold()))?;
    for backend in &info.backends {
        let default = if backend.name == info.default_backend { " (default)" } else { "" };
        output.line("")?;
        output.line(format_args!("{}{default}", backend.name.bold()))?;
        let yes = |answer: bool| if answer { "yes" } else { "no" }.to_owned();
        let rows = [
            ("edge", backend.edge.clone()),
            ("level", backend.level.clone()),
            ("one-shot", backend.oneshot.clone()),
            ("edge one-shot", backend.edge_oneshot.clone()),
            ("an edge comes", backend.edge_rule.to_owned()),
            (
                "bare descriptors are rechecked",
                match backend.edge_recheck_ms {
                    Some(longest) => format!("every {longest} ms or more often"),
                    None => "never".to_owned(),
                },
            ),
            ("finest timeout", format!("{} ns", backend.timeout_resolution_ns)),
            ("nests in another loop", yes(backend.nests)),
            ("cost independent of registrations", yes(backend.scales)),
            ("closing ends a registration", yes(backend.forgets_closed)),
        ];
        for (name, value) in rows {
            output.line(format_args!("  {name:<34} {}", value.cyan()))?;
        }
    }
    output.line("")?;
    output.line(format_args!("{}", "operations on files".bold()))?;
    let FileQueue { backend, reason } = &info.file_queue;
    output.line(format_args!("  {:<34} {}", "carried out by", backend.cyan()))?;
    if let Some(reason) = reason {
        output.line(format_args!("  {:<34} {}", "because", reason.cyan()))?;
    }
    output.line("")?;
    output.line(format_args!("{}", "limits".bold()))?;
    let limits = &info.limits;
    let rows = [
        ("open files (soft)", limits.open_files_soft),
        ("open files (hard)", limits.open_files_hard),
        ("epoll watches of this user", limits.epoll_watches),
        ("inotify instances of this user", limits.inotify_instances),
        ("inotify watches of this user", limits.inotify_watches),
        ("connections waiting at a listener", limits.pending_connections),
    ];
    for (name, value) in rows {
        let value = value.map_or_else(|| "unknown".to_owned(), |value| value.to_string());
        output.line(format_args!("  {name:<34} {}", value.cyan()))?;
    }
    Ok(())
}
