//! Event ports by their raw functions, with nothing between them and the program. The same on illumos, and on Linux,
//! where they are emulated.
//!
//! `cargo run --example event_port_raw`

// Calls of the system are unsafe, those of the emulation in part.
#![allow(unused_unsafe)]

use std::error::Error;
use std::io;
use std::process::ExitCode;

use wakeful_kernel::event_port::sys;

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    // SAFETY: the call takes nothing.
    let port = unsafe { sys::port_create() };
    if port < 0 {
        return Err(io::Error::last_os_error().into());
    }
    println!("port {port}");
    // SAFETY: the user is a number.
    let sent = unsafe { sys::port_send(port, 7, 23 as *mut _) };
    let mut event = sys::port_event {
        portev_events: 0,
        portev_source: 0,
        portev_pad: 0,
        portev_object: 0,
        portev_user: std::ptr::null_mut(),
    };
    // SAFETY: the event is valid for the write of one struct, and the timeout may be null.
    let got = unsafe { sys::port_get(port, &mut event, std::ptr::null_mut()) };
    let error = (sent != 0 || got != 0).then(io::Error::last_os_error);
    // SAFETY: the port is this function's, which uses it no more.
    unsafe { libc::close(port) };
    if let Some(error) = error {
        return Err(error.into());
    }
    println!(
        "source {}: events {}, user {}",
        event.portev_source, event.portev_events, event.portev_user as usize
    );
    Ok(())
}
