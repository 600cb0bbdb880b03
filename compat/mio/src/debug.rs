//! What mio asserts in debug builds: that a source is registered with one poller, once, and that a
//! poller has one waker. In release builds the types are empty and the questions free.

pub(crate) use checks::Association;
pub(crate) use checks::Identity;

#[cfg(debug_assertions)]
mod checks {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    static NEXT: AtomicUsize = AtomicUsize::new(1);

    /// Who a poller is, shared by its registries.
    #[derive(Clone)]
    pub(crate) struct Identity {
        number: usize,
        has_waker: Arc<AtomicBool>,
    }

    impl Identity {
        pub(crate) fn new() -> Identity {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            Identity { number, has_waker: Arc::new(AtomicBool::new(false)) }
        }

        /// # Panics
        ///
        /// For the second waker of a poller.
        #[track_caller]
        pub(crate) fn take_waker(&self) {
            let had_one = self.has_waker.swap(true, Ordering::AcqRel);
            assert!(!had_one, "Only a single `Waker` can be active per `Poll` instance");
        }
    }

    /// The poller that a source is registered with.
    pub(crate) struct Association {
        number: Option<usize>,
    }

    impl Association {
        pub(crate) fn new() -> Association {
            Association { number: None }
        }

        /// The source may be registered.
        pub(crate) fn is_free(&self) -> io::Result<()> {
            match self.number {
                None => Ok(()),
                Some(_) => Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "I/O source already registered with a `Registry`",
                )),
            }
        }

        /// The source is registered with this poller.
        pub(crate) fn is_with(&self, identity: &Identity) -> io::Result<()> {
            match self.number {
                Some(number) if number == identity.number => Ok(()),
                Some(_) => Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "I/O source already registered with a different `Registry`",
                )),
                None => Err(not_registered()),
            }
        }

        pub(crate) fn begin(&mut self, identity: &Identity) {
            self.number = Some(identity.number);
        }

        /// The source is to be with no poller any more.
        pub(crate) fn end(&mut self, identity: &Identity) -> io::Result<()> {
            if self.number == Some(identity.number) {
                self.number = None;
                Ok(())
            } else {
                Err(not_registered())
            }
        }
    }

    fn not_registered() -> io::Error {
        io::Error::new(io::ErrorKind::NotFound, "I/O source not registered with `Registry`")
    }
}

#[cfg(not(debug_assertions))]
mod checks {
    use std::io;

    #[derive(Clone)]
    pub(crate) struct Identity;

    impl Identity {
        pub(crate) fn new() -> Identity {
            Identity
        }

        pub(crate) fn take_waker(&self) {}
    }

    pub(crate) struct Association;

    impl Association {
        pub(crate) fn new() -> Association {
            Association
        }

        pub(crate) fn is_free(&self) -> io::Result<()> {
            Ok(())
        }

        pub(crate) fn is_with(&self, _: &Identity) -> io::Result<()> {
            Ok(())
        }

        pub(crate) fn begin(&mut self, _: &Identity) {}

        pub(crate) fn end(&mut self, _: &Identity) -> io::Result<()> {
            Ok(())
        }
    }
}
