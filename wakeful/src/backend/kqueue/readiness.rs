//! What an event of the kernel says of a registration.

use std::os::fd::RawFd;
use std::time::Duration;

use wakeful_kernel::descriptor::{AccessMode, Identity};
use wakeful_kernel::kqueue::{self, Filter};
use wakeful_kernel::poll::{PollFd, poll};
use wakeful_kernel::readiness::Readiness;

use super::entry::Entry;
use crate::Interest;

/// Returns what an event says; `None` if that is nothing to an interest that waits for the end
/// alone.
pub(super) fn readiness(event: &kqueue::Event, entry: Entry) -> Option<Readiness> {
    if entry.is_of_end(event.filter()) {
        return errors_of(event, entry.interest);
    }
    let ready = match event.filter() {
        Some(Filter::Read) => Readiness::IN,
        Some(Filter::Write) => Readiness::OUT,
        // The other filters report the end.
        Some(Filter::Except) => return Some(Readiness::PRI),
        _ => Readiness::empty(),
    };
    Some(if event.is_end() { end_of(event, entry.interest, ready) } else { ready })
}

/// Returns what has ended: what the event itself says comes first, and poll(2) is asked for the
/// rest, because an event speaks of its own direction only. NetBSD's poll(2) says nothing of a
/// reset.
fn end_of(event: &kqueue::Event, interest: Interest, ready: Readiness) -> Readiness {
    let fd = event.ident() as RawFd;
    if event.socket_error().is_some() {
        return ready | Readiness::ERR | Readiness::HUP;
    }
    if Identity::of(fd).is_ok_and(|identity| identity.is_pipe()) {
        return end_of_pipe(fd, interest, ready);
    }
    let of_direction = match ready {
        Readiness::OUT => Readiness::WRHUP,
        _ => Readiness::RDHUP,
    };
    ready | of_direction | errors_found_by_poll(fd)
}

/// Returns what the end means to an end of a pipe: to the reading end it is ordinary; to the
/// writing end it is an error, of which the pipe has no number.
pub(super) fn end_of_pipe(fd: RawFd, interest: Interest, ready: Readiness) -> Readiness {
    match AccessMode::of(fd) {
        // The write filter of a reading end has nothing to say but that, and the other way round.
        Ok(AccessMode::ReadOnly) => (ready - Readiness::OUT) | Readiness::HUP,
        Ok(AccessMode::WriteOnly) if interest.is_writable() => {
            (ready - Readiness::IN) | Readiness::ERR
        }
        Ok(AccessMode::WriteOnly) => Readiness::ERR,
        // Either end, where pipes go both ways: a writing end is not registered for reading.
        _ if ready == Readiness::OUT && !interest.is_readable() => ready | Readiness::ERR,
        _ => ready | Readiness::HUP,
    }
}

/// Returns what else than the end of what can be read an event of a filter for the end alone says.
fn errors_of(event: &kqueue::Event, interest: Interest) -> Option<Readiness> {
    let errors = if event.is_end() {
        end_of(event, interest, Readiness::IN)
    } else {
        // With less to read than its mark it has come for a pending error. macOS lowers the mark to
        // the size of the socket's buffer.
        let is_read = event.filter() == Some(Filter::Read);
        let pending =
            if is_read && event.data() == 0 { Readiness::ERR } else { Readiness::empty() };
        pending | errors_found_by_poll(event.ident() as RawFd)
    };
    let errors = errors & (Readiness::ERR | Readiness::HUP);
    (!errors.is_empty()).then_some(errors)
}

fn errors_found_by_poll(fd: RawFd) -> Readiness {
    let mut fds = [PollFd::from_raw(fd, Readiness::empty())];
    let _ = poll(&mut fds, Some(Duration::ZERO));
    fds[0].readiness() & (Readiness::ERR | Readiness::HUP)
}
