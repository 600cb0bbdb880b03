//! One loop: a poller, a listener, and its connections.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;
use wakeful::net::{TcpListener, TcpStream};
use wakeful::signal::Signals;
use wakeful::time::TimerKey;
use wakeful::{Events, Interest, Poll, Registered, Token};

use super::service::{Context, Drive, Key, Service};
use super::statistics::Statistics;
use super::stop::Stop;
use super::{LISTENER, SIGNALS, STOP};

const EVENTS: usize = 256;

/// Out of descriptors, accepting pauses so long, or until a connection ends.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Server<S: Service> {
    poll: Poll,
    /// Closed when the server is to stop.
    listener: Option<Registered<TcpListener>>,
    service: S,
    connections: Slab<Connection<S::State>>,
    next_generation: u64,
    /// Connections that have more to do than their share.
    again: Vec<Key>,
    /// When to accept once more.
    paused_until: Option<Instant>,
    signals: Option<Registered<Signals>>,
    stop: Arc<Stop>,
    grace: Duration,
    /// When a stopping server ends, finished or not.
    end: Option<Instant>,
    statistics: Statistics,
}

struct Connection<State> {
    stream: Registered<TcpStream>,
    generation: u64,
    state: State,
    /// When it is driven although nothing happens to it: a timer with its token.
    timer: Option<TimerKey>,
}

impl<S: Service> Server<S> {
    pub(super) fn new(
        poll: Poll,
        listener: TcpListener,
        service: S,
        stop: Arc<Stop>,
        grace: Duration,
    ) -> io::Result<Server<S>> {
        let listener = poll.registry().register_owned(listener, LISTENER, Interest::READABLE)?;
        Ok(Server {
            poll,
            listener: Some(listener),
            service,
            connections: Slab::new(),
            next_generation: 0,
            again: Vec::new(),
            paused_until: None,
            signals: None,
            stop,
            grace,
            end: None,
            statistics: Statistics::default(),
        })
    }

    /// Makes this loop the one that hears of signals.
    pub(super) fn watch(&mut self, signals: Signals) -> io::Result<()> {
        let registry = self.poll.registry();
        self.signals = Some(registry.register_owned(signals, SIGNALS, Interest::READABLE)?);
        Ok(())
    }

    pub(super) fn run(mut self) -> io::Result<Statistics> {
        let mut events = Events::with_capacity(EVENTS);
        let mut now = Instant::now();
        while !self.is_over(now) {
            match self.poll.poll(&mut events, self.timeout()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            now = Instant::now();
            self.statistics.polls += 1;
            self.statistics.events += events.len() as u64;
            let (mut accepts, mut stops) = (false, false);
            for event in &events {
                match event.token() {
                    LISTENER => accepts = true,
                    STOP => stops = true,
                    SIGNALS => self.take_signals(),
                    // Reset, or closed both ways: there is nobody to serve any more.
                    Token(index) if event.is_write_closed() => self.close(index, now),
                    Token(index) => self.drive(index, now),
                }
            }
            // Only now may a new connection take the place of one that ended: a batch may hold several
            // events of a connection, its timer's among them.
            if accepts {
                self.accept(now);
            }
            if stops {
                self.begin_to_stop(now);
            }
            self.drive_the_rest(now);
        }
        Ok(self.statistics)
    }

    fn take_signals(&self) {
        for delivery in self.signals.iter().flat_map(|signals| signals.pending()) {
            for _ in 0..delivery.count {
                self.stop.raise();
            }
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        let Some(end) = self.end else { return false };
        self.connections.is_empty() || end <= now || self.stop.is_urgent()
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.again.is_empty() {
            return Some(Duration::ZERO);
        }
        [self.paused_until, self.end]
            .into_iter()
            .flatten()
            .min()
            // By the clock as it is now: the last batch may have taken a while.
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    fn accept(&mut self, now: Instant) {
        let Some(listener) = self.listener.take() else { return };
        self.paused_until = None;
        for connection in listener.accept_all() {
            match connection {
                Ok((stream, _)) => self.open(stream, now),
                Err(_) => {
                    // Out of descriptors or memory, in all likelihood. The connections wait in the
                    // queue, and the poller is silent about them.
                    self.paused_until = Some(now + PAUSE);
                    self.statistics.pauses += 1;
                }
            }
        }
        self.listener = Some(listener);
    }

    /// A new connection is driven first: what it has sent by now, often all that it ever will, costs
    /// no registration.
    fn open(&mut self, stream: TcpStream, now: Instant) {
        self.next_generation += 1;
        let generation = self.next_generation;
        let key = Key { index: self.connections.vacant_key(), generation };
        let mut state = self.service.open();
        self.statistics.accepted += 1;
        let statistics = &mut self.statistics;
        let mut context = Context { now, deadline: None, stopping: false, statistics };
        let interest = match self.service.drive(&stream, &mut state, &mut context) {
            Drive::Close => return,
            Drive::Write => Interest::READABLE | Interest::WRITABLE,
            Drive::Read => Interest::READABLE,
            Drive::Again => {
                self.again.push(key);
                Interest::READABLE
            }
        };
        let deadline = context.deadline;
        match self.poll.registry().register_owned(stream, Token(key.index), interest) {
            Ok(stream) => {
                self.connections.insert(Connection { stream, generation, state, timer: None });
                self.set_timer(key.index, deadline);
                self.statistics.peak = self.statistics.peak.max(self.connections.len());
            }
            // The user's limit of epoll watches. It costs this connection, not the others.
            Err(_) => self.statistics.failed += 1,
        }
    }

    fn drive(&mut self, index: usize, now: Instant) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        let key = Key { index, generation: connection.generation };
        let stopping = self.end.is_some();
        let statistics = &mut self.statistics;
        let mut context = Context { now, deadline: None, stopping, statistics };
        let Connection { stream, state, .. } = connection;
        let next = self.service.drive(stream, state, &mut context);
        let deadline = context.deadline;
        match next {
            Drive::Read => {}
            // Once a connection has had to wait for room it goes on hearing of it: an edge costs
            // nothing while there is none.
            Drive::Write => {
                if stream.set_interest(Interest::READABLE | Interest::WRITABLE).is_err() {
                    self.statistics.failed += 1;
                    self.close(index, now);
                }
            }
            Drive::Again => self.again.push(key),
            Drive::Close => self.close(index, now),
        }
        self.set_timer(index, deadline);
    }

    /// Drives a connection at this time, if there is one, and it is still there.
    fn set_timer(&mut self, index: usize, deadline: Option<Instant>) {
        let (Some(deadline), Some(connection)) = (deadline, self.connections.get_mut(index)) else {
            return;
        };
        let timers = self.poll.timers();
        if connection.timer.is_some_and(|timer| timers.reset(timer, deadline)) {
            return;
        }
        // There cannot be more timers than connections, of which there are no four billion.
        connection.timer = timers.insert(deadline, Token(index)).ok();
    }

    fn close(&mut self, index: usize, now: Instant) {
        let timer = self.connections.try_remove(index).and_then(|connection| connection.timer);
        if let Some(timer) = timer {
            self.poll.timers().cancel(timer);
        }
        if self.paused_until.is_some() {
            // There is room for another.
            self.paused_until = Some(now);
        }
    }

    fn drive_key(&mut self, key: Key, now: Instant) {
        let current = self.connections.get(key.index).map(|connection| connection.generation);
        if current == Some(key.generation) {
            self.drive(key.index, now);
        }
    }

    /// What is to be done without an event.
    fn drive_the_rest(&mut self, now: Instant) {
        for key in std::mem::take(&mut self.again) {
            self.drive_key(key, now);
        }
        if self.paused_until.is_some_and(|until| until <= now) {
            self.accept(now);
        }
    }

    fn begin_to_stop(&mut self, now: Instant) {
        if self.end.is_some() || !self.stop.is_raised() {
            return;
        }
        // Whoever has connected by now is served.
        self.accept(now);
        self.listener = None;
        self.paused_until = None;
        self.end = Some(now + self.grace);
        if self.signals.is_some() && !self.connections.is_empty() {
            // A message that cannot be printed is no reason not to stop.
            let _ = writeln!(
                anstream::stderr(),
                "stopping: connections have {:?} to finish; ^C again ends them at once",
                self.grace
            );
        }
        // Each is told; the idle ones end.
        self.again = self
            .connections
            .iter()
            .map(|(index, connection)| Key { index, generation: connection.generation })
            .collect();
    }
}
