//! System calls that a sandbox refuses.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Starts the command under a seccomp(2) filter that answers these calls with this error.
pub fn refuse(command: &mut Command, calls: &[libc::c_long], errno: i32) {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, k| libc::sock_filter { code, jt, jf: 0, k };
    // The number of the call is the first field.
    let mut steps = vec![step(LOAD, 0, 0)];
    for (number, &call) in calls.iter().enumerate() {
        let to_refusal = (calls.len() - number) as u8;
        steps.push(step(JUMP_IF_EQUAL, to_refusal, call as u32));
    }
    steps.push(step(RETURN, 0, libc::SECCOMP_RET_ALLOW));
    steps.push(step(RETURN, 0, libc::SECCOMP_RET_ERRNO | errno as u32));
    let install = move || {
        let filter =
            libc::sock_fprog { len: steps.len() as u16, filter: steps.as_ptr().cast_mut() };
        // SAFETY: both calls take integers, and the address of a program that the kernel copies.
        let failed = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter) != 0
        };
        if failed { Err(std::io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: it allocates nothing, and calls what is async-signal-safe.
    unsafe { command.pre_exec(install) };
}
