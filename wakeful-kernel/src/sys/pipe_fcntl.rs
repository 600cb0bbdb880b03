use libc::c_int;

/// `pipe(fds)`, then `FD_CLOEXEC` and `O_NONBLOCK` by fcntl(2), for systems without pipe2.
///
/// # Safety
///
/// None beyond the reference's: the call writes two integers.
pub unsafe fn pipe_cloexec_nonblock(fds: &mut [c_int; 2]) -> c_int {
    // SAFETY: `fds` is valid for the write of two integers.
    if unsafe { libc::pipe(fds.as_mut_ptr()) } == -1 {
        return -1;
    }
    for &fd in fds.iter() {
        // SAFETY: integers only; the descriptor was opened above.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        // SAFETY: integers only; the descriptor was opened above.
        unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) };
    }
    0
}
