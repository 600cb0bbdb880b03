//! A signalfd.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use wakeful_kernel::linux::SignalFd;
use wakeful_kernel::signal::SignalSet;

use super::refused::refused;
use crate::signal::{Received, Signal};

#[derive(Debug)]
pub(crate) struct SignalQueue(SignalFd);

impl SignalQueue {
    pub(crate) fn new(signals: &SignalSet) -> io::Result<SignalQueue> {
        match SignalFd::new(signals) {
            Ok(queue) => Ok(SignalQueue(queue)),
            Err(error) => Err(refused("signalfd4(2)", error, "use signal::Signals")),
        }
    }

    /// Takes only these from now on.
    pub(crate) fn restrict(&self, signals: &SignalSet) -> io::Result<()> {
        Ok(self.0.set_signals(signals)?)
    }

    pub(crate) fn receive(&self) -> io::Result<Received> {
        let info = self.0.read()?;
        Ok(Received {
            signal: Signal::from_raw(info.signal()),
            sender_pid: info.sender_pid(),
            sender_uid: info.sender_uid(),
            code: info.code(),
            value: info.value(),
        })
    }
}

impl AsFd for SignalQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
