//! libevent and libuv, if the system has them: their shared libraries, found at run time.

use std::ffi::{c_int, c_short, c_void};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};
use libloading::{Library, Symbol};

use super::sockets::{Kind, Socket};

const MESSAGE: &[u8] = b"ping";

fn library(names: &[&str]) -> Result<Library> {
    // SAFETY: these libraries have no initialisers that ask for anything.
    let found = names.iter().find_map(|name| unsafe { Library::new(name) }.ok());
    found.with_context(|| format!("{} is not installed", names[0]))
}

/// A function of a library, by its name.
///
/// # Safety
///
/// It must have this type.
unsafe fn function<T: Copy>(library: &Library, name: &str) -> Result<T> {
    // SAFETY: as the caller promises.
    let symbol: Symbol<'_, T> = unsafe { library.get(name.as_bytes()) }?;
    Ok(*symbol)
}

/// What the callbacks of both libraries are given.
struct Reader {
    right: Socket,
    received: usize,
}

impl Reader {
    fn read(&mut self) {
        let mut buffer = [0; 64];
        self.received += self.right.receive(&mut buffer).unwrap_or(0);
    }
}

type Base = *mut c_void;
type EventCallback = extern "C" fn(c_int, c_short, *mut c_void);

pub(super) struct Libevent {
    left: Socket,
    reader: Box<Reader>,
    base: Base,
    run_once: unsafe extern "C" fn(Base, c_int) -> c_int,
    _library: Library,
}

extern "C" fn libevent_readable(_: c_int, _: c_short, reader: *mut c_void) {
    // SAFETY: it is the reader of the Libevent that runs, which is not used meanwhile.
    unsafe { &mut *reader.cast::<Reader>() }.read();
}

impl Libevent {
    pub(super) fn new(kind: Kind) -> Result<Libevent> {
        const READ: c_short = 0x02;
        const PERSIST: c_short = 0x10;
        const EDGE: c_short = 0x20;
        let library = library(&["libevent-2.1.so.7", "libevent_core-2.1.so.7", "libevent.so"])?;
        let (left, right) = kind.pair()?;
        let mut reader = Box::new(Reader { right: right.into(), received: 0 });
        // SAFETY: the types are those of event2/event.h; the base, the event and the reader stay as long as they are
        // used: they are never freed, but for the reader, after its last use.
        unsafe {
            let new: unsafe extern "C" fn() -> Base = function(&library, "event_base_new")?;
            let event_new: unsafe extern "C" fn(
                Base,
                c_int,
                c_short,
                EventCallback,
                *mut c_void,
            ) -> *mut c_void = function(&library, "event_new")?;
            let add: unsafe extern "C" fn(*mut c_void, *const libc::timeval) -> c_int =
                function(&library, "event_add")?;
            let run_once = function(&library, "event_base_loop")?;
            let base = new();
            let fd = reader.right.as_raw_fd();
            let argument = std::ptr::from_mut(&mut *reader).cast();
            let event = event_new(base, fd, READ | PERSIST | EDGE, libevent_readable, argument);
            ensure!(!event.is_null() && add(event, std::ptr::null()) == 0, "libevent refuses");
            Ok(Libevent { left: left.into(), reader, base, run_once, _library: library })
        }
    }

    pub(super) fn run(&mut self, count: usize) -> Result<()> {
        const ONCE: c_int = 1;
        let before = self.reader.received;
        for _ in 0..count {
            self.left.send(MESSAGE)?;
            // SAFETY: the base is there, and used by this thread alone.
            unsafe { (self.run_once)(self.base, ONCE) };
        }
        ensure!(self.reader.received == before + count * MESSAGE.len(), "messages were lost");
        Ok(())
    }
}

type PollCallback = extern "C" fn(*mut c_void, c_int, c_int);

pub(super) struct Libuv {
    left: Socket,
    reader: Box<Reader>,
    event_loop: Box<[u64]>,
    _handle: Box<[u64]>,
    run: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    _library: Library,
}

extern "C" fn libuv_readable(handle: *mut c_void, _: c_int, _: c_int) {
    // SAFETY: a handle's first field is its user's pointer: here, to the reader of the Libuv that runs.
    unsafe { &mut **handle.cast::<*mut Reader>() }.read();
}

impl Libuv {
    pub(super) fn new(kind: Kind) -> Result<Libuv> {
        const POLL: c_int = 8;
        const READABLE: c_int = 1;
        let library = library(&["libuv.so.1", "libuv.so"])?;
        let (left, right) = kind.pair()?;
        let mut reader = Box::new(Reader { right: right.into(), received: 0 });
        // SAFETY: the types are those of uv.h; the memory is as large as the library asks for, and stays.
        unsafe {
            let loop_size: unsafe extern "C" fn() -> usize = function(&library, "uv_loop_size")?;
            let handle_size: unsafe extern "C" fn(c_int) -> usize =
                function(&library, "uv_handle_size")?;
            let loop_init: unsafe extern "C" fn(*mut c_void) -> c_int =
                function(&library, "uv_loop_init")?;
            let poll_init: unsafe extern "C" fn(*mut c_void, *mut c_void, c_int) -> c_int =
                function(&library, "uv_poll_init")?;
            let poll_start: unsafe extern "C" fn(*mut c_void, c_int, PollCallback) -> c_int =
                function(&library, "uv_poll_start")?;
            let run = function(&library, "uv_run")?;
            let words = |bytes: usize| vec![0_u64; bytes.div_ceil(8)].into_boxed_slice();
            let (mut event_loop, mut handle) = (words(loop_size()), words(handle_size(POLL)));
            let at: *mut c_void = event_loop.as_mut_ptr().cast();
            let handle_at: *mut c_void = handle.as_mut_ptr().cast();
            ensure!(loop_init(at) == 0, "libuv refuses");
            ensure!(poll_init(at, handle_at, reader.right.as_raw_fd()) == 0, "libuv refuses");
            handle_at.cast::<*mut Reader>().write(&mut *reader);
            ensure!(poll_start(handle_at, READABLE, libuv_readable) == 0, "libuv refuses");
            Ok(Libuv {
                left: left.into(),
                reader,
                event_loop,
                _handle: handle,
                run,
                _library: library,
            })
        }
    }

    pub(super) fn run(&mut self, count: usize) -> Result<()> {
        const ONCE: c_int = 1;
        let before = self.reader.received;
        for _ in 0..count {
            self.left.send(MESSAGE)?;
            // SAFETY: the loop is there, and used by this thread alone.
            unsafe { (self.run)(self.event_loop.as_mut_ptr().cast(), ONCE) };
        }
        ensure!(self.reader.received == before + count * MESSAGE.len(), "messages were lost");
        Ok(())
    }
}
