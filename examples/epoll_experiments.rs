//! What epoll really does, on a pipe that is written ten bytes at a time, with two threads waiting.
//!
//! ```sh
//! cargo run --example epoll_experiments
//! ```
//!
//! It uses `wakeful_kernel` alone: the kernel itself, with nothing in between.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use wakeful_kernel::epoll::{Epoll, Event, Flags};
use wakeful_kernel::linux::{Clock, EventFd, Expiry, SignalFd, TimerFd};
use wakeful_kernel::pipe::pipe;
use wakeful_kernel::poll::{PollFd, poll};
use wakeful_kernel::readiness::Readiness;
use wakeful_kernel::signal::SignalSet;

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// The token of the pipe's reading end.
const TOKEN: u64 = 23;
const WRITES: usize = 3;
const BYTES: usize = 10;
const PAUSE: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result {
    // Before any thread is started, so that all of them leave it to the signalfd.
    SignalSet::of(&[libc::SIGUSR1])?.block()?;

    println!("1. level-triggered, drained at once by whichever thread is woken");
    drained_at_once()?;
    println!("2. one-shot, drained by another thread, then armed again");
    drained_elsewhere()?;
    println!("3. level-triggered, never drained");
    never_drained()?;
    println!("4. level and edge, one wait after another");
    level_and_edge()?;
    println!("5. eventfd, timerfd and signalfd in one epoll");
    other_descriptors()?;
    println!("6. the same pipe with poll(2)");
    with_poll()?;
    println!("all experiments went as expected");
    Ok(())
}

struct Experiment {
    epoll: Epoll,
    reader: File,
    writer: File,
}

impl Experiment {
    fn new(flags: Flags) -> Result<Experiment> {
        let (epoll, (reader, writer)) = (Epoll::new()?, pipe()?);
        epoll.add(&reader, flags, TOKEN)?;
        Ok(Experiment { epoll, reader: reader.into(), writer: writer.into() })
    }

    /// Waits for a moment; how many events there were.
    fn wait(&self) -> Result<usize> {
        let mut events = Vec::<Event>::with_capacity(1);
        let count = self.epoll.wait(&mut events, Some(PAUSE))?;
        assert!(events.iter().all(|event| event.token() == TOKEN));
        Ok(count)
    }

    /// Reads what is there; how much it was.
    fn drain(&self) -> usize {
        (&self.reader).read(&mut [0; BYTES]).unwrap_or_default()
    }

    fn write(&self) -> Result {
        (&self.writer).write_all(&[b'x'; BYTES])?;
        Ok(())
    }
}

fn drained_at_once() -> Result {
    let experiment = Experiment::new(Flags::IN)?;
    let (read, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| -> Result {
        for name in ["A", "B"] {
            let (experiment, read, over) = (&experiment, &read, &over);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    // Both may be woken for the same bytes; then one of them finds none.
                    if experiment.wait().is_ok_and(|count| count > 0) {
                        let count = experiment.drain();
                        read.fetch_add(count, Ordering::Relaxed);
                        println!("   thread {name} woke up and read {count} bytes");
                    }
                }
            });
        }
        let result = write_and_wait(&experiment, &read);
        over.store(true, Ordering::Relaxed);
        result
    })
}

/// Writes, and waits until all was read.
fn write_and_wait(experiment: &Experiment, read: &AtomicUsize) -> Result {
    for number in 1..=WRITES {
        experiment.write()?;
        let start = Instant::now();
        while read.load(Ordering::Relaxed) < number * BYTES {
            if start.elapsed() > Duration::from_secs(5) {
                return Err("nobody read what was written".into());
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}

fn drained_elsewhere() -> Result {
    let flags = Flags::IN | Flags::ONESHOT;
    let experiment = Experiment::new(flags)?;
    let (read, woken, over) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let (hand_over, jobs) = mpsc::channel::<&str>();
    let hand_over = Mutex::new(Some(hand_over));
    thread::scope(|scope| -> Result {
        for name in ["A", "B"] {
            let (experiment, woken, over, hand_over) = (&experiment, &woken, &over, &hand_over);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    if experiment.wait().is_ok_and(|count| count > 0) {
                        woken.fetch_add(1, Ordering::Relaxed);
                        if let Ok(Some(sender)) = hand_over.lock().as_deref() {
                            let _ = sender.send(name);
                        }
                    }
                }
            });
        }
        let (experiment, read) = (&experiment, &read);
        scope.spawn(move || {
            for name in jobs {
                let count = experiment.drain();
                // Silent until now, however often the others looked.
                if let Err(error) = experiment.epoll.modify(&experiment.reader, flags, TOKEN) {
                    eprintln!("{error}");
                }
                read.fetch_add(count, Ordering::Relaxed);
                println!("   thread {name} woke up, another read {count} bytes and armed it again");
            }
        });
        let result = write_and_wait(experiment, read);
        over.store(true, Ordering::Relaxed);
        if let Ok(mut sender) = hand_over.lock() {
            *sender = None;
        }
        result
    })?;
    assert_eq!(woken.into_inner(), WRITES, "one wake-up for each write");
    Ok(())
}

fn never_drained() -> Result {
    const ENOUGH: usize = 1000;
    let experiment = Experiment::new(Flags::IN)?;
    experiment.write()?;
    let woken = AtomicUsize::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in ["A", "B"] {
            scope.spawn(|| {
                while woken.load(Ordering::Relaxed) < ENOUGH && experiment.wait().is_ok() {
                    woken.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let woken = woken.into_inner();
    println!("   two threads woke up {woken} times in {:?} for the same bytes", start.elapsed());
    assert!(woken >= ENOUGH);
    Ok(())
}

fn level_and_edge() -> Result {
    for (name, flags, expected) in
        [("level", Flags::IN, [1, 1, 1]), ("edge", Flags::IN | Flags::EDGE, [1, 0, 1])]
    {
        let experiment = Experiment::new(flags)?;
        experiment.write()?;
        let first = experiment.wait()?;
        let second = experiment.wait()?;
        experiment.write()?;
        let third = experiment.wait()?;
        println!("   {name}: {first} event, then {second}, and after another write {third}");
        assert_eq!([first, second, third], expected);
    }
    Ok(())
}

fn other_descriptors() -> Result {
    let epoll = Epoll::new()?;
    let counter = EventFd::new(0)?;
    let timer = TimerFd::new(Clock::Monotonic)?;
    let signals = SignalFd::new(&SignalSet::of(&[libc::SIGUSR1])?)?;
    epoll.add(&counter, Flags::IN, 1)?;
    epoll.add(&timer, Flags::IN, 2)?;
    epoll.add(&signals, Flags::IN, 3)?;

    counter.write(42)?;
    timer.set(Expiry::After(Duration::from_millis(10)), None)?;
    wakeful_kernel::linux::PidFd::open(std::process::id())?.send_signal(libc::SIGUSR1)?;

    let mut seen = 0;
    let mut events = Vec::<Event>::with_capacity(3);
    while seen < 3 {
        events.clear();
        if epoll.wait(&mut events, Some(Duration::from_secs(5)))? == 0 {
            return Err(format!("only {seen} of 3 events came").into());
        }
        for event in &events {
            match event.token() {
                1 => println!("   the eventfd counted {}", counter.read()?),
                2 => println!("   the timerfd went off {} time", timer.read()?),
                _ => println!("   the signalfd received signal {}", signals.read()?.signal()),
            }
            seen += 1;
        }
    }
    Ok(())
}

fn with_poll() -> Result {
    let (reader, writer) = pipe()?;
    let mut fds = [PollFd::new(&reader, Readiness::IN), PollFd::new(&writer, Readiness::OUT)];
    let count = poll(&mut fds, Some(PAUSE))?;
    println!(
        "   {count} of 2 is ready: reader {}, writer {}",
        fds[0].readiness(),
        fds[1].readiness()
    );
    assert_eq!(count, 1);
    Ok(())
}
