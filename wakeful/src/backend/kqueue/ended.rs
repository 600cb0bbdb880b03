//! The writing end of a pipe whose reader was gone before it was registered.
//!
//! epoll reports it as writable and in error. A kernel with a kqueue refuses its event, by `EPIPE`, or NetBSD by `EBADF`. So
//! an event of the program's own stands for it, in the mode of the registration: a user event, or where the system has
//! none, a timer that has run out.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use wakeful_kernel::descriptor::Identity;
use wakeful_kernel::kqueue::filter::{Timer, User};
use wakeful_kernel::kqueue::{Change, Event, Filter, FlagOperation, Kqueue, Mode};

use super::wake::apply_again;
use crate::Trigger;

/// The numbers from here on stand for descriptors; those before are the wake-ups'.
const FIRST: usize = 2;

/// Returns which pipe it is, if that its other end is closed is why the kernel has refused its event.
pub(super) fn refused(fd: RawFd, errno: Option<i32>) -> Option<Identity> {
    let is_it = matches!(errno, Some(libc::EPIPE | libc::EBADF));
    // One that is not open has no identity.
    Identity::of(fd).ok().filter(|identity| is_it && identity.is_pipe())
}

/// Returns the descriptor that an event stands for, if it is such an event.
pub(super) fn descriptor_of(event: &Event) -> Option<RawFd> {
    let is_ours = matches!(event.filter(), Some(Filter::User | Filter::Timer));
    event.ident().checked_sub(FIRST).filter(|_| is_ours).map(|fd| fd as RawFd)
}

/// Has the end be reported, as often as the trigger says.
pub(super) fn report(
    kqueue: &Kqueue,
    fd: RawFd,
    trigger: Trigger,
    generation: usize,
) -> io::Result<()> {
    let id = FIRST + fd as usize;
    let mode = match trigger {
        Trigger::Edge => Mode::Clear,
        Trigger::Level => Mode::Level,
        Trigger::Oneshot | Trigger::EdgeOneshot => Mode::Dispatch,
    };
    let user = User::new(id);
    let by_user = Change::delete(user).and_then(|delete| {
        let trigger = Change::trigger(id, FlagOperation::Keep, generation)?;
        Ok([delete, Change::add(user, mode, generation)?, trigger])
    });
    if by_user.is_ok_and(|changes| apply_again(kqueue, changes).is_ok()) {
        return Ok(());
    }
    let now = Timer::after(id, Duration::ZERO);
    let changes = [Change::delete(now)?, Change::add(now, Mode::Oneshot, generation)?];
    apply_again(kqueue, changes)
}

/// To be called when an event of [`report`] was taken: a timer is no level by itself.
pub(super) fn report_again(kqueue: &Kqueue, event: &Event, fd: RawFd, trigger: Trigger) {
    if event.filter() == Some(Filter::Timer) && trigger == Trigger::Level {
        // For want of memory it fails, and the next registration reports.
        let _ = report(kqueue, fd, trigger, event.user_data());
    }
}

/// Reports it no more.
pub(super) fn forget(kqueue: &Kqueue, fd: RawFd) {
    let id = FIRST + fd as usize;
    let changes = [Change::delete(User::new(id)), Change::delete(Timer::after(id, Duration::ZERO))];
    // One of them is not there.
    let _ = kqueue.apply(changes.into_iter().flatten());
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use wakeful_kernel::pipe::pipe;

    use super::*;

    #[test]
    fn why_an_event_is_refused() {
        let (reader, writer) = pipe().unwrap();
        let fd = writer.as_raw_fd();
        let identity = Identity::of(fd).ok();
        assert!(identity.is_some());
        for errno in [libc::EPIPE, libc::EBADF] {
            assert_eq!(refused(fd, Some(errno)), identity);
        }
        assert_eq!(refused(fd, Some(libc::EINVAL)), None);
        assert_eq!(refused(fd, None), None);
        let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
        assert_eq!(refused(socket.as_raw_fd(), Some(libc::EBADF)), None);
        drop((reader, writer, socket));
        assert_eq!(refused(-1, Some(libc::EBADF)), None);
    }
}
