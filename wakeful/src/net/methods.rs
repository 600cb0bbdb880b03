//! The methods that several sockets have, written once.

/// Methods of every socket.
macro_rules! of_every_socket {
    ($std:ty, $address:ty) => {
        /// `getsockname`—This end's address.
        ///
        /// # Errors
        ///
        /// Those of getsockname(2).
        pub fn local_addr(&self) -> std::io::Result<$address> {
            self.inner.get().local_addr()
        }

        /// `SO_ERROR`—Takes the pending error.
        ///
        /// # Errors
        ///
        /// Those of getsockopt(2).
        pub fn take_error(&self) -> std::io::Result<Option<std::io::Error>> {
            self.inner.take_error(<$std>::take_error)
        }
    };
}

/// Methods of the sockets over which data goes, as opposed to listeners.
macro_rules! of_data_sockets {
    ($address:ty) => {
        /// `getpeername`—The other end's address.
        ///
        /// # Errors
        ///
        /// `ENOTCONN` while it is not connected.
        pub fn peer_addr(&self) -> std::io::Result<$address> {
            self.inner.get().peer_addr()
        }

        /// Runs an I/O operation of another library's on this socket.
        ///
        /// The operation must be tried on this very socket and must answer with `WouldBlock` when that
        /// would block, so that the poller hears of it.
        ///
        /// # Errors
        ///
        /// Those of the operation.
        pub fn try_io<F, T>(&self, operation: F) -> std::io::Result<T>
        where
            F: FnOnce() -> std::io::Result<T>,
        {
            self.inner.run(crate::rearm::Direction::Any, |_| operation())
        }

        /// As `try_io`, saying what the operation waits for: reading or writing.
        ///
        /// Under [`EdgeRule::AfterWouldBlock`](crate::EdgeRule::AfterWouldBlock) only that direction is
        /// armed again, which spares a spurious event of the other; elsewhere the two are the same.
        ///
        /// # Errors
        ///
        /// Those of the operation.
        pub fn try_io_when<F, T>(
            &self,
            interest: crate::Interest,
            operation: F,
        ) -> std::io::Result<T>
        where
            F: FnOnce() -> std::io::Result<T>,
        {
            self.inner.run(crate::rearm::Direction::of(interest), |_| operation())
        }
    };
}

/// `shutdown`, where there is something to shut down.
macro_rules! of_connections {
    () => {
        /// `shutdown`—Ends one direction or both.
        ///
        /// # Errors
        ///
        /// `ENOTCONN`.
        pub fn shutdown(&self, how: std::net::Shutdown) -> std::io::Result<()> {
            self.inner.get().shutdown(how)
        }
    };
}

/// The time to live of Internet packets.
macro_rules! of_internet_sockets {
    () => {
        /// `IP_TTL`—The time to live of its packets.
        ///
        /// # Errors
        ///
        /// Those of getsockopt(2).
        pub fn ttl(&self) -> std::io::Result<u32> {
            self.inner.get().ttl()
        }

        /// `IP_TTL`—Sets the time to live of its packets.
        ///
        /// # Errors
        ///
        /// Those of setsockopt(2).
        pub fn set_ttl(&self, ttl: u32) -> std::io::Result<()> {
            self.inner.get().set_ttl(ttl)
        }
    };
}

pub(super) use {of_connections, of_data_sockets, of_every_socket, of_internet_sockets};
