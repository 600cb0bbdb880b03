//! The emulated kernels by themselves: every filter and every source.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wakeful_kernel::event_port::{Clock, EventPort, EventSource, FileEvents, FileObj, PollEvents};
use wakeful_kernel::kqueue::filter::{
    Process, ProcessEvents, Read, Signal, Timer, User, Vnode, VnodeEvents, Write as WriteFilter,
};
use wakeful_kernel::kqueue::{Change, FlagOperation, Kqueue, Mode};

use super::{ATTEMPTS, Lost, PATIENCE, Result, ask, told, write_all};

/// SIGCONT does nothing unless there is a handler.
const SIGNAL: i32 = 18;
/// SIGUSR2, which all threads have blocked.
const BLOCKED: i32 = 12;

pub(super) fn kqueue() -> Result {
    let (near, far) = ask("pair", UnixStream::pair)?;
    let folder = ask("tempdir", tempfile::tempdir)?;
    let mut file = ask("create", || std::fs::File::create(folder.path().join("file")))?;
    let mut child = Command::new("true");
    child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = ask("spawn", || child.spawn())?;
    let queue = ask("kqueue", Kqueue::new)?;
    let changes = [
        Change::add(Read::new(&near), Mode::Clear, 1)?,
        Change::add(WriteFilter::new(&near), Mode::Clear, 2)?,
        Change::add(Vnode::new(&file, VnodeEvents::WRITE), Mode::Clear, 3)?,
        Change::add(Process::new(child.id() as i32, ProcessEvents::EXIT), Mode::Clear, 4)?,
        Change::add(Timer::every(1, Duration::from_millis(2)), Mode::Clear, 5)?,
        // What triggers it sets this number to 0, too.
        Change::add(User::new(1), Mode::Clear, 0)?,
        Change::add(Signal::new(SIGNAL), Mode::Clear, 6)?,
        Change::add(Signal::new(BLOCKED), Mode::Clear, 7)?,
    ];
    for change in changes {
        ask("EV_ADD", || queue.apply([change]))?;
    }
    let mut events = Vec::with_capacity(8);
    for round in 0..2 {
        write_all(&far, b"x")?;
        ask("write", || file.write(b"x"))?;
        let trigger = Change::trigger(1, FlagOperation::Keep, 0)?;
        ask("trigger", || queue.apply([trigger]))?;
        for signal in [SIGNAL, BLOCKED] {
            ask("kill", || wakeful_kernel::process::send_signal(std::process::id(), signal))?;
        }
        // A process ends once, and a socket stays writable.
        let mut missing: BTreeSet<usize> =
            if round == 0 { (0..=7).collect() } else { [0, 1, 3, 5, 6, 7].into() };
        let (until, mut failures) = (Instant::now() + PATIENCE, 0);
        while !missing.is_empty() && Instant::now() < until {
            events.clear();
            match queue.wait(&mut events, Some(Duration::from_secs(1))) {
                Ok(_) => missing.retain(|&it| !events.iter().any(|event| event.user_data() == it)),
                Err(error) => {
                    told("kevent", error);
                    failures += 1;
                    if failures > ATTEMPTS {
                        return Err("kevent goes on failing".into());
                    }
                }
            }
        }
        if !missing.is_empty() {
            return Err(Lost(format!("the events {missing:?} of round {round}")).into());
        }
    }
    let _ = child.wait();
    Ok(())
}

pub(super) fn event_port() -> Result {
    let (near, far) = ask("pair", UnixStream::pair)?;
    let folder = ask("tempdir", tempfile::tempdir)?;
    let path = folder.path().join("file");
    let mut file = ask("create", || std::fs::File::create(&path))?;
    let port = ask("port_create", EventPort::new)?;
    let object = ask("FileObj::new", || FileObj::new(path.as_path()))?;
    let timer = ask("timer_create", || port.timer(Clock::Monotonic, 5))?;
    for round in 0..2 {
        let fd = near.as_raw_fd();
        ask("associate", || port.associate_fd(fd, PollEvents::IN, 1))?;
        ask("associate", || port.associate_file(&object, FileEvents::MODIFIED, 3))?;
        ask("timer_settime", || timer.set(Duration::from_millis(2), None))?;
        write_all(&far, b"x")?;
        ask("write", || file.write(b"x"))?;
        ask("send", || port.send(1, 6))?;
        let source = |source: EventSource| format!("{source:?}");
        let all = [EventSource::Fd, EventSource::File, EventSource::Timer, EventSource::User];
        let mut missing: BTreeSet<String> = all.into_iter().map(source).collect();
        let (until, mut failures) = (Instant::now() + PATIENCE, 0);
        while !missing.is_empty() && Instant::now() < until {
            let mut events = Vec::with_capacity(8);
            match port.get_raw(&mut events, 1, 8, Some(Duration::from_secs(1))) {
                Ok(_) => {
                    missing.retain(|it| !events.iter().any(|event| source(event.source()) == *it))
                }
                Err(error) => {
                    told("port_getn", error);
                    failures += 1;
                    if failures > ATTEMPTS {
                        return Err("port_getn goes on failing".into());
                    }
                }
            }
        }
        if !missing.is_empty() {
            return Err(Lost(format!("the events of {missing:?} in round {round}")).into());
        }
    }
    Ok(())
}
