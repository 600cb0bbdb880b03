use std::io;

use super::{Key, Operation, Queue, Rejected, RejectedChain};

/// Operations that are begun together, by one system call: by [`flush`](Batch::flush), or when the batch is dropped.
///
/// ```
/// use std::sync::Arc;
/// use wakeful::file::{Backend, Operation, Queue};
///
/// let queue = Queue::new(16, Backend::Auto)?;
/// let file = Arc::new(tempfile::tempfile()?);
/// let mut batch = queue.batch();
/// for number in 0..16 {
///     batch.submit(Operation::write(file.clone(), vec![number; 512], u64::from(number) * 512), number)?;
/// }
/// batch.flush()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a batch is begun at once when it is dropped"]
pub struct Batch<'queue, T> {
    queue: &'queue Queue<T>,
}

impl<'queue, T> Batch<'queue, T> {
    pub(super) fn new(queue: &'queue Queue<T>) -> Batch<'queue, T> {
        Batch { queue }
    }

    /// Takes an operation over.
    ///
    /// # Errors
    ///
    /// [`Rejected`], with the operation in it: the queue is full, or the operating system takes no more.
    #[inline]
    pub fn submit(&mut self, operation: Operation, user: T) -> Result<Key, Rejected<T>> {
        self.queue.files().push(operation, user)
    }

    /// Takes operations over that follow one another; see [`Queue::submit_chain`].
    ///
    /// # Errors
    ///
    /// [`RejectedChain`], with all of them in it.
    pub fn submit_chain(
        &mut self,
        chain: impl IntoIterator<Item = (Operation, T)>,
    ) -> Result<Vec<Key>, RejectedChain<T>> {
        self.queue.files().push_chain(chain.into_iter().collect())
    }

    /// Has all of them begun; the batch can go on.
    ///
    /// # Errors
    ///
    /// The operating system takes no more. What it did not take completes with this error, and there may be no event to
    /// tell of it: take the [completions](Queue::completions).
    pub fn flush(&mut self) -> io::Result<()> {
        self.queue.files().flush()
    }
}

impl<T> Drop for Batch<'_, T> {
    fn drop(&mut self) {
        // Whoever wants to know of an error flushes.
        let _ = self.flush();
    }
}
