use libc::c_int;

/// `pipe2(fds, O_CLOEXEC | O_NONBLOCK)`.
///
/// # Safety
///
/// None beyond the reference's: the call writes two integers.
pub unsafe fn pipe_cloexec_nonblock(fds: &mut [c_int; 2]) -> c_int {
    // SAFETY: `fds` is valid for the write of two integers.
    unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) }
}
