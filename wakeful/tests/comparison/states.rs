//! Every kind of descriptor, and everything that can happen to it.

use std::net::Shutdown;

use wakeful_kernel::readiness::Readiness;

use crate::kinds as make;
use crate::world::World;

/// A kind of descriptor.
pub(crate) struct Kind {
    pub name: &'static str,
    pub make: fn() -> World,
    pub states: Vec<State>,
}

/// What happens to a descriptor, and what happens next, after it was drained.
pub(crate) struct State {
    pub name: &'static str,
    pub act: fn(&mut World),
    /// What poll(2) says once it has happened.
    pub settled: Readiness,
    pub next: fn(&mut World),
    pub next_settled: Readiness,
    /// It takes away the room that there was.
    pub fills: bool,
}

fn state(name: &'static str, act: fn(&mut World), settled: Readiness) -> State {
    let none = Readiness::empty();
    State { name, act, settled, next: |_| (), next_settled: none, fills: false }
}

impl State {
    fn then(self, next: fn(&mut World), next_settled: Readiness) -> State {
        State { next, next_settled, ..self }
    }

    fn filling(self) -> State {
        State { fills: true, ..self }
    }
}

const NONE: Readiness = Readiness::empty();
const IN: Readiness = Readiness::IN;
const OUT: Readiness = Readiness::OUT;
const PRI: Readiness = Readiness::PRI;
const ERR: Readiness = Readiness::ERR;
const HUP: Readiness = Readiness::HUP;
const RDHUP: Readiness = Readiness::RDHUP;

fn idle() -> State {
    state("idle", |_| (), NONE)
}

fn data() -> State {
    state("data", World::send, IN).then(World::send, IN)
}

fn full() -> State {
    state("full", World::fill, NONE).then(World::drain_peer, OUT).filling()
}

/// What all streams of sockets have.
fn stream() -> Vec<State> {
    vec![
        idle().then(World::send, IN),
        data(),
        state("half-closed by the peer", World::half_close_by_peer, RDHUP)
            .then(World::close_peer, RDHUP),
        state(
            "data, then half-closed by the peer",
            |world| {
                world.send();
                world.half_close_by_peer();
            },
            IN | RDHUP,
        )
        .then(World::close_peer, RDHUP),
        state("closed by the peer", World::close_peer, RDHUP).then(World::write, NONE),
        state(
            "data, then closed by the peer",
            |world| {
                world.send();
                world.close_peer();
            },
            IN | RDHUP,
        )
        .then(World::write, NONE),
        state("closed by the peer, which had unread data", World::close_peer_with_unread_data, ERR),
        state("own writing shut down", |world| world.shutdown(Shutdown::Write), NONE)
            .then(World::send, IN),
        state("own writing shut down, then closed", |world| world.shutdown(Shutdown::Write), NONE)
            .then(World::close_peer, HUP),
        state("own reading shut down", |world| world.shutdown(Shutdown::Read), RDHUP)
            .then(World::close_peer, RDHUP),
        state("both shut down", |world| world.shutdown(Shutdown::Both), HUP)
            .then(World::close_peer, HUP),
        state(
            "half-closed by both",
            |world| {
                world.half_close_by_peer();
                world.shutdown(Shutdown::Write);
            },
            HUP,
        )
        .then(World::close_peer, HUP),
        full(),
        state("full, then closed by the peer", World::fill, NONE)
            .then(World::close_peer, RDHUP)
            .filling(),
    ]
}

fn tcp_stream() -> Vec<State> {
    let mut states = stream();
    states.extend([
        state("reset", World::reset_by_peer, ERR | HUP),
        state(
            "data, then reset",
            |world| {
                world.send();
                world.settle(IN);
                world.reset_by_peer();
            },
            ERR | HUP,
        ),
        state("half-closed by the peer, then reset", |world| world.half_close_by_peer(), RDHUP)
            .then(World::reset_by_peer, ERR | HUP),
        state("out-of-band data", World::send_urgent, PRI).then(World::send, IN),
    ]);
    states
}

fn datagram() -> Vec<State> {
    vec![
        idle().then(World::send, IN),
        data(),
        state("an empty datagram", World::send_empty, IN).then(World::send, IN),
        state("own writing shut down", |world| world.shutdown(Shutdown::Write), NONE)
            .then(World::send, IN),
        state("own reading shut down", |world| world.shutdown(Shutdown::Read), RDHUP),
        state("both shut down", |world| world.shutdown(Shutdown::Both), HUP),
    ]
}

fn udp() -> Vec<State> {
    let mut states = datagram();
    states.extend([
        state("refused by ICMP", make::be_refused, ERR).then(make::answer, IN),
        state("refused by ICMP twice", make::be_refused, ERR).then(make::be_refused_again, ERR),
        state(
            "data, then refused by ICMP",
            |world| {
                world.send();
                world.settle(IN);
                make::be_refused(world);
            },
            IN | ERR,
        )
        .then(make::answer, IN),
        state(
            "refused by ICMP, with IP_RECVERR",
            |world| {
                make::queue_errors(world);
                make::be_refused(world);
            },
            ERR,
        )
        .then(make::answer, IN),
        state("a timestamp of sending", make::send_with_timestamp, ERR).then(World::send, IN),
    ]);
    states
}

fn unix_datagram() -> Vec<State> {
    let mut states = datagram();
    states.extend([
        state("closed by the peer", World::close_peer, NONE).then(World::write, NONE),
        full(),
    ]);
    states
}

fn listener() -> Vec<State> {
    vec![
        idle().then(make::connect_to_it, IN),
        state("a connection", make::connect_to_it, IN).then(make::connect_to_it, IN),
        state(
            "a connection, closed since",
            |world| {
                make::connect_to_it(world);
                world.kept.clear();
            },
            IN,
        )
        .then(make::connect_to_it, IN),
        state("reading shut down", |world| world.shutdown(Shutdown::Read), NONE),
    ]
}

fn reading_end() -> Vec<State> {
    vec![
        idle().then(World::send, IN),
        data(),
        state("closed by the writer", World::close_peer, HUP),
        state(
            "data, then closed by the writer",
            |world| {
                world.send();
                world.close_peer();
            },
            IN | HUP,
        ),
    ]
}

fn writing_end() -> Vec<State> {
    vec![
        idle().then(World::close_peer, ERR),
        full(),
        state("closed by the reader", World::close_peer, ERR).then(World::write, NONE),
        state(
            "full, then closed by the reader",
            |world| {
                world.fill();
                world.close_peer();
            },
            ERR,
        )
        .filling(),
        state("full, and closed by the reader later", World::fill, NONE)
            .then(World::close_peer, ERR)
            .filling(),
    ]
}

fn fifo_reading_end() -> Vec<State> {
    let mut states = reading_end();
    let reopen: fn(&mut World) = |world| {
        world.open_peer();
        world.send();
    };
    states.extend([
        state("closed by the writer, reopened later", World::close_peer, HUP).then(reopen, IN),
        state(
            "closed by the writer and reopened",
            |world| {
                world.close_peer();
                world.open_peer();
            },
            NONE,
        )
        .then(World::send, IN),
    ]);
    states
}

fn fifo_without_writer() -> Vec<State> {
    let open_and_send: fn(&mut World) = |world| {
        world.open_peer();
        world.send();
    };
    vec![
        idle().then(open_and_send, IN),
        state("opened by a writer", World::open_peer, NONE).then(World::send, IN),
    ]
}

fn fifo_writing_end() -> Vec<State> {
    let mut states = writing_end();
    states.push(
        state("closed by the reader, reopened later", World::close_peer, ERR)
            .then(World::open_peer, OUT),
    );
    states
}

fn terminal() -> Vec<State> {
    vec![
        idle().then(World::send, IN),
        data(),
        state("hung up", World::close_peer, HUP),
        state(
            "data, then hung up",
            |world| {
                world.send();
                world.settle(IN);
                world.close_peer();
            },
            HUP,
        ),
        state("^D", make::end_of_input, IN).then(make::line, IN),
        state("a line", make::line, IN).then(make::end_of_input, IN),
        state("half a line", make::half_a_line, NONE).then(make::line, IN),
    ]
}

fn controller() -> Vec<State> {
    vec![
        idle().then(World::send, IN),
        data(),
        state("closed by the terminal", World::close_peer, HUP),
        state("closed by the terminal and reopened", World::close_peer, HUP)
            .then(make::reopen_terminal, NONE),
        state(
            "data, then closed by the terminal",
            |world| {
                world.send();
                world.settle(IN);
                world.close_peer();
            },
            HUP,
        ),
        state("packet mode", make::packet, PRI).then(World::send, IN),
    ]
}

fn unconnected() -> Vec<State> {
    vec![
        idle(),
        state("connected", make::connect, OUT).then(make::accept_and_send, IN),
        state("refused", make::connect_to_no_listener, ERR | HUP),
    ]
}

/// All of them.
pub(crate) fn all() -> Vec<Kind> {
    let kind = |name, make, states| Kind { name, make, states };
    vec![
        kind("TCP stream", make::tcp_stream, tcp_stream()),
        kind("TCP stream, bare", make::bare_tcp_stream, tcp_stream()),
        kind("TCP socket, unconnected", make::tcp_unconnected, unconnected()),
        kind("TCP listener", make::tcp_listener, listener()),
        kind("UDP socket", make::udp_socket, udp()),
        kind("UDP socket, bare", make::bare_udp_socket, udp()),
        kind(
            "UDP socket, unconnected",
            make::unconnected_udp_socket,
            vec![idle().then(World::send, IN), data()],
        ),
        kind("Unix stream", make::unix_stream, stream()),
        kind("Unix stream, bare", make::bare_unix_stream, stream()),
        kind("Unix socket, unconnected", make::unix_unconnected, vec![idle()]),
        kind("Unix packet socket, bare", make::packets, stream()),
        kind("Unix listener", make::unix_listener, listener()),
        kind("Unix datagram socket", make::unix_datagram, unix_datagram()),
        kind("pipe, reading end", make::receiver, reading_end()),
        kind("pipe, reading end, bare", make::bare_receiver, reading_end()),
        kind("pipe, writing end", make::sender, writing_end()),
        kind("pipe, writing end, bare", make::bare_sender, writing_end()),
        kind("FIFO, reading end", make::fifo_reader, fifo_reading_end()),
        kind(
            "FIFO, reading end, without a writer",
            make::lonely_fifo_reader,
            fifo_without_writer(),
        ),
        kind("FIFO, writing end", make::fifo_writer, fifo_writing_end()),
        kind("terminal", make::terminal, terminal()),
        kind("terminal, bare", make::bare_terminal, terminal()),
        kind("pseudo-terminal's controller", make::controller, controller()),
        kind("eventfd", make::event_counter, vec![idle().then(World::send, IN), data(), full()]),
        kind(
            "timerfd",
            make::timer,
            vec![
                idle().then(make::expire, IN),
                state("expired", make::expire, IN).then(make::expire, IN),
            ],
        ),
        kind("regular file", make::regular_file, vec![idle()]),
        kind("/proc/self/mounts", make::mounts, vec![idle()]),
        kind("directory", make::directory, vec![idle()]),
        kind("/dev/null", || make::device("/dev/null"), vec![idle()]),
        kind("/dev/zero", || make::device("/dev/zero"), vec![idle()]),
    ]
}
