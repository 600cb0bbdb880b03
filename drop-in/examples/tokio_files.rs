//! Files in tokio without its threads: wakeful's queue of operations in an `AsyncFd`.
//!
//! `cargo run --example tokio_files` from this folder.

use std::io;
use std::sync::Arc;

use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use wakeful::file::{Backend, Completed, Operation, Queue};

/// Operations that can be awaited.
struct Files {
    queue: AsyncFd<Queue<oneshot::Sender<Completed<()>>>>,
}

impl Files {
    fn new(depth: usize) -> io::Result<Arc<Files>> {
        let queue = Queue::new(depth, Backend::Auto)?;
        // SAFETY: a queue keeps its descriptor, always the same, until it is dropped.
        let queue = unsafe { AsyncFd::register(queue) }?;
        let files = Arc::new(Files { queue });
        // One task hears of all ends.
        let listening = files.clone();
        tokio::spawn(async move {
            while let Ok(mut guard) = listening.queue.readable().await {
                guard.clear_ready();
                listening.tell();
            }
        });
        Ok(files)
    }

    /// Tells those who wait what has ended.
    fn tell(&self) {
        for done in self.queue.get_ref().completions() {
            let told = Completed::new(done.key, (), done.operation, done.result);
            // Nobody waits any more, perhaps.
            let _ = done.user.send(told);
        }
    }

    async fn perform(&self, operation: Operation) -> io::Result<Completed<()>> {
        let (sender, receiver) = oneshot::channel();
        self.queue.get_ref().submit(operation, sender)?;
        // Most that is in memory is over by now.
        self.tell();
        receiver.await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let files = Files::new(64)?;
    let file = Arc::new(tempfile::tempfile()?);
    let mut tasks = JoinSet::new();
    for number in 0..50_u8 {
        let (files, file) = (files.clone(), file.clone());
        tasks.spawn(async move {
            let at = u64::from(number) * 4096;
            let write = Operation::write(file.clone(), vec![number; 4096], at);
            assert_eq!(files.perform(write).await?.count()?, 4096);
            let read = files.perform(Operation::read(file, vec![0; 4096], at)).await?;
            let bytes = read.operation.into_buffer().unwrap_or_default();
            assert!(bytes.len() == 4096 && bytes.iter().all(|&byte| byte == number));
            io::Result::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    println!(
        "50 tasks wrote, and read it back, by {}",
        files.queue.get_ref().capabilities().backend
    );
    Ok(())
}
