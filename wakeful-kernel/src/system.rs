//! Which system this is.

use std::ffi::CStr;
use std::mem::MaybeUninit;

use libc::c_char;

use crate::error::check;

operation_error! {
    /// The system's name could not be had.
    NameError: "uname"
}

/// `struct utsname`—The names of the running system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The operating system: `Linux`, `FreeBSD`, …
    pub system: String,
    /// The kernel's release: `6.18.44`, …
    pub release: String,
    /// The machine's architecture: `x86_64`, …
    pub machine: String,
}

/// `uname(&name)`—Asks for the names of the running system.
///
/// # References
/// - [Linux](https://man7.org/linux/man-pages/man2/uname.2.html)
/// - [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/uname.html)
///
/// # Errors
///
/// None that the manual knows for valid arguments.
#[doc(alias = "uname")]
pub fn name() -> Result<Name, NameError> {
    let mut name = MaybeUninit::<libc::utsname>::uninit();
    // SAFETY: `name` is valid for the write of one struct.
    check(unsafe { libc::uname(name.as_mut_ptr()) }).map_err(|source| NameError { source })?;
    // SAFETY: uname(2) succeeded, so it has filled the struct.
    let name = unsafe { name.assume_init() };
    Ok(Name {
        system: text(&name.sysname),
        release: text(&name.release),
        machine: text(&name.machine),
    })
}

fn text(field: &[c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|&byte| byte.to_ne_bytes()[0]).collect();
    CStr::from_bytes_until_nul(&bytes).map_or_else(
        |_| String::from_utf8_lossy(&bytes).into_owned(),
        |text| text.to_string_lossy().into_owned(),
    )
}
