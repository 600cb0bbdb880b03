//! Copies a tree, many files at a time on one thread, and verifies each copy by reading it back.
//!
//! ```sh
//! cargo run --release --example copy_tree -- FROM TO
//! cargo run --release --example copy_tree            # makes a tree of its own, and copies that
//! ```

mod copy;
mod tree;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use copy::{Copy, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use wakeful::file::{Backend, Queue};
use wakeful::{Events, Interest, Poll, Token};

/// How many files are under way at a time. Each has one operation at a time.
const AT_ONCE: usize = 32;

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(from), Some(to), None) => copy_tree(&from, &to),
        (None, ..) => {
            let folder = tempfile::tempdir()?;
            let (from, to) = (folder.path().join("from"), folder.path().join("to"));
            tree::make(&from)?;
            copy_tree(&from, &to)
        }
        _ => Err("say what to copy, and where: copy_tree FROM TO".into()),
    }
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    if to.exists() {
        return Err(format!("{} is there already: name a place for the copy", to.display()).into());
    }
    let start = Instant::now();
    // There is no operation that lists a directory.
    let files = tree::list(from, to)?;
    let bytes = files.iter().map(|file| file.length).sum();
    let count = files.len();

    let mut poll = Poll::new()?;
    let queue = Queue::new(AT_ONCE, Backend::Auto)?;
    let queue = poll.registry().register_owned(queue, Token(0), Interest::READABLE)?;
    let bar = ProgressBar::new(bytes).with_style(ProgressStyle::with_template(
        "{bar:40} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}",
    )?);

    let mut files = files.into_iter();
    let mut events = Events::with_capacity(8);
    let mut under_way = 0;
    loop {
        // What has ended goes on with its next operation, and for each that is done another begins: all by one call.
        let mut batch = queue.batch();
        for ended in queue.completions() {
            under_way -= 1;
            let mut copy: Copy = ended.user;
            match copy.go_on(ended.operation, ended.result)? {
                Progress::Next(operation, moved) => {
                    bar.inc(moved);
                    batch.submit(operation, copy)?;
                    under_way += 1;
                }
                Progress::Done => {}
            }
        }
        while under_way < AT_ONCE {
            let Some(file) = files.next() else { break };
            let (copy, operation) = Copy::begin(file)?;
            batch.submit(operation, copy)?;
            under_way += 1;
        }
        batch.flush()?;
        drop(batch);
        if under_way == 0 {
            break;
        }
        poll.poll(&mut events, Some(Duration::from_secs(60)))?;
        if events.is_empty() {
            return Err("nothing has ended for a minute".into());
        }
    }
    bar.finish_and_clear();
    println!(
        "{count} file{}, {bytes} bytes, copied and verified in {} ms by {}",
        if count == 1 { "" } else { "s" },
        start.elapsed().as_millis(),
        queue.capabilities().backend,
    );
    Ok(())
}
