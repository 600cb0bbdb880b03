//! Programs in the shape of the documentation of other bindings to event ports: they compile with
//! only their `use` line changed, and do what they say.

#![cfg(any(target_os = "linux", target_os = "illumos", target_os = "solaris"))]

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use wakeful_testing::Isolated;

const DEADLINE: Duration = Duration::from_secs(20);
/// Set in the child that runs the program for standard input.
const CHILD: &str = "WAKEFUL_STANDARD_INPUT";

fn append(path: impl AsRef<Path>) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(b"more").unwrap();
}

fn file() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "content").unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

mod standard_input {
    use wakeful_kernel::event_port::{EventPort, PollEvents};

    use super::*;

    fn program() -> Result<(), Box<dyn Error>> {
        let port = EventPort::new()?;
        let stdin = std::io::stdin().as_raw_fd();
        port.associate_fd(stdin, PollEvents::IN, 0)?;
        let event = port.get(None)?;
        if let Some(poll_events) = event.poll_events() {
            if poll_events.contains(PollEvents::IN) {
                println!("standard input is readable");
            }
        }
        Ok(())
    }

    /// Run by the test below, with a pipe for standard input.
    #[test]
    fn in_a_child() {
        if std::env::var_os(CHILD).is_some() {
            program().unwrap();
        }
    }

    #[test]
    fn by_a_pipe() {
        let test = std::env::current_exe().unwrap();
        let mut child = Command::new(test)
            .args(["--exact", "standard_input::in_a_child", "--nocapture"])
            .env(CHILD, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .start();
        child.stdin.as_mut().unwrap().write_all(b"line\n").unwrap();
        let output = child.output().unwrap();
        let output = String::from_utf8_lossy(&output.stdout);
        assert!(output.contains("standard input is readable"), "{output}");
    }
}

mod a_file {
    use wakeful_kernel::event_port::{EventPort, EventSource, FileEvents, FileObj};

    use super::*;

    fn watch(
        path: &str,
        mut report: impl FnMut(&str, String),
        is_ready: &mpsc::Sender<()>,
    ) -> Result<(), Box<dyn Error>> {
        let port = EventPort::new()?;
        let mut file_obj = FileObj::new(path)?;
        let events =
            FileEvents::ACCESS | FileEvents::MODIFIED | FileEvents::ATTRIB | FileEvents::TRUNC;
        port.associate_file(&file_obj, events, 0)?;
        is_ready.send(())?;
        loop {
            let event = port.get(None)?;
            if event.source == EventSource::File {
                let found = event.as_file_obj()?;
                let path = found.as_ref().map(|found| found.path().as_str()).unwrap_or("?");
                let events =
                    event.file_events().map(|events| events.to_string()).unwrap_or_default();
                report(path, events);
            }
            file_obj.refresh()?;
            port.associate_file(&file_obj, events, 0)?;
        }
    }

    #[test]
    fn until_it_is_gone() {
        let (_directory, path) = file();
        let (ready, is_ready) = mpsc::channel();
        let (reports, reported) = mpsc::channel();
        let watched = path.clone();
        let watcher = thread::spawn(move || {
            let report = |path: &str, events| reports.send((path.to_owned(), events)).unwrap();
            watch(&watched, report, &ready).unwrap_err().to_string()
        });
        is_ready.recv_timeout(DEADLINE).unwrap();
        append(&path);
        let (named, events) = reported.recv_timeout(DEADLINE).unwrap();
        assert_eq!(named, path);
        assert!(events.contains("Modified"), "{events}");
        fs::remove_file(&path).unwrap();
        // The end is the error of `refresh`, or of the association, with the path.
        let error = watcher.join().unwrap();
        assert!(error.contains(&path), "{error}");
        // The report of the end was the last one, if the file was watched when it ended.
        if let Some((_, events)) = reported.iter().last() {
            assert!(events.contains("Delete") || events.contains("Attrib"), "{events}");
        }
    }

    fn twice(path: &str) -> Result<[Option<FileEvents>; 2], Box<dyn Error>> {
        let port = EventPort::new()?;
        let mut file_obj = FileObj::new(path)?;
        port.associate_file(&file_obj, FileEvents::MODIFIED, 0)?;
        append(path);
        let first = port.get(None)?;
        file_obj.refresh()?;
        port.associate_file(&file_obj, FileEvents::MODIFIED, 0)?;
        append(path);
        let second = port.get(None)?;
        // The object of an event can be associated as it is.
        if let Some(file_obj) = second.as_file_obj()? {
            assert_eq!(format!("{}", file_obj.path()), path);
            port.associate_file(&file_obj, FileEvents::MODIFIED, 0)?;
        }
        Ok([first.file_events(), second.file_events()])
    }

    #[test]
    fn for_one_event_at_a_time() {
        let (_directory, path) = file();
        assert_eq!(twice(&path).unwrap(), [Some(FileEvents::MODIFIED); 2]);
    }
}

mod several_events {
    use wakeful_kernel::event_port::{EventPort, PollEvents};

    use super::*;

    #[test]
    fn in_one_call() {
        let (mut left, right) = UnixStream::pair().unwrap();
        left.write_all(b"x").unwrap();
        let fds = [left.as_raw_fd(), right.as_raw_fd()];
        let program = || -> Result<Vec<String>, Box<dyn Error>> {
            let port = EventPort::new()?;
            for fd in fds {
                port.associate_fd(fd, PollEvents::IN | PollEvents::OUT, 0)?;
            }
            let mut lines = Vec::new();
            let events = port.get_n(10, Some(Duration::from_secs(1)))?;
            for event in events {
                if let Some(poll_events) = event.poll_events() {
                    lines.push(format!("FD {} events: {}", event.object, poll_events));
                }
            }
            Ok(lines)
        };
        let mut lines = program().unwrap();
        lines.sort();
        let mut expected =
            [format!("FD {} events: Out", fds[0]), format!("FD {} events: In | Out", fds[1])];
        expected.sort();
        assert_eq!(lines, expected);
    }
}

mod errors {
    use wakeful_kernel::event_port::{
        AssociateFdError, AssociateFileError, DissociateFdError, DissociateFileError, EventPort,
        ExtractFileObjError, FileEvents, FileObj, FileObjError, GetError, GetNError, PollEvents,
        PortCreateError, RefreshError, SendError,
    };

    use super::*;

    #[test]
    fn of_a_descriptor() {
        let port = EventPort::new().unwrap();
        match port.associate_fd(9999, PollEvents::IN, 0) {
            Ok(()) => panic!("no such descriptor is open"),
            Err(AssociateFdError { fd, source }) => {
                assert_eq!((fd, source.raw_os_error()), (9999, Some(libc::EBADFD)));
            }
        }
    }

    /// Every shape as a pattern that leaves nothing out.
    #[test]
    fn as_patterns() {
        let port = match EventPort::new() {
            Ok(port) => port,
            Err(PortCreateError(error)) => panic!("{error}"),
        };
        if let Err(SendError(error)) = port.send(1, 2) {
            panic!("{error}");
        }
        port.get(None).unwrap();
        let Err(GetError(error)) = port.get(Some(Duration::ZERO)) else { panic!("no event") };
        assert_eq!(error.raw_os_error(), Some(libc::ETIME));
        let Err(GetNError(error)) = port.get_n(0, None) else { panic!("no room") };
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        let Err(DissociateFdError { fd, source: _ }) = port.dissociate_fd(9999) else {
            panic!("no such descriptor is open")
        };
        assert_eq!(fd, 9999);

        let name = |error| match error {
            FileObjError::InvalidPath { path, source } => {
                format!("{} {}", path.as_str().len(), source.nul_position())
            }
            FileObjError::Stat { path, source } => format!("{path} {:?}", source.raw_os_error()),
        };
        assert_eq!(name(FileObj::new("with\0zero").unwrap_err()), "9 4");
        let gone = format!("/wakeful-none Some({})", libc::ENOENT);
        assert_eq!(name(FileObj::new("/wakeful-none").unwrap_err()), gone);
        assert_eq!(name(FileObj::new_nofollow("/wakeful-none").unwrap_err()), gone);
        for error in [ExtractFileObjError::NullPointer] {
            match error {
                ExtractFileObjError::NullPointer => {}
                ExtractFileObjError::InvalidPath(source) => panic!("{source}"),
            }
        }

        let (_directory, path) = file();
        let mut object = FileObj::new(&path).unwrap();
        let Err(DissociateFileError { path: named, source: _ }) = port.dissociate_file(&object)
        else {
            panic!("it is not associated")
        };
        assert_eq!(named, path);
        fs::remove_file(&path).unwrap();
        let Err(RefreshError { path: named, source }) = object.refresh() else {
            panic!("the file is gone")
        };
        assert_eq!((named.as_str(), source.raw_os_error()), (&*path, Some(libc::ENOENT)));
        let result = port.associate_file(&object, FileEvents::MODIFIED, 0);
        let Err(AssociateFileError { path: named, source: _ }) = result else {
            panic!("the file is gone")
        };
        assert_eq!(named.to_string(), path);
    }
}

mod raw_calls {
    use wakeful_kernel::event_port::sys;

    // Calls of the system are unsafe, those of the emulation in part.
    #[allow(unused_unsafe, clippy::unnecessary_cast, clippy::unnecessary_mut_passed)]
    #[test]
    fn a_port() {
        // SAFETY: the port is this test's; the event and the timeout live until the calls return.
        unsafe {
            let port_fd = sys::port_create();
            assert!(port_fd >= 0);
            let user = 23 as *mut std::ffi::c_void;
            assert_eq!(sys::port_send(port_fd, 7, user), 0);
            let mut event = std::mem::MaybeUninit::<sys::port_event_t>::uninit();
            let mut timeout = sys::timespec { tv_sec: 1, tv_nsec: 0 };
            assert_eq!(sys::port_get(port_fd, event.as_mut_ptr(), &mut timeout), 0);
            let event = event.assume_init();
            assert_eq!((event.portev_events, event.portev_user), (7, user));
            assert_eq!(event.portev_source as i32, sys::PORT_SOURCE_USER as i32);
            let notify = sys::port_notify_t { portnfy_port: port_fd, portnfy_user: user };
            assert_eq!(notify.portnfy_port, port_fd);
            libc::close(port_fd);
        }
        assert_eq!(size_of::<sys::file_obj_t>(), size_of::<sys::file_obj>());
    }
}

/// What is re-exported beside the types, by its values.
#[test]
fn constants() {
    use wakeful_kernel::event_port::{
        FILE_ACCESS, FILE_ATTRIB, FILE_DELETE, FILE_EXCEPTION, FILE_MODIFIED, FILE_NOFOLLOW,
        FILE_RENAME_FROM, FILE_RENAME_TO, FILE_TRUNC, FileEvents, MOUNTEDOVER, POLLERR, POLLHUP,
        POLLIN, POLLNVAL, POLLOUT, POLLRDNORM, POLLWRNORM, PORT_SOURCE_AIO, PORT_SOURCE_ALERT,
        PORT_SOURCE_FD, PORT_SOURCE_FILE, PORT_SOURCE_MQ, PORT_SOURCE_TIMER, PORT_SOURCE_USER,
        PollEvents, UNMOUNTED,
    };
    let sources = [
        PORT_SOURCE_AIO,
        PORT_SOURCE_TIMER,
        PORT_SOURCE_USER,
        PORT_SOURCE_FD,
        PORT_SOURCE_ALERT,
        PORT_SOURCE_MQ,
        PORT_SOURCE_FILE,
    ];
    assert_eq!(sources, [1, 2, 3, 4, 5, 6, 7]);
    let asked = FILE_ACCESS | FILE_MODIFIED | FILE_ATTRIB | FILE_TRUNC | FILE_NOFOLLOW;
    assert_eq!(FILE_EXCEPTION & asked, 0);
    let told = FILE_DELETE | FILE_RENAME_TO | FILE_RENAME_FROM | UNMOUNTED | MOUNTEDOVER;
    assert_eq!(FILE_EXCEPTION, told);
    assert_eq!(FileEvents::from_bits(asked).unwrap().bits(), 0x1010_0007);
    let poll = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLERR | POLLHUP | POLLNVAL;
    let named = PollEvents::from_bits(poll.into()).unwrap();
    assert!(named.contains(PollEvents::IN | PollEvents::WRNORM | PollEvents::NVAL));
}

/// Whatever a path is kept in, and what a path can be used for.
#[test]
fn paths() {
    use wakeful_kernel::event_port::FileObj;

    let (directory, path) = file();
    let link = directory.path().join("link");
    symlink(&path, &link).unwrap();
    let owned: PathBuf = path.clone().into();
    let os = owned.as_os_str().to_owned();
    for made in [
        FileObj::new(path.as_str()),
        FileObj::new(&path),
        FileObj::new(path.clone()),
        FileObj::new(&owned),
        FileObj::new(owned.clone()),
        FileObj::new(owned.as_path()),
        FileObj::new(Path::new(&path)),
        FileObj::new(&os),
        FileObj::new_nofollow(&*path),
        FileObj::new_nofollow(&owned),
    ] {
        let object = made.unwrap();
        assert_eq!(object.path().as_str(), path);
        assert_eq!(object.path(), Path::new(&path));
        assert_eq!(object.path().display().to_string(), path);
        assert_eq!(object.path().file_name(), owned.file_name());
        assert_eq!(fs::read(object.path()).unwrap(), b"content");
    }
    assert!(!FileObj::new_nofollow(&link).unwrap().is_followed());

    // A path that is no UTF-8 is watched like any other; as a string it can be read.
    let odd = directory.path().join(std::ffi::OsStr::from_bytes(b"odd\xff"));
    if fs::write(&odd, "content").is_ok() {
        let object = FileObj::new(&odd).unwrap();
        assert_eq!(object.path(), odd.as_path());
        assert!(object.path().as_str().ends_with("odd\u{fffd}"));
    }
}
