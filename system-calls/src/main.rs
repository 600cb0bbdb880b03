//! Does one thing a hundred times between two marks, for strace to count what it cost.
//!
//! `system-calls SCENARIO [BACKEND]`. The marks are getppid(2), which nothing else here calls.

use std::error::Error;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream as StdStream};
use std::os::unix::process::parent_id;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use wakeful::file::{self, Operation, Queue};
use wakeful::net::{TcpListener, UnixStream};
use wakeful::{Backend, EdgeRule, Events, Interest, Poll, Token, Trigger, Waker, user};
use wakeful_kernel::epoll::{Epoll, Event, Flags};

const ROUNDS: usize = 100;
const DEADLINE: Option<Duration> = Some(Duration::from_secs(10));

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;
type Scenario = fn(&mut Poll, &mut Events) -> Result;

const SCENARIOS: &[(&str, Scenario)] = &[
    ("ping-pong", ping_pong),
    ("ping-pong-raw", ping_pong_raw),
    ("idle", idle),
    ("idle-below-a-millisecond", idle_below_a_millisecond),
    ("idle-with-waker", idle_with_waker),
    ("idle-while-its-number-is-taken", idle_while_its_number_is_taken),
    ("idle-with-ring", idle_with_ring),
    ("idle-with-ring-at-work", idle_with_ring_at_work),
    ("idle-beside-ring", idle_beside_ring),
    ("idle-after-ring", idle_after_ring),
    ("timers", timers),
    ("user-events", user_events),
    ("wake-awake", wake_awake),
    ("wake-woken", wake_woken),
    ("wake-asleep", wake_asleep),
    ("wake-self", wake_self),
    ("same-interest", same_interest),
    ("other-interest", other_interest),
    ("interest-and-back", interest_and_back),
    ("accept-one", accept_one),
    ("register", register),
    ("file-one", file_one),
    ("file-batch", file_batch),
    ("file-faults", file_faults),
];

fn main() -> Result {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let name = arguments.first().ok_or("name a scenario")?;
    let backend = arguments.get(1).map_or(Ok(Backend::available()[0]), |name| name.parse())?;
    let scenario = SCENARIOS.iter().find(|(known, _)| known == name);
    let (_, scenario) = scenario.ok_or_else(|| format!("no scenario is called {name:?}"))?;
    let mut poll = Poll::builder().backend(backend).build()?;
    scenario(&mut poll, &mut Events::with_capacity(64))
}

/// What is counted.
fn counted(mut round: impl FnMut() -> Result) -> Result {
    let _ = parent_id();
    for _ in 0..ROUNDS {
        round()?;
    }
    let _ = parent_id();
    Ok(())
}

fn ping_pong(poll: &mut Poll, events: &mut Events) -> Result {
    // Where only `WouldBlock` arms an edge, that would be one call more; there level serves better.
    let trigger = match poll.capabilities().edge_rule {
        EdgeRule::AfterWouldBlock => Trigger::Level,
        _ => Trigger::Edge,
    };
    let (mut left, right) = UnixStream::pair()?;
    let interest = Interest::READABLE.with_trigger(trigger);
    let mut right = poll.registry().register_owned(right, Token(0), interest)?;
    let mut buffer = [0; 64];
    counted(|| {
        left.write_all(b"ping")?;
        poll.poll(events, DEADLINE)?;
        // Less than was asked for: drained.
        assert_eq!(right.read(&mut buffer)?, 4);
        Ok(())
    })
}

fn ping_pong_raw(_: &mut Poll, _: &mut Events) -> Result {
    let (mut left, mut right) = std::os::unix::net::UnixStream::pair()?;
    let epoll = Epoll::new()?;
    epoll.add(&right, Flags::IN | Flags::EDGE, 0)?;
    let mut events = Vec::<Event>::with_capacity(64);
    let mut buffer = [0; 64];
    counted(|| {
        left.write_all(b"ping")?;
        events.clear();
        epoll.wait(&mut events, DEADLINE)?;
        assert_eq!(right.read(&mut buffer)?, 4);
        Ok(())
    })
}

fn idle(poll: &mut Poll, events: &mut Events) -> Result {
    counted(|| Ok(poll.poll(events, Some(Duration::from_millis(1)))?))
}

fn idle_below_a_millisecond(poll: &mut Poll, events: &mut Events) -> Result {
    let timeout = Duration::from_micros(50);
    counted(|| {
        let start = Instant::now();
        poll.poll(events, Some(timeout))?;
        assert!(start.elapsed() >= timeout, "rounded up, never down");
        Ok(())
    })
}

fn idle_with_waker(poll: &mut Poll, events: &mut Events) -> Result {
    let _waker = Waker::new(poll.registry(), Token(1))?;
    counted(|| Ok(poll.poll(events, Some(Duration::from_millis(1)))?))
}

/// A ring whose operations ended as soon as they were handed over.
fn idle_with_ring(poll: &mut Poll, events: &mut Events) -> Result {
    let queue = Queue::new(8, file::Backend::IoUring)?;
    queue.submit(Operation::read(file()?, vec![0; 4096], 0), ())?;
    queue.completion().ok_or("it was to be over by now")?;
    idle(poll, events)
}

/// A read that does not end before something is written.
fn read_of_a_pipe(queue: &Queue<()>) -> Result<std::os::fd::OwnedFd> {
    let (reader, writer) = wakeful_kernel::pipe::pipe()?;
    queue.submit(Operation::read(Arc::new(File::from(reader)), vec![0; 8], 0), ())?;
    Ok(writer)
}

fn idle_with_ring_at_work(poll: &mut Poll, events: &mut Events) -> Result {
    let queue = Queue::new(8, file::Backend::IoUring)?;
    let _writer = read_of_a_pipe(&queue)?;
    idle(poll, events)
}

/// Created here, and used by another thread.
fn idle_beside_ring(poll: &mut Poll, events: &mut Events) -> Result {
    let queue = Queue::new(8, file::Backend::IoUring)?;
    let (begun, has_begun) = mpsc::channel();
    let (stop, stopped) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let writer = read_of_a_pipe(&queue).map_err(|error| error.to_string());
        let _ = begun.send(());
        let _ = stopped.recv();
        writer.map(drop)
    });
    has_begun.recv()?;
    idle(poll, events)?;
    drop(stop);
    Ok(thread.join().map_err(|_| "the thread panicked")??)
}

/// As soon as the kernel has done with the ring, which takes a moment.
fn idle_after_ring(poll: &mut Poll, events: &mut Events) -> Result {
    let queue = Queue::new(8, file::Backend::IoUring)?;
    drop((read_of_a_pipe(&queue)?, queue));
    let until = Instant::now() + Duration::from_secs(10);
    while wakeful_kernel::linux::may_be_interrupted() {
        assert!(Instant::now() < until, "the ring does not go");
        poll.poll(events, Some(Duration::from_millis(1)))?;
    }
    idle(poll, events)
}

/// One wait, during which a registration takes the number by which the waker's eventfd is told.
fn idle_while_its_number_is_taken(poll: &mut Poll, events: &mut Events) -> Result {
    const NUMBER: Token = Token(0xfd57_a3e1_9c44_b2d3_u64 as usize);
    let _waker = Waker::new(poll.registry(), Token(1))?;
    poll.poll(events, Some(Duration::ZERO))?;
    let registry = poll.registry().try_clone()?;
    let (_sender, mut receiver) = wakeful::pipe::new()?;
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        registry.register(&mut receiver, NUMBER, Interest::READABLE)
    });
    let _ = parent_id();
    poll.poll(events, Some(Duration::from_millis(400)))?;
    let _ = parent_id();
    assert!(events.is_empty());
    Ok(thread.join().map_err(|_| "the thread panicked")??)
}

/// A timer that is far off, and one that is due each time.
fn timers(poll: &mut Poll, events: &mut Events) -> Result {
    poll.timers().insert_after(Duration::from_secs(3600), Token(1))?;
    counted(|| {
        poll.timers().insert_after(Duration::from_millis(1), Token(2))?;
        poll.poll(events, None)?;
        assert_eq!(events.len(), 1);
        Ok(())
    })
}

/// A burst of items of the program's own.
fn user_events(_: &mut Poll, _: &mut Events) -> Result {
    let queue = user::Events::new(16)?;
    let sender = queue.sender();
    counted(|| {
        for item in 0..10 {
            sender.send(item)?;
        }
        assert_eq!(queue.drain().count(), 10);
        Ok(())
    })
}

fn wake_awake(poll: &mut Poll, events: &mut Events) -> Result {
    // A waker for each wake-up, so that none finds another's.
    let wakers = (0..ROUNDS).map(|index| Waker::new(poll.registry(), Token(index)));
    let wakers = wakers.collect::<std::io::Result<Vec<_>>>()?;
    poll.poll(events, Some(Duration::ZERO))?;
    let mut remaining = wakers.iter();
    counted(|| Ok(remaining.next().ok_or("too few wakers")?.wake()?))?;
    let mut reported = 0;
    while reported < ROUNDS {
        poll.poll(events, DEADLINE)?;
        reported += events.len();
    }
    Ok(())
}

fn wake_woken(poll: &mut Poll, _: &mut Events) -> Result {
    let waker = Waker::new(poll.registry(), Token(1))?;
    waker.wake()?;
    counted(|| Ok(waker.wake()?))
}

/// The poller sleeps on another thread, which is not counted.
fn wake_asleep(poll: &mut Poll, events: &mut Events) -> Result {
    let waker = Waker::new(poll.registry(), Token(1))?;
    let (about_to_sleep, asleep) = mpsc::channel();
    thread::scope(|scope| {
        let poller = scope.spawn(|| -> std::io::Result<()> {
            for _ in 0..ROUNDS {
                let _ = about_to_sleep.send(());
                poll.poll(events, DEADLINE)?;
            }
            Ok(())
        });
        let result = counted(|| {
            asleep.recv()?;
            // Time for the last step.
            thread::sleep(Duration::from_millis(10));
            Ok(waker.wake()?)
        });
        poller.join().map_err(|_| "the poller panicked")??;
        result
    })
}

fn wake_self(poll: &mut Poll, events: &mut Events) -> Result {
    let waker = Waker::new(poll.registry(), Token(1))?;
    poll.poll(events, Some(Duration::ZERO))?;
    counted(|| {
        waker.wake()?;
        poll.poll(events, DEADLINE)?;
        assert_eq!(events.len(), 1);
        Ok(())
    })
}

fn same_interest(poll: &mut Poll, _: &mut Events) -> Result {
    let (left, _right) = UnixStream::pair()?;
    let mut left = poll.registry().register_owned(left, Token(0), Interest::READABLE)?;
    counted(|| Ok(left.set_interest(Interest::READABLE)?))
}

fn other_interest(poll: &mut Poll, events: &mut Events) -> Result {
    let (left, _right) = UnixStream::pair()?;
    let mut left = poll.registry().register_owned(left, Token(0), Interest::READABLE)?;
    let mut interests = [Interest::WRITABLE, Interest::READABLE].into_iter().cycle();
    poll.poll(events, Some(Duration::ZERO))?;
    counted(|| {
        left.set_interest(interests.next().ok_or("no interest")?)?;
        Ok(poll.poll(events, Some(Duration::ZERO))?)
    })
}

fn interest_and_back(poll: &mut Poll, events: &mut Events) -> Result {
    let (left, _right) = UnixStream::pair()?;
    let mut left = poll.registry().register_owned(left, Token(0), Interest::READABLE)?;
    // The first changes of a poller are made at once.
    left.set_interest(Interest::READABLE | Interest::WRITABLE)?;
    left.set_interest(Interest::READABLE)?;
    poll.poll(events, Some(Duration::ZERO))?;
    counted(|| {
        left.set_interest(Interest::READABLE | Interest::WRITABLE)?;
        left.set_interest(Interest::READABLE)?;
        Ok(poll.poll(events, Some(Duration::ZERO))?)
    })
}

fn accept_one(poll: &mut Poll, events: &mut Events) -> Result {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let address = listener.local_addr()?;
    let listener = poll.registry().register_owned(listener, Token(0), Interest::READABLE)?;
    counted(|| {
        let client = StdStream::connect(address)?;
        poll.poll(events, DEADLINE)?;
        assert_eq!(listener.accept_all().count(), 1);
        drop(client);
        Ok(())
    })
}

fn register(poll: &mut Poll, _: &mut Events) -> Result {
    let (mut left, _right) = UnixStream::pair()?;
    counted(|| {
        poll.registry().register(&mut left, Token(0), Interest::READABLE)?;
        Ok(poll.registry().deregister(&mut left)?)
    })
}

/// As large as all of it is read from.
const BLOCKS: u64 = 32;

fn file() -> Result<Arc<File>> {
    let path = std::env::temp_dir().join(format!("system-calls-{}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(path)?;
    (&file).write_all(&vec![1; BLOCKS as usize * 4096])?;
    Ok(Arc::new(file))
}

/// One read at a time, of what is in memory.
fn file_one(_: &mut Poll, _: &mut Events) -> Result {
    let queue = Queue::new(BLOCKS as usize, file::Backend::IoUring)?;
    let file = file()?;
    let mut buffer = file::Buffer::from(vec![0; 4096]);
    counted(|| {
        queue.submit(Operation::read(file.clone(), std::mem::take(&mut buffer), 0), ())?;
        let done = queue.completion().ok_or("it was to be over by now")?;
        assert_eq!(done.count()?, 4096);
        buffer = done.operation.into_buffer().ok_or("there is one")?;
        Ok(())
    })
}

/// As many reads as there is room for, at a time.
fn file_batch(_: &mut Poll, _: &mut Events) -> Result {
    let queue = Queue::new(BLOCKS as usize, file::Backend::IoUring)?;
    let file = file()?;
    let mut buffers: Vec<_> = (0..BLOCKS).map(|_| file::Buffer::from(vec![0; 4096])).collect();
    counted(|| {
        let mut batch = queue.batch();
        for (block, buffer) in buffers.drain(..).enumerate() {
            batch.submit(Operation::read(file.clone(), buffer, block as u64 * 4096), ())?;
        }
        batch.flush()?;
        for done in queue.completions() {
            assert_eq!(done.count()?, 4096);
            buffers.extend(done.operation.into_buffer());
        }
        assert_eq!(buffers.len(), BLOCKS as usize);
        Ok(())
    })
}

/// What comes of operations while calls fail: all of them complete, or come back. Which queue it was is the last line.
fn file_faults(poll: &mut Poll, events: &mut Events) -> Result {
    let queue = Queue::new(64, file::Backend::Auto)?;
    let queue = poll.registry().register_owned(queue, Token(0), Interest::READABLE)?;
    let file = file()?;
    let (mut accepted, mut completed, mut refused, mut failed) = (0, 0, 0, 0);
    for round in 0..200 {
        let offset = round % BLOCKS * 4096;
        match queue.submit(Operation::read(file.clone(), vec![0; 4096], offset), ()) {
            Ok(_) => accepted += 1,
            Err(rejected) => {
                assert_eq!(rejected.operation.into_buffer().map(|it| it.len()), Some(4096));
                refused += 1;
            }
        }
        let until = Instant::now() + Duration::from_secs(5);
        while completed + failed < accepted {
            for done in queue.completions() {
                match done.count() {
                    Ok(count) => {
                        assert_eq!(count, 4096);
                        completed += 1;
                    }
                    Err(_) => failed += 1,
                }
            }
            if completed + failed < accepted {
                assert!(
                    Instant::now() < until,
                    "{accepted} accepted, {completed} completed, {failed} failed"
                );
                match poll.poll(events, Some(Duration::from_millis(100))) {
                    // A ring that goes does that.
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    result => result?,
                }
            }
        }
    }
    let capabilities = queue.capabilities();
    println!("{completed} completed, {failed} failed, {refused} refused");
    println!("{}: {}", capabilities.backend, capabilities.reason.as_deref().unwrap_or("the best"));
    Ok(())
}
