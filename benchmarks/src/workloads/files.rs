//! Reads of 4 KiB at random places: from memory, and from the disk past the kernel's memory.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use anyhow::{Context, Result};
use wakeful::file::{AlignedBuffer, Attempt, Backend, Buffer, Operation, Queue};

use crate::clock::Clock;
use crate::row::Row;

const BLOCK: usize = 4096;
const BLOCKS: u64 = 16 * 1024;

pub(super) fn rows() -> Vec<Row> {
    let cached = |depth: usize| {
        Row::new(format!("file reads from memory, {depth} at a time"), "read of 4 KiB")
            .clock(Clock::Process)
            .counted()
            .candidate(
                "wakeful",
                move || Wakeful::new(depth, Backend::IoUring, false),
                Wakeful::attempt,
            )
            .candidate(
                "wakeful's ring",
                move || Wakeful::new(depth, Backend::IoUring, false),
                Wakeful::run,
            )
            .candidate(
                "pread",
                || Place::new(false),
                |place, count| {
                    let mut buffer = [0; BLOCK];
                    for _ in 0..count {
                        let offset = place.next();
                        place.file.read_exact_at(&mut buffer, offset)?;
                    }
                    Ok(())
                },
            )
            .candidate("std threads", move || Threads::new(depth, false), Threads::run)
            .candidate(
                "wakeful's pool",
                move || Wakeful::new(depth, Backend::Pool, false),
                Wakeful::run,
            )
            .candidate("tokio::fs", move || Tokio::new(depth), Tokio::run)
            .goal("pread", 1.25)
            .goal("std threads", if depth == 1 { 0.3 } else { 0.7 })
            .goal("tokio::fs", 0.25)
    };
    let direct = Row::new("file reads with O_DIRECT, 32 at a time", "read of 4 KiB")
        .clock(Clock::Process)
        .at_most(2000)
        .candidate("wakeful", || Wakeful::new(32, Backend::IoUring, true), Wakeful::run)
        .candidate("std threads", || Threads::new(32, true), Threads::run)
        .candidate("wakeful's pool", || Wakeful::new(32, Backend::Pool, true), Wakeful::run)
        .goal("std threads", 0.4);
    vec![cached(1), cached(32), direct]
}

/// A file of 64 MiB, and where it is read next.
struct Place {
    file: Arc<File>,
    state: u64,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new(is_direct: bool) -> Result<Place> {
        // Beside the program: the folder for temporary files may be in memory, which has no O_DIRECT.
        let beside = std::env::current_exe()?;
        let folder = tempfile::tempdir_in(beside.parent().context("it is in a folder")?)?;
        let path = folder.path().join("file");
        let mut file = File::create(&path)?;
        let block = vec![7; 1 << 20];
        for _ in 0..(BLOCKS * BLOCK as u64) >> 20 {
            file.write_all(&block)?;
        }
        file.sync_all()?;
        let mut options = File::options();
        if is_direct {
            options.custom_flags(libc::O_DIRECT);
        }
        let file = Arc::new(options.read(true).open(path)?);
        Ok(Place { file, state: 88_172_645_463_325_252, _folder: folder })
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % BLOCKS * BLOCK as u64
    }
}

fn buffers(depth: usize) -> Result<Vec<Buffer>> {
    (0..depth).map(|_| Ok(AlignedBuffer::new(BLOCK, BLOCK)?.into())).collect()
}

struct Wakeful {
    place: Place,
    depth: usize,
    buffers: Vec<Buffer>,
    poll: wakeful::Poll,
    events: wakeful::Events,
    queue: wakeful::Registered<Queue<()>>,
}

impl Wakeful {
    fn new(depth: usize, backend: Backend, is_direct: bool) -> Result<Wakeful> {
        let poll = wakeful::Poll::new()?;
        let queue = Queue::new(depth, backend)?;
        let (token, interest) = (wakeful::Token(0), wakeful::Interest::READABLE);
        let queue = poll.registry().register_owned(queue, token, interest)?;
        let events = wakeful::Events::with_capacity(8);
        let (place, buffers) = (Place::new(is_direct)?, buffers(depth)?);
        Ok(Wakeful { place, depth, buffers, poll, events, queue })
    }

    /// Each as it comes: what is in memory is read at once, the rest by the ring, as many at a time as there is room for.
    fn attempt(&mut self, count: usize) -> Result<()> {
        let mut left = count;
        while left > 0 || self.buffers.len() < self.depth {
            while left > 0 {
                let Some(buffer) = self.buffers.pop() else { break };
                let read = Operation::read(self.place.file.clone(), buffer, self.place.next());
                left -= 1;
                if let Attempt::Done(operation, (), output) = self.queue.attempt(read, ())? {
                    assert_eq!(output.count(), BLOCK);
                    self.buffers.extend(operation.into_buffer());
                }
            }
            let before = self.buffers.len();
            for done in self.queue.completions() {
                assert_eq!(done.result?.count(), BLOCK);
                self.buffers.extend(done.operation.into_buffer());
            }
            if self.buffers.len() == before && self.buffers.len() < self.depth {
                self.poll.poll(&mut self.events, None)?;
            }
        }
        Ok(())
    }

    /// All that there is room for at a time, as with a runtime whose tasks have all become ready.
    fn run(&mut self, count: usize) -> Result<()> {
        let mut left = count;
        while left > 0 || self.buffers.len() < self.depth {
            if left > 0 && !self.buffers.is_empty() {
                let mut batch = self.queue.batch();
                while left > 0 {
                    let Some(buffer) = self.buffers.pop() else { break };
                    let offset = self.place.next();
                    let read = Operation::read(self.place.file.clone(), buffer, offset);
                    batch.submit(read, ())?;
                    left -= 1;
                }
                batch.flush()?;
            }
            let before = self.buffers.len();
            for done in self.queue.completions() {
                assert_eq!(done.result?.count(), BLOCK);
                self.buffers.extend(done.operation.into_buffer());
            }
            if self.buffers.len() == before {
                self.poll.poll(&mut self.events, None)?;
            }
        }
        Ok(())
    }
}

/// What a program without any of this would do: four threads, a queue of jobs, and one of results.
struct Threads {
    place: Place,
    depth: usize,
    buffers: Vec<Buffer>,
    desk: Arc<Desk>,
}

#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    work: Condvar,
    done: Condvar,
}

#[derive(Default)]
struct State {
    jobs: Vec<(Arc<File>, Buffer, u64)>,
    done: Vec<Buffer>,
    is_over: bool,
}

impl Threads {
    fn new(depth: usize, is_direct: bool) -> Result<Threads> {
        let desk = Arc::new(Desk::default());
        for _ in 0..4 {
            let desk = Arc::clone(&desk);
            thread::spawn(move || {
                let mut state = desk.state.lock().unwrap();
                loop {
                    if let Some((file, mut buffer, offset)) = state.jobs.pop() {
                        drop(state);
                        file.read_exact_at(&mut buffer, offset).unwrap();
                        state = desk.state.lock().unwrap();
                        state.done.push(buffer);
                        desk.done.notify_one();
                    } else if state.is_over {
                        return;
                    } else {
                        state = desk.work.wait(state).unwrap();
                    }
                }
            });
        }
        Ok(Threads { place: Place::new(is_direct)?, depth, buffers: buffers(depth)?, desk })
    }

    fn run(&mut self, count: usize) -> Result<()> {
        let mut left = count;
        while left > 0 || self.buffers.len() < self.depth {
            let mut state = self.desk.state.lock().unwrap();
            while left > 0 {
                let Some(buffer) = self.buffers.pop() else { break };
                let offset = self.place.next();
                state.jobs.push((self.place.file.clone(), buffer, offset));
                self.desk.work.notify_one();
                left -= 1;
            }
            while state.done.is_empty() {
                state = self.desk.done.wait(state).unwrap();
            }
            self.buffers.append(&mut state.done);
        }
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.desk.state.lock().unwrap().is_over = true;
        self.desk.work.notify_all();
    }
}

struct Tokio {
    place: Place,
    depth: usize,
    runtime: tokio::runtime::Runtime,
    path: std::path::PathBuf,
}

impl Tokio {
    fn new(depth: usize) -> Result<Tokio> {
        let place = Place::new(false)?;
        let path = place._folder.path().join("file");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Tokio { place, depth, runtime, path })
    }

    /// As many tasks as are to be under way, each with a file of its own: tokio's have one position.
    fn run(&mut self, count: usize) -> Result<()> {
        use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};
        let each = count.div_ceil(self.depth);
        let offsets: Vec<Vec<u64>> = (0..self.depth.min(count))
            .map(|_| (0..each).map(|_| self.place.next()).collect())
            .collect();
        self.runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for offsets in offsets {
                let path = self.path.clone();
                tasks.spawn(async move {
                    let mut file = tokio::fs::File::open(path).await?;
                    let mut buffer = [0; BLOCK];
                    for offset in offsets {
                        file.seek(SeekFrom::Start(offset)).await?;
                        file.read_exact(&mut buffer).await?;
                    }
                    std::io::Result::Ok(())
                });
            }
            while let Some(ended) = tasks.join_next().await {
                ended??;
            }
            Ok(())
        })
    }
}
