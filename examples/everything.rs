//! Whatever a program can wait for, in one loop on one thread: a socket, a deadline, a timer of the kernel,
//! a signal, a child, a file, another thread, with and without something to say.
//!
//! `cargo run --example everything`

use std::collections::BTreeSet;
use std::error::Error;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use wakeful::net::{TcpListener, TcpStream};
use wakeful::process::Exit;
use wakeful::signal::{Signal, Signals};
use wakeful::{Events, Interest, Poll, Token, Waker, time::Timer, user, watch::Watcher};

const ALL: [&str; 9] =
    ["listener", "stream", "deadline", "timer", "signal", "child", "file", "message", "waker"];
const SHORT: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut poll = Poll::new()?;
    let registry = poll.registry().try_clone()?;
    let readable = Interest::READABLE;

    let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    let listener = registry.register_owned(listener, Token(0), readable)?;
    let _stream = registry.register_owned(stream, Token(1), Interest::WRITABLE)?;
    poll.timers().insert(Instant::now() + SHORT, Token(2))?;
    let timer = registry.register_owned(Timer::new()?, Token(3), readable)?;
    timer.set_after(SHORT)?;
    let signals = registry.register_owned(Signals::new([Signal::USER1])?, Token(4), readable)?;
    let child = Command::new("sleep").arg("0.02").spawn()?;
    let child = registry.register_owned(Exit::new(child)?, Token(5), readable)?;
    let folder = tempfile::tempdir()?;
    let watcher = registry.register_owned(Watcher::new()?, Token(6), readable)?;
    watcher.add(folder.path())?;
    let queue = registry.register_owned(user::Events::new(16)?, Token(7), readable)?;
    let (sender, waker) = (queue.sender(), Waker::new(&registry, Token(8))?);
    let (path, this_process) = (folder.path().join("new"), std::process::id().to_string());
    let other = thread::spawn(move || -> io::Result<()> {
        fs::write(path, "text")?;
        Command::new("kill").args(["-USR1", &this_process]).status()?;
        let _ = sender.send("a message");
        waker.wake()
    });

    let mut events = Events::with_capacity(16);
    let mut missing = BTreeSet::from(ALL);
    while !missing.is_empty() {
        match poll.poll(&mut events, Some(100 * SHORT)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(()) if events.is_empty() => return Err(format!("missing: {missing:?}").into()),
            result => result?,
        }
        for Token(number) in events.iter().map(|event| event.token()) {
            match number {
                0 => listener.accept_all().for_each(|peer| println!("accepted {peer:?}")),
                3 => println!("expired {} times", timer.expirations()?),
                4 => println!("received {:?}", signals.pending()),
                5 => println!("ended: {:?}", child.try_wait()?),
                6 => watcher.changes().for_each(|change| println!("{change}")),
                7 => queue.drain().for_each(|message| println!("received {message:?}")),
                _ => println!("{}", ALL[number]),
            }
            missing.remove(ALL[number]);
        }
    }
    other.join().map_err(|_| "the other thread panicked")??;
    println!("everything happened");
    Ok(())
}
