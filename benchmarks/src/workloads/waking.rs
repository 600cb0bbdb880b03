//! Threads that call the one which waits.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::sockets::RawEpoll;
use crate::clock::Clock;
use crate::latency::samples;
use crate::row::Row;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new("wake a poller that was woken", "call")
            .counted()
            .fresh()
            .candidate("wakeful", Own::<WakefulBell>::new, Own::wake)
            .candidate("mio", Own::<MioBell>::new, Own::wake)
            .goal("mio", 0.03),
        Row::new("wake oneself and poll", "call")
            .counted()
            .fresh()
            .candidate("wakeful", Own::<WakefulBell>::new, Own::wake_and_wait)
            .candidate("mio", Own::<MioBell>::new, Own::wake_and_wait)
            .candidate("polling", || Ok((polling::Poller::new()?, polling::Events::new())), |it, count| {
                for _ in 0..count {
                    it.0.notify()?;
                    it.1.clear();
                    it.0.wait(&mut it.1, Some(Duration::ZERO))?;
                }
                Ok(())
            })
            .candidate("epoll_wait(0) alone", || RawEpoll::new(64), |epoll, count| {
                for _ in 0..count {
                    epoll.wait(0)?;
                }
                Ok(())
            })
            .goal("mio", 0.25)
            .goal("epoll_wait(0) alone", 1.2)
            .remark("the wait itself is most of it: a poll that has been woken must still look at the descriptors"),
        Row::new("messages from another thread", "message")
            .clock(Clock::Process)
            .candidate("wakeful", || Ok(()), |(), count| stream::<WakefulBell>(count))
            .candidate("mio", || Ok(()), |(), count| stream::<MioBell>(count))
            .goal("mio", 0.05)
            .remark("what is left is the queue behind its lock, for which the two threads contend"),
        Row::new("wake a sleeping poller, there and back", "round trip")
            .clock(Clock::Wall)
            .candidate("wakeful", Pair::<WakefulBell>::start, Pair::run)
            .candidate("mio", Pair::<MioBell>::start, Pair::run)
            .candidate("futex", Pair::<FutexBell>::start, Pair::run)
            .goal("mio", 1.02)
            .goal("futex", 1.05)
            .remark("two threads on two processors: the time between them is the kernel's, and varies"),
    ]
}

/// Of each that wakes another, one by one.
pub(crate) fn round_trips(count: usize) -> Result<Vec<(String, Vec<f64>)>> {
    let mut wakeful = Pair::<WakefulBell>::start()?;
    let mut mio = Pair::<MioBell>::start()?;
    let mut futex = Pair::<FutexBell>::start()?;
    Ok(vec![
        ("wakeful".to_owned(), samples(count, || wakeful.run(1))?),
        ("mio".to_owned(), samples(count, || mio.run(1))?),
        ("futex".to_owned(), samples(count, || futex.run(1))?),
    ])
}

/// One that is woken by the thread that waits.
struct Own<B: Bell> {
    bell: B,
    ringer: B::Ringer,
}

impl<B: Bell> Own<B> {
    fn new() -> Result<Own<B>> {
        let (bell, ringer) = B::new()?;
        Ok(Own { bell, ringer })
    }

    fn wake(&mut self, count: usize) -> Result<()> {
        (0..count).try_for_each(|_| B::ring(&self.ringer))
    }

    fn wake_and_wait(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            B::ring(&self.ringer)?;
            self.bell.wait()?;
        }
        Ok(())
    }
}

/// A queue behind a lock, and a waker, as programs on mio have it: each message wakes.
fn stream<B: Bell>(count: usize) -> Result<()> {
    let (mut bell, ringer) = B::new()?;
    let queue = Arc::new(Mutex::new(Vec::new()));
    let sender = Arc::clone(&queue);
    let thread = thread::spawn(move || {
        for number in 0..count {
            sender.lock().unwrap().push(number);
            B::ring(&ringer).unwrap();
        }
        // mio's takes along what it woke for when it is dropped.
        ringer
    });
    let (mut received, mut batch) = (0, Vec::new());
    while received < count {
        bell.wait()?;
        std::mem::swap(&mut batch, &mut *queue.lock().unwrap());
        received += batch.len();
        batch.clear();
    }
    thread.join().unwrap();
    Ok(())
}

/// Waits, and is woken from elsewhere.
trait Bell: Sized + Send + 'static {
    type Ringer: Send + 'static;
    fn new() -> Result<(Self, Self::Ringer)>;
    fn wait(&mut self) -> Result<()>;
    fn ring(ringer: &Self::Ringer) -> Result<()>;
}

/// Two threads, each of which wakes the other.
struct Pair<B: Bell> {
    bell: B,
    other: B::Ringer,
}

impl<B: Bell> Pair<B> {
    fn start() -> Result<Pair<B>> {
        let (bell, ringer) = B::new()?;
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            let Ok((mut bell, own)) = B::new() else { return };
            if send.send(own).is_err() {
                return;
            }
            // Until the process ends.
            while bell.wait().and_then(|()| B::ring(&ringer)).is_ok() {}
        });
        Ok(Pair { bell, other: receive.recv()? })
    }

    fn run(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            B::ring(&self.other)?;
            self.bell.wait()?;
        }
        Ok(())
    }
}

struct WakefulBell(wakeful::Poll, wakeful::Events);

impl Bell for WakefulBell {
    type Ringer = wakeful::Waker;

    fn new() -> Result<(WakefulBell, wakeful::Waker)> {
        let poll = wakeful::Poll::new()?;
        let waker = wakeful::Waker::new(poll.registry(), wakeful::Token(0))?;
        Ok((WakefulBell(poll, wakeful::Events::with_capacity(8)), waker))
    }

    fn wait(&mut self) -> Result<()> {
        Ok(self.0.poll(&mut self.1, None)?)
    }

    fn ring(ringer: &wakeful::Waker) -> Result<()> {
        Ok(ringer.wake()?)
    }
}

struct MioBell(mio::Poll, mio::Events);

impl Bell for MioBell {
    type Ringer = mio::Waker;

    fn new() -> Result<(MioBell, mio::Waker)> {
        let poll = mio::Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), mio::Token(0))?;
        Ok((MioBell(poll, mio::Events::with_capacity(8)), waker))
    }

    fn wait(&mut self) -> Result<()> {
        Ok(self.0.poll(&mut self.1, None)?)
    }

    fn ring(ringer: &mio::Waker) -> Result<()> {
        Ok(ringer.wake()?)
    }
}

/// std's parking, which is a futex.
struct FutexBell(mpsc::Receiver<()>);

impl Bell for FutexBell {
    type Ringer = mpsc::Sender<()>;

    fn new() -> Result<(FutexBell, mpsc::Sender<()>)> {
        let (sender, receiver) = mpsc::channel();
        Ok((FutexBell(receiver), sender))
    }

    fn wait(&mut self) -> Result<()> {
        Ok(self.0.recv()?)
    }

    fn ring(ringer: &mpsc::Sender<()>) -> Result<()> {
        Ok(ringer.send(())?)
    }
}
