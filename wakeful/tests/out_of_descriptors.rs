//! `EMFILE` on accept, on every backend: nothing is lost and nothing spins. In a process of its own,
//! since the limit is the process's.

#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::net::{SocketAddr, TcpStream};

use common::{Loop, QUIET};
use wakeful::net::TcpListener;
use wakeful::{Backend, Interest, Token};

#[test]
fn a_full_descriptor_table_loses_no_connection_and_does_not_spin() {
    let limit = libc::rlimit { rlim_cur: 128, rlim_max: 128 };
    // SAFETY: the struct is only read.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    for &backend in Backend::available() {
        let mut events = Loop::new(backend);
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let mut listener =
            events.registry().register_owned(listener, Token(0), Interest::READABLE).unwrap();
        let clients: Vec<_> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
        // Take what is left, but for five.
        let mut ballast = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            ballast.push(file);
        }
        ballast.truncate(ballast.len() - 5);

        events.expect_readable(Token(0));
        let mut accepted = Vec::new();
        let mut error = None;
        for connection in listener.accept_all() {
            match connection {
                Ok((stream, _)) => accepted.push(stream),
                Err(failed) => error = Some(failed),
            }
        }
        // The iterator has ended with the error, though connections wait.
        assert_eq!(error.and_then(|error| error.raw_os_error()), Some(libc::EMFILE));
        assert_eq!(accepted.len(), 5);

        // Edge-triggered, the poller stays silent about them: no spin.
        let mut reports = 0;
        for _ in 0..5 {
            reports += events.poll(QUIET / 5).len();
        }
        assert_eq!(reports, 0, "{backend}");

        // After something was closed, they are all there.
        drop(ballast);
        listener.rearm(Interest::READABLE).unwrap();
        events.expect_readable(Token(0));
        accepted.extend(listener.accept_all().map(|connection| connection.unwrap().0));
        assert_eq!(accepted.len(), clients.len(), "{backend}");
    }
}
