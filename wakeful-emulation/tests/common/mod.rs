//! A kqueue that is closed when a test ends, and waits that do.
#![allow(dead_code, unreachable_pub, missing_docs, missing_debug_implementations)]

use std::ffi::c_int;
use std::ptr;
use std::time::Duration;

use wakeful_emulation::kqueue::{self, kevent};

/// No wait in a test lasts longer.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// Long enough for an event that is wrongly on its way to arrive.
pub const QUIET: Duration = Duration::from_millis(15);

pub struct Kqueue(pub c_int);

impl Drop for Kqueue {
    fn drop(&mut self) {
        // SAFETY: it is this one's, and not used again.
        unsafe { kqueue::close(self.0) };
    }
}

impl Kqueue {
    pub fn new() -> Kqueue {
        let fd = kqueue::kqueue1(libc::O_CLOEXEC);
        assert!(fd >= 0, "{}", std::io::Error::last_os_error());
        Kqueue(fd)
    }

    /// The whole call: what it answers, or errno.
    pub fn kevent(
        &self,
        changes: &[kevent],
        events: &mut [kevent],
        timeout: Option<Duration>,
    ) -> Result<usize, i32> {
        let timeout = timeout.map(|timeout| libc::timespec {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        let (changes_at, count) = (changes.as_ptr(), changes.len() as c_int);
        // SAFETY: the pointers and lengths are those of slices and of a struct that live until it returns.
        let result = unsafe {
            kqueue::kevent(
                self.0,
                changes_at,
                count,
                events.as_mut_ptr(),
                events.len() as c_int,
                timeout,
            )
        };
        match usize::try_from(result) {
            Ok(count) => Ok(count),
            Err(_) => Err(std::io::Error::last_os_error().raw_os_error().unwrap()),
        }
    }

    #[track_caller]
    pub fn change(&self, change: kevent) {
        assert_eq!(self.kevent(&[change], &mut [], None), Ok(0));
    }

    #[track_caller]
    pub fn refused(&self, change: kevent) -> i32 {
        self.kevent(&[change], &mut [], None).unwrap_err()
    }

    /// At least one event.
    #[track_caller]
    pub fn wait(&self) -> Vec<kevent> {
        let events = self.within(DEADLINE);
        assert!(!events.is_empty(), "nothing came");
        events
    }

    #[track_caller]
    pub fn one(&self) -> kevent {
        let events = self.wait();
        assert_eq!(events.len(), 1, "{events:?}");
        events[0]
    }

    #[track_caller]
    pub fn nothing(&self) {
        let events = self.within(QUIET);
        assert!(events.is_empty(), "{events:?}");
    }

    pub fn within(&self, timeout: Duration) -> Vec<kevent> {
        let mut events = [event(0, 0, 0); 16];
        let count = self.kevent(&[], &mut events, Some(timeout)).unwrap();
        events[..count].to_vec()
    }
}

pub fn event(ident: usize, filter: i16, flags: u16) -> kevent {
    kevent { ident, filter, flags, fflags: 0, data: 0, udata: ptr::null_mut(), ext: [0; 4] }
}
