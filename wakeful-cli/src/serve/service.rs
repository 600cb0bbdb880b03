use std::time::Instant;

use wakeful::net::TcpStream;

use super::statistics::Statistics;

/// What a server does with a connection.
pub(super) trait Service {
    /// What it remembers of one.
    type State;

    fn open(&mut self) -> Self::State;

    /// Goes on with a connection until it would block, or has had its share.
    fn drive(
        &mut self,
        stream: &TcpStream,
        state: &mut Self::State,
        context: &mut Context<'_>,
    ) -> Drive;
}

/// What a service is told along with a connection.
pub(super) struct Context<'server> {
    pub(super) now: Instant,
    /// To be set: drive the connection at this time, although nothing happens to it.
    pub(super) deadline: Option<Instant>,
    /// Finish what was begun, and begin nothing.
    pub(super) stopping: bool,
    pub(super) statistics: &'server mut Statistics,
}

/// A connection's name, never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) index: usize,
    pub(super) generation: u64,
}

/// What a connection needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drive {
    /// Something to read, or its deadline.
    Read,
    /// Room to write.
    Write,
    /// Its turn, after the others had theirs.
    Again,
    /// Nothing: it is over.
    Close,
}
