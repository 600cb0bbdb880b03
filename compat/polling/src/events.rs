use std::cell::Cell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::num::NonZeroUsize;

use crate::Event;

const DEFAULT_CAPACITY: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// The buffer that [`Poller::wait`](crate::Poller::wait) adds to: [`clear`](Events::clear) it before
/// each wait.
///
/// Its capacity bounds what one wait reports. What finds no room comes with the next.
pub struct Events {
    capacity: NonZeroUsize,
    latest: wakeful::Events,
    /// Of earlier waits, if they have not been cleared.
    earlier: Vec<wakeful::event::Event>,
    not_sync: PhantomData<Cell<()>>,
}

impl Events {
    /// Room for 1024 events.
    #[inline]
    pub fn new() -> Self {
        Events::with_capacity(DEFAULT_CAPACITY)
    }

    /// Room for `capacity` events.
    #[inline]
    pub fn with_capacity(capacity: NonZeroUsize) -> Self {
        Events {
            capacity,
            latest: wakeful::Events::with_capacity(capacity.get()),
            earlier: Vec::new(),
            not_sync: PhantomData,
        }
    }

    /// The events, without notifications.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        self.earlier.iter().chain(&self.latest).map(Event::of)
    }

    /// Forgets the events.
    #[inline]
    pub fn clear(&mut self) {
        self.earlier.clear();
        self.latest.clear();
    }

    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.earlier.len() + self.latest.len()
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many events there is room for.
    #[inline]
    pub fn capacity(&self) -> NonZeroUsize {
        self.capacity
    }

    /// What a wait fills, with the room that is left. It is emptied by that, so what it holds is put
    /// aside.
    pub(crate) fn make_room(&mut self) -> io::Result<&mut wakeful::Events> {
        self.earlier.extend(&self.latest);
        self.latest.clear();
        let room = self.capacity.get().saturating_sub(self.earlier.len());
        if room == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "these Events are full of the events of earlier waits: call Events::clear before \
                 each wait",
            ));
        }
        if self.latest.capacity() != room {
            self.latest = wakeful::Events::with_capacity(room);
        }
        Ok(&mut self.latest)
    }
}

impl Default for Events {
    #[inline]
    fn default() -> Self {
        Events::new()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
