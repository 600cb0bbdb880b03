//! One file: what follows what, from opening it to reading its copy.

use std::error::Error;
use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::sync::Arc;

use wakeful::file::{Buffer, OpenOptions, Operation, Output};

use crate::tree::Entry;

const CHUNK: usize = 128 * 1024;

/// A file that is being copied. It is the user value of its operation, of which there is one at a time.
pub(crate) struct Copy {
    entry: Entry,
    stage: Stage,
    /// Of what was read, and of what the copy has.
    hashes: [DefaultHasher; 2],
}

enum Stage {
    Opening,
    Creating { from: Arc<File> },
    Reading { from: Arc<File>, to: Arc<File>, at: u64 },
    Writing { from: Arc<File>, to: Arc<File>, at: u64 },
    Verifying { to: Arc<File>, at: u64 },
}

pub(crate) enum Progress {
    /// And how many bytes have been copied by it.
    Next(Operation, u64),
    Done,
}

impl Copy {
    pub(crate) fn begin(entry: Entry) -> Result<(Copy, Operation), Box<dyn Error>> {
        let operation = Operation::open(&entry.from, OpenOptions::new().read(true))?;
        Ok((Copy { entry, stage: Stage::Opening, hashes: Default::default() }, operation))
    }

    /// What is to be done after that.
    pub(crate) fn go_on(
        &mut self,
        operation: Operation,
        result: io::Result<Output>,
    ) -> Result<Progress, Box<dyn Error>> {
        let output = result.map_err(|error| format!("{}: {error}", self.entry.from.display()))?;
        let count = output.count();
        let stage = std::mem::replace(&mut self.stage, Stage::Opening);
        let (stage, operation, moved) = match stage {
            Stage::Opening => {
                let from = Arc::new(output.into_file().ok_or("no file was opened")?);
                let options = OpenOptions::new().read(true).write(true).create_new(true);
                let create = Operation::open(&self.entry.to, options.mode(self.entry.mode))?;
                (Stage::Creating { from }, create, 0)
            }
            Stage::Creating { from } => {
                let to = Arc::new(output.into_file().ok_or("no file was created")?);
                let read = Operation::read(from.clone(), vec![0; CHUNK], 0);
                (Stage::Reading { from, to, at: 0 }, read, 0)
            }
            Stage::Reading { to, .. } if count == 0 => {
                let buffer = operation.into_buffer().unwrap_or_default().whole();
                (Stage::Verifying { to: to.clone(), at: 0 }, Operation::read(to, buffer, 0), 0)
            }
            Stage::Reading { from, to, at } => {
                let buffer = operation.into_buffer().unwrap_or_default().with_range(0..count);
                self.hashes[0].write(&buffer);
                let write = Operation::write(to.clone(), buffer, at);
                (Stage::Writing { from, to, at }, write, 0)
            }
            Stage::Writing { from, to, at } => {
                let buffer = operation.into_buffer().unwrap_or_default();
                let (written, at) = (count as u64, at + count as u64);
                if count < buffer.len() {
                    // The rest of it, which finds out why.
                    let range = buffer.range();
                    let rest = buffer.with_range(range.start + count..range.end);
                    let write = Operation::write(to.clone(), rest, at);
                    (Stage::Writing { from, to, at }, write, written)
                } else {
                    let read = Operation::read(from.clone(), buffer.whole(), at);
                    (Stage::Reading { from, to, at }, read, written)
                }
            }
            Stage::Verifying { .. } if count == 0 => return self.end(),
            Stage::Verifying { to, at } => {
                let buffer: Buffer = operation.into_buffer().unwrap_or_default();
                self.hashes[1].write(&buffer[..count]);
                let at = at + count as u64;
                (Stage::Verifying { to: to.clone(), at }, Operation::read(to, buffer, at), 0)
            }
        };
        self.stage = stage;
        Ok(Progress::Next(operation, moved))
    }

    fn end(&self) -> Result<Progress, Box<dyn Error>> {
        let [read, copied] = &self.hashes;
        if read.finish() != copied.finish() {
            return Err(format!("{} is not what was copied", self.entry.to.display()).into());
        }
        Ok(Progress::Done)
    }
}
