use std::io;
use std::sync::OnceLock;
use std::thread::{self, JoinHandle};

use io_uring::{Builder, IoUring, Probe, opcode};

use super::uring::Uring;

operation_error! {
    /// There is no ring to be had.
    RingError: "io_uring_setup" {
        /// For how many operations it was to be.
        depth: usize,
    },
    advice: |_, errno| match errno {
        libc::ENOSYS => "this kernel has no io_uring: Linux has it since 5.1",
        libc::EPERM => "it is forbidden, by a sandbox or by the system's setting kernel.io_uring_disabled",
        libc::ENOMEM => "there is too little memory, or, before Linux 5.12, RLIMIT_MEMLOCK is too low for this depth",
        _ => "",
    }
}

/// As many entries as the kernel gives a ring.
const MOST: usize = 32768;

/// What operations need, by name, for messages.
const NEEDED: [(u8, &str); 14] = [
    (opcode::Read::CODE, "read"),
    (opcode::Write::CODE, "write"),
    (opcode::ReadFixed::CODE, "read_fixed"),
    (opcode::WriteFixed::CODE, "write_fixed"),
    (opcode::Readv::CODE, "readv"),
    (opcode::Writev::CODE, "writev"),
    (opcode::Fsync::CODE, "fsync"),
    (opcode::OpenAt::CODE, "openat"),
    (opcode::Close::CODE, "close"),
    (opcode::Statx::CODE, "statx"),
    (opcode::Fallocate::CODE, "fallocate"),
    (opcode::RenameAt::CODE, "renameat"),
    (opcode::UnlinkAt::CODE, "unlinkat"),
    (opcode::MkDirAt::CODE, "mkdirat"),
];

/// A ring of the kernel's, which has all that is needed.
pub(super) fn set_up(depth: usize) -> io::Result<Uring> {
    if !(1..=MOST).contains(&depth) {
        let message = format!("a ring has room for 1 to {MOST} operations, not {depth}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let uring = create(depth as u32)?;
    // A sandbox may allow the one call and not the other.
    // SAFETY: no argument is handed over.
    let entered = unsafe { uring.submitter().enter::<()>(0, 0, 0, None) };
    match entered.map_err(|error| (error.raw_os_error(), error)) {
        // That passes.
        Ok(_) | Err((Some(libc::EAGAIN | libc::EINTR | libc::EBUSY), _)) => {}
        Err((_, error)) => return Err(error),
    }
    // What a kernel can do does not change.
    static MISSING: OnceLock<Option<&'static str>> = OnceLock::new();
    let missing = match MISSING.get() {
        Some(missing) => *missing,
        None => {
            let missing = missing(&uring)?;
            *MISSING.get_or_init(|| missing)
        }
    };
    match missing {
        None => Ok(uring),
        Some(name) => {
            let message = format!(
                "this kernel's io_uring has no {name}: Linux has all that is needed since 5.15"
            );
            Err(io::Error::new(io::ErrorKind::Unsupported, message))
        }
    }
}

/// To the kernel the thread that creates a ring is one that uses it, whose waits it interrupts when the ring goes. So a
/// thread creates it that waits for nothing, and ends.
fn create(entries: u32) -> io::Result<Uring> {
    let creator = thread::Builder::new().name("wakeful-ring".to_owned());
    if let Ok(Ok(uring)) = creator.spawn(move || build(entries)).map(JoinHandle::join) {
        return uring.map(Uring::new);
    }
    // There are no threads to be had.
    let mut uring = Uring::new(build(entries)?);
    uring.used(true);
    Ok(uring)
}

fn build(entries: u32) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    // As many answers as operations, and the cancellations of all of them.
    builder.setup_cqsize(entries.next_power_of_two().saturating_mul(2)).setup_clamp();
    let mut best: Builder = builder.clone();
    // The threads are not interrupted by what has ended: they find out by their next system call, or by asking.
    best.setup_coop_taskrun().setup_taskrun_flag().setup_submit_all();
    match best.build(entries) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => builder.build(entries),
        result => result,
    }
}

/// The first that the kernel lacks.
fn missing(uring: &IoUring) -> io::Result<Option<&'static str>> {
    if !uring.params().is_feature_nodrop() {
        return Ok(Some("way to keep all answers"));
    }
    let mut probe = Probe::new();
    uring.submitter().register_probe(&mut probe)?;
    Ok(NEEDED.iter().find(|(code, _)| !probe.is_supported(*code)).map(|(_, name)| *name))
}
