//! A port that is closed when a test ends, and waits that do.
#![allow(dead_code, unreachable_pub, missing_docs, missing_debug_implementations)]

use std::ffi::{CString, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::time::Duration;

use wakeful_emulation::event_port::*;

/// No wait in a test lasts longer.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// Long enough for an event that is wrongly on its way to arrive.
pub const QUIET: Duration = Duration::from_millis(15);

pub const NOTHING: port_event = port_event {
    portev_events: 0,
    portev_source: 0,
    portev_pad: 0,
    portev_object: 0,
    portev_user: ptr::null_mut(),
};

pub fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap()
}

fn check(result: c_int) -> Result<c_int, i32> {
    if result == -1 { Err(errno()) } else { Ok(result) }
}

pub fn timespec(time: Duration) -> libc::timespec {
    libc::timespec { tv_sec: time.as_secs() as libc::time_t, tv_nsec: time.subsec_nanos().into() }
}

pub struct Port(pub c_int);

impl Drop for Port {
    fn drop(&mut self) {
        // SAFETY: it is this one's, and not used again.
        unsafe { close(self.0) };
    }
}

impl Port {
    pub fn new() -> Port {
        let fd = port_create();
        assert!(fd >= 0, "{}", errno());
        Port(fd)
    }

    pub fn associate(&self, fd: &impl std::os::fd::AsRawFd, events: i16, user: usize) {
        assert_eq!(self.try_associate(fd.as_raw_fd(), events.into(), user), Ok(0));
    }

    pub fn try_associate(&self, fd: c_int, events: c_int, user: usize) -> Result<c_int, i32> {
        // SAFETY: descriptors are numbers.
        check(unsafe {
            port_associate(self.0, PORT_SOURCE_FD, fd as usize, events, user as *mut _)
        })
    }

    pub fn dissociate(&self, fd: &impl std::os::fd::AsRawFd) -> Result<c_int, i32> {
        check(port_dissociate(self.0, PORT_SOURCE_FD, fd.as_raw_fd() as usize))
    }

    pub fn watch(&self, file: &File, events: c_int) -> Result<c_int, i32> {
        // SAFETY: the object and its name live as long as the file.
        check(unsafe {
            port_associate(self.0, PORT_SOURCE_FILE, file.object(), events, 5 as *mut _)
        })
    }

    pub fn unwatch(&self, file: &File) -> Result<c_int, i32> {
        check(port_dissociate(self.0, PORT_SOURCE_FILE, file.object()))
    }

    pub fn send(&self, events: c_int, user: usize) -> Result<c_int, i32> {
        check(port_send(self.0, events, user as *mut _))
    }

    pub fn get(&self, timeout: Option<Duration>) -> Result<port_event, i32> {
        let mut event = NOTHING;
        let timeout = timeout.map(timespec);
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: the event is valid for the write, the timeout null or valid.
        check(unsafe { port_get(self.0, &mut event, timeout) }).map(|_| event)
    }

    /// What the call answers, and how many there are.
    pub fn getn(
        &self,
        room: &mut [port_event],
        wanted: u32,
        timeout: Option<Duration>,
    ) -> (Result<c_int, i32>, u32) {
        let mut count = wanted;
        let timeout = timeout.map(timespec);
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        let (list, max) = (room.as_mut_ptr(), room.len() as u32);
        // SAFETY: the list is valid for so many, the timeout null or valid.
        let result = check(unsafe { port_getn(self.0, list, max, &mut count, timeout) });
        (result, count)
    }

    #[track_caller]
    pub fn one(&self) -> port_event {
        self.get(Some(DEADLINE)).unwrap()
    }

    #[track_caller]
    pub fn nothing(&self) {
        let got = self.get(Some(QUIET));
        assert_eq!(got.map(|event| (event.portev_source, event.portev_events)), Err(libc::ETIME));
    }

    /// How many events are queued.
    pub fn count(&self) -> u32 {
        let (result, count) = self.getn(&mut [], 0, None);
        assert_eq!(result, Ok(0));
        count
    }

    /// Of another's poll(2).
    pub fn is_readable(&self) -> bool {
        let mut entry = libc::pollfd { fd: self.0, events: libc::POLLIN, revents: 0 };
        // SAFETY: the entry is valid for one struct.
        unsafe { libc::poll(&mut entry, 1, 0) == 1 }
    }
}

/// A file object whose address stays what it is.
pub struct File {
    object: Box<file_obj>,
    _name: CString,
}

impl File {
    pub fn new(path: &Path) -> File {
        let name = CString::new(path.as_os_str().as_bytes()).unwrap();
        let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let object = Box::new(file_obj {
            fo_atime: zero,
            fo_mtime: zero,
            fo_ctime: zero,
            fo_pad: [0; 3],
            fo_name: name.as_ptr().cast_mut(),
        });
        File { object, _name: name }
    }

    pub fn object(&self) -> usize {
        ptr::from_ref(&*self.object) as usize
    }

    pub fn times(&mut self) -> &mut file_obj {
        &mut self.object
    }
}
