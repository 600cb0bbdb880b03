use std::fmt;
use std::slice;

use super::Event;

/// The buffer that [`Poll::poll`](crate::Poll::poll) fills.
///
/// Its capacity bounds what one poll reports. What finds no room is not lost: it comes with the next
/// poll. Between 64 and 256 serves best; a thousand and more costs cache misses.
///
/// ```
/// use std::time::Duration;
/// use wakeful::{Events, Poll};
///
/// let mut poll = Poll::new()?;
/// let mut events = Events::with_capacity(128);
/// poll.poll(&mut events, Some(Duration::ZERO))?;
/// for event in &events {
///     println!("{:?} is ready", event.token());
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Events {
    pub(crate) buffer: Vec<Event>,
}

impl Events {
    /// A buffer with room for `capacity` events.
    ///
    /// A capacity of zero can be had, and every poll into it is an error that says so.
    pub fn with_capacity(capacity: usize) -> Events {
        Events { buffer: Vec::with_capacity(capacity) }
    }

    /// How many events there is room for.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Whether the last poll reported nothing.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// How many events the last poll reported.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// The events of the last poll.
    pub fn iter(&self) -> Iter<'_> {
        Iter { inner: self.buffer.iter() }
    }

    /// Forgets the events; every poll does so first.
    pub fn clear(&mut self) {
        self.buffer.clear();
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<'events> IntoIterator for &'events Events {
    type Item = &'events Event;
    type IntoIter = Iter<'events>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Iterates over [`Events`].
#[derive(Clone, Debug)]
pub struct Iter<'events> {
    inner: slice::Iter<'events, Event>,
}

impl<'events> Iterator for Iter<'events> {
    type Item = &'events Event;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.inner.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }

    fn count(self) -> usize {
        self.inner.count()
    }
}

impl ExactSizeIterator for Iter<'_> {}
