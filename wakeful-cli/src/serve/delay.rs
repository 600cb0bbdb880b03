//! `GET /{ms}/{message}`, answered after so many milliseconds.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use wakeful::net::TcpStream;

use super::http::{self, Refusal, Request};
use super::service::{Context, Drive, Service};

/// So many answers in a row to one connection, then it is the others' turn.
const SHARE: usize = 16;

/// What a client sends behind its last request is read and thrown away, so much of it and so long: a
/// connection that is closed with something unread is reset, and the answer lost with it.
const SPILLAGE: usize = 256 * 1024;
const LINGER: Duration = Duration::from_secs(2);

/// How long connections may take. Each holds a descriptor: without limits, as many half requests as
/// there are descriptors end the service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// From the first byte of a request to its last, and from the connection to its first byte.
    pub(super) request: Duration,
    /// Between two requests, and between two bytes of an answer that the client takes.
    pub(super) idle: Duration,
}

pub(super) struct Delay {
    limits: Limits,
}

impl Delay {
    pub(super) fn new(limits: Limits) -> Delay {
        Delay { limits }
    }
}

pub(super) enum State {
    /// Nothing has happened yet.
    New,
    /// The head of a request, so far.
    Reading { bytes: Vec<u8>, until: Instant },
    /// The body of a request; what was received is kept until it is looked at.
    Body(Box<Pending>),
    /// The answer waits for its time; what came behind the request is kept.
    Waiting { until: Instant, answer: Answer, behind: Vec<u8> },
    /// Something is being sent, within the time from one byte to the next.
    Writing { bytes: Vec<u8>, sent: usize, until: Option<Instant>, then: Then },
    /// The last answer is sent; the client has to close, within the time.
    Ending { until: Instant, spillage: usize },
}

pub(super) struct Pending {
    request: Request,
    bytes: Vec<u8>,
    until: Instant,
}

pub(super) struct Answer {
    bytes: Vec<u8>,
    /// Close after it.
    last: bool,
}

/// What follows when everything is sent.
pub(super) enum Then {
    /// The next request, of which this is there already.
    Read(Vec<u8>),
    Body(Box<Pending>),
    End,
}

impl Service for Delay {
    type State = State;

    fn open(&mut self) -> State {
        State::New
    }

    fn drive(&mut self, stream: &TcpStream, state: &mut State, context: &mut Context<'_>) -> Drive {
        let mut answered = 0;
        loop {
            let step = match state {
                State::New => Step::Next(State::Reading {
                    bytes: Vec::new(),
                    until: context.now + self.limits.request,
                }),
                State::Reading { bytes, until } => self.read(stream, bytes, until, context),
                State::Body(pending) => read_body(stream, pending, context),
                State::Waiting { until, .. } if *until > context.now => Step::Stop(Drive::Read),
                State::Waiting { answer, behind, .. } => {
                    let answer = Answer { bytes: std::mem::take(&mut answer.bytes), ..*answer };
                    Step::Next(send(answer, std::mem::take(behind)))
                }
                State::Writing { .. } if answered == SHARE => Step::Stop(Drive::Again),
                State::Writing { .. } => {
                    let step = self.write(stream, state, context);
                    if matches!(step, Step::Next(_)) {
                        answered += 1;
                    }
                    step
                }
                State::Ending { until, spillage } => end(stream, *until, spillage, context),
            };
            match step {
                Step::Next(next) => *state = next,
                Step::Stop(drive) => {
                    context.deadline = state.until();
                    return drive;
                }
            }
        }
    }
}

impl State {
    /// When it is to be looked at, although nothing happens.
    fn until(&self) -> Option<Instant> {
        match self {
            State::New => None,
            State::Reading { until, .. }
            | State::Waiting { until, .. }
            | State::Ending { until, .. } => Some(*until),
            State::Body(pending) => Some(pending.until),
            State::Writing { until, .. } => *until,
        }
    }
}

enum Step {
    Next(State),
    Stop(Drive),
}

/// What one read has brought.
enum Received {
    Some,
    Nothing,
    End,
}

fn read_some(mut stream: &TcpStream, bytes: &mut Vec<u8>, context: &mut Context<'_>) -> Received {
    let mut buffer = [0; 2048];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Received::End,
            Ok(count) => {
                context.statistics.received += count as u64;
                bytes.extend_from_slice(&buffer[..count]);
                return Received::Some;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Received::Nothing,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Received::End,
        }
    }
}

fn refuse(refusal: &Refusal) -> Step {
    Step::Next(send(Answer { bytes: refusal.response(), last: true }, Vec::new()))
}

fn send(answer: Answer, behind: Vec<u8>) -> State {
    let then = if answer.last { Then::End } else { Then::Read(behind) };
    State::Writing { bytes: answer.bytes, sent: 0, until: None, then }
}

/// Answers a request that is whole, with what came behind it.
fn answer(request: Request, behind: Vec<u8>, context: &Context<'_>) -> Step {
    let Request { delay, message, last, .. } = request;
    let last = last || context.stopping;
    let answer = Answer { bytes: http::response("200 OK", &message, last), last };
    if delay.is_zero() {
        return Step::Next(send(answer, behind));
    }
    // By the clock as it is now: the batch of events may have taken a while.
    Step::Next(State::Waiting { until: Instant::now() + delay, answer, behind })
}

/// The head is whole: the body comes next.
fn body(request: Request, bytes: Vec<u8>, until: Instant) -> Step {
    // A client that has begun to send does not wait any more.
    let waits = request.waits && bytes.is_empty();
    let pending = Box::new(Pending { request, bytes, until });
    Step::Next(match waits {
        true => State::Writing {
            bytes: b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(),
            sent: 0,
            until: None,
            then: Then::Body(pending),
        },
        false => State::Body(pending),
    })
}

/// Reads until the body is whole, or no more is there.
fn read_body(stream: &TcpStream, pending: &mut Box<Pending>, context: &mut Context<'_>) -> Step {
    loop {
        let Pending { request, bytes, until } = &mut **pending;
        match request.body.take(bytes) {
            Ok(true) => {
                return answer(std::mem::take(request), std::mem::take(bytes), context);
            }
            Ok(false) => {}
            Err(refusal) => return refuse(&refusal),
        }
        match read_some(stream, bytes, context) {
            Received::Some => {}
            Received::Nothing if *until <= context.now => return refuse(&Refusal::TIMEOUT),
            Received::Nothing => return Step::Stop(Drive::Read),
            Received::End => return Step::Stop(Drive::Close),
        }
    }
}

impl Delay {
    /// Reads until the head of the request is whole, or no more is there.
    fn read(
        &mut self,
        stream: &TcpStream,
        bytes: &mut Vec<u8>,
        until: &mut Instant,
        context: &mut Context<'_>,
    ) -> Step {
        loop {
            match http::parse(bytes) {
                Ok(Some(request)) => {
                    let behind = bytes.get(request.length..).unwrap_or_default().to_vec();
                    if request.body == http::Body::Length(0) {
                        return answer(request, behind, context);
                    }
                    return body(request, behind, *until);
                }
                Ok(None) => {}
                Err(refusal) => return refuse(&refusal),
            }
            let was_idle = bytes.is_empty();
            match read_some(stream, bytes, context) {
                Received::Some if was_idle => *until = context.now + self.limits.request,
                Received::Some => {}
                Received::Nothing if was_idle && (context.stopping || *until <= context.now) => {
                    return Step::Stop(Drive::Close);
                }
                Received::Nothing if *until <= context.now => return refuse(&Refusal::TIMEOUT),
                Received::Nothing => return Step::Stop(Drive::Read),
                Received::End => return Step::Stop(Drive::Close),
            }
        }
    }

    /// Sends until everything is sent, or there is no room.
    fn write(&self, mut stream: &TcpStream, state: &mut State, context: &mut Context<'_>) -> Step {
        let State::Writing { bytes, sent, until, then } = state else {
            return Step::Stop(Drive::Close);
        };
        while let Some(rest) = bytes.get(*sent..).filter(|rest| !rest.is_empty()) {
            match stream.write(rest) {
                Ok(count) => {
                    *sent += count;
                    *until = None;
                    context.statistics.sent += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let until = until.get_or_insert(context.now + self.limits.idle);
                    let is_over = *until <= context.now;
                    return Step::Stop(if is_over { Drive::Close } else { Drive::Write });
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Step::Stop(Drive::Close),
            }
        }
        match std::mem::replace(then, Then::End) {
            Then::Read(bytes) => {
                let limit = if bytes.is_empty() { self.limits.idle } else { self.limits.request };
                Step::Next(State::Reading { bytes, until: context.now + limit })
            }
            Then::Body(pending) => Step::Next(State::Body(pending)),
            Then::End => match stream.shutdown(Shutdown::Write) {
                Ok(()) => {
                    Step::Next(State::Ending { until: Instant::now() + LINGER, spillage: SPILLAGE })
                }
                Err(_) => Step::Stop(Drive::Close),
            },
        }
    }
}

/// Reads and throws away, until the client has closed.
fn end(
    mut stream: &TcpStream,
    until: Instant,
    spillage: &mut usize,
    context: &mut Context<'_>,
) -> Step {
    let mut buffer = [0; 4096];
    while context.now < until && *spillage > 0 {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => *spillage = spillage.saturating_sub(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock && !context.stopping => {
                return Step::Stop(Drive::Read);
            }
            _ => break,
        }
    }
    Step::Stop(Drive::Close)
}
