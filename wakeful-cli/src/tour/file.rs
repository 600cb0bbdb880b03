//! Operations on a file, told when they are over.

use std::sync::Arc;

use anyhow::{Context, ensure};
use wakeful::event::Event;
use wakeful::file::{Backend, Operation, Queue};
use wakeful::{Interest, Registered};

use super::{Act, Stage};

const TEXT: &[u8] = b"written, made durable and read back";

struct File {
    queue: Registered<Queue<&'static str>>,
    ended: usize,
}

pub(super) fn begin(stage: &mut Stage<'_>) -> anyhow::Result<Box<dyn Act>> {
    let queue = Queue::new(8, Backend::Auto)?;
    let queue = stage.registry.register_owned(queue, stage.token(0), Interest::READABLE)?;
    let file = Arc::new(tempfile::tempfile()?);
    queue.submit_chain([
        (Operation::write(file.clone(), TEXT.to_vec(), 0), "written"),
        (Operation::sync_data(file.clone()), "durable"),
        (Operation::read(file, vec![0; TEXT.len()], 0), "read"),
    ])?;
    stage.say(format_args!(
        "three operations by {}, one after another",
        queue.capabilities().backend
    ))?;
    Ok(Box::new(File { queue, ended: 0 }))
}

impl Act for File {
    fn name(&self) -> &'static str {
        "file"
    }

    fn promise(&self) -> &'static str {
        "operations on a file complete as events, in the order they were linked in"
    }

    fn ready(&mut self, _: &Event, _: usize, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        for done in self.queue.completions() {
            let order = ["written", "durable", "read"];
            ensure!(order.get(self.ended) == Some(&done.user), "{} out of turn", done.user);
            done.result?;
            if done.user == "read" {
                let buffer = done.operation.into_buffer().context("a read has a buffer")?;
                ensure!(buffer[..] == *TEXT, "something else was read than was written");
            }
            self.ended += 1;
            stage.say(done.user)?;
        }
        Ok(())
    }

    fn missing(&self) -> String {
        match 3 - self.ended {
            0 => String::new(),
            count => format!("{count} operations"),
        }
    }
}
