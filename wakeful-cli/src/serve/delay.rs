//! HTTP, as much as a delay server needs: `GET /{ms}/{message}`, answered after so many milliseconds.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use wakeful::net::TcpStream;

use super::service::{Context, Drive, Service};

/// A longer request head is refused.
const HEAD: usize = 8 * 1024;

/// A longer delay is refused.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// So many answers in a row to one connection, then it is the others' turn.
const SHARE: usize = 16;

/// What a client sends behind its last request is read and thrown away, so much of it and so long: a
/// connection that is closed with something unread is reset, and the answer lost with it.
const SPILLAGE: usize = 256 * 1024;
const LINGER: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Delay;

pub(super) enum State {
    /// The request so far.
    Reading(Vec<u8>),
    /// The answer waits for its time; what came behind the request is kept.
    Waiting { until: Instant, answer: Answer, behind: Vec<u8> },
    /// The answer is being sent.
    Writing { answer: Answer, sent: usize, behind: Vec<u8> },
    /// The last answer is sent; the client has to close, within the time.
    Ending { until: Instant, spillage: usize },
}

pub(super) struct Answer {
    bytes: Vec<u8>,
    /// Close after it.
    last: bool,
}

impl Service for Delay {
    type State = State;

    fn open(&mut self) -> State {
        State::Reading(Vec::new())
    }

    fn drive(&mut self, stream: &TcpStream, state: &mut State, context: &mut Context<'_>) -> Drive {
        let mut answered = 0;
        loop {
            let step = match state {
                State::Reading(request) => self.read(stream, request, context),
                State::Waiting { until, .. } if *until > context.now => Step::Stop(Drive::Read),
                State::Waiting { answer, behind, .. } => {
                    let answer = Answer { bytes: std::mem::take(&mut answer.bytes), ..*answer };
                    let behind = std::mem::take(behind);
                    Step::Next(State::Writing { answer, sent: 0, behind })
                }
                State::Writing { .. } if answered == SHARE => Step::Stop(Drive::Again),
                State::Writing { answer, sent, behind } => {
                    let step = write(stream, answer, sent, behind, context);
                    if matches!(step, Step::Next(_)) {
                        answered += 1;
                    }
                    step
                }
                State::Ending { until, spillage } => end(stream, *until, spillage, context),
            };
            match step {
                Step::Next(next) => {
                    if let State::Waiting { until, .. } | State::Ending { until, .. } = next {
                        context.deadline = Some(until);
                    }
                    *state = next;
                }
                Step::Stop(drive) => return drive,
            }
        }
    }
}

enum Step {
    Next(State),
    Stop(Drive),
}

impl Delay {
    /// Reads until the request is whole, or no more is there.
    fn read(
        &mut self,
        mut stream: &TcpStream,
        request: &mut Vec<u8>,
        context: &mut Context<'_>,
    ) -> Step {
        let mut buffer = [0; 2048];
        loop {
            if let Some(parsed) = parse(request) {
                return self.answer(parsed, std::mem::take(request), context);
            }
            match stream.read(&mut buffer) {
                Ok(0) => return Step::Stop(Drive::Close),
                Ok(count) => {
                    context.statistics.received += count as u64;
                    request.extend_from_slice(&buffer[..count]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let idle = context.stopping && request.is_empty();
                    return Step::Stop(if idle { Drive::Close } else { Drive::Read });
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Step::Stop(Drive::Close),
            }
        }
    }

    fn answer(&mut self, parsed: Parsed, request: Vec<u8>, context: &Context<'_>) -> Step {
        match parsed {
            Parsed::Wait { delay, message, last, length } => {
                let last = last || context.stopping;
                let answer = Answer { bytes: response("200 OK", &message, last), last };
                let behind = request.get(length..).unwrap_or_default().to_vec();
                if delay.is_zero() {
                    return Step::Next(State::Writing { answer, sent: 0, behind });
                }
                // By the clock as it is now: the batch of events may have taken a while.
                Step::Next(State::Waiting { until: Instant::now() + delay, answer, behind })
            }
            Parsed::Refuse { status, message } => {
                let answer = Answer { bytes: response(status, message, true), last: true };
                Step::Next(State::Writing { answer, sent: 0, behind: Vec::new() })
            }
        }
    }
}

fn write(
    mut stream: &TcpStream,
    answer: &Answer,
    sent: &mut usize,
    behind: &mut Vec<u8>,
    context: &mut Context<'_>,
) -> Step {
    while let Some(rest) = answer.bytes.get(*sent..).filter(|rest| !rest.is_empty()) {
        match stream.write(rest) {
            Ok(count) => {
                *sent += count;
                context.statistics.sent += count as u64;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Step::Stop(Drive::Write),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Step::Stop(Drive::Close),
        }
    }
    if !answer.last {
        return Step::Next(State::Reading(std::mem::take(behind)));
    }
    match stream.shutdown(Shutdown::Write) {
        Ok(()) => Step::Next(State::Ending { until: Instant::now() + LINGER, spillage: SPILLAGE }),
        Err(_) => Step::Stop(Drive::Close),
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

/// A request head that is whole, or can never be.
#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    Wait { delay: Duration, message: String, last: bool, length: usize },
    Refuse { status: &'static str, message: &'static str },
}

const HELP: &str = "ask with GET /{milliseconds}/{message}, for example GET /1000/hello";

fn parse(bytes: &[u8]) -> Option<Parsed> {
    let refuse = |status, message| Some(Parsed::Refuse { status, message });
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD => return None,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return refuse(
                "431 Request Header Fields Too Large",
                "the request head is longer than 8 KiB or has more than 64 headers",
            );
        }
        Err(_) => return refuse("400 Bad Request", HELP),
    };
    if request.method != Some("GET") {
        return refuse("405 Method Not Allowed", HELP);
    }
    let wants = |wanted: &str| {
        request.headers.iter().any(|header| {
            header.name.eq_ignore_ascii_case("connection")
                && header
                    .value
                    .split(|&byte| byte == b',')
                    .any(|option| option.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
        })
    };
    // HTTP/1.0 closes unless asked not to, HTTP/1.1 the other way round.
    let last = if request.version == Some(0) { !wants("keep-alive") } else { wants("close") };
    let path = request.path.unwrap_or_default().strip_prefix('/');
    let Some((delay, message)) = path.and_then(|path| path.split_once('/')) else {
        return refuse("404 Not Found", HELP);
    };
    if !delay.bytes().all(|byte| byte.is_ascii_digit()) {
        return refuse("400 Bad Request", HELP);
    }
    match delay.parse().map(Duration::from_millis) {
        Ok(delay) if delay <= LONGEST => {
            Some(Parsed::Wait { delay, message: message.to_owned(), last, length })
        }
        Ok(_) => refuse("400 Bad Request", "the longest delay is a day: 86400000 milliseconds"),
        Err(_) => refuse("400 Bad Request", HELP),
    }
}

fn response(status: &str, message: &str, last: bool) -> Vec<u8> {
    let length = message.len();
    let connection = if last { "close" } else { "keep-alive" };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: {connection}\r\n\r\n{message}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(request: &str) -> &'static str {
        match parse(request.as_bytes()) {
            Some(Parsed::Refuse { status, .. }) => status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn whole_requests_are_understood() {
        let parsed = parse(b"GET /250/a/b?c HTTP/1.1\r\nHost: x\r\n\r\nGET").unwrap();
        let Parsed::Wait { delay, message, last, length } = parsed else { panic!("{parsed:?}") };
        assert_eq!((delay, message.as_str(), last), (Duration::from_millis(250), "a/b?c", false));
        assert_eq!(length, "GET /250/a/b?c HTTP/1.1\r\nHost: x\r\n\r\n".len());
        for request in [
            "GET /0/x HTTP/1.0\r\n\r\n",
            "GET /0/x HTTP/1.1\r\nConnection: Close\r\n\r\n",
            "GET /0/x HTTP/1.1\r\nConnection: TE, close\r\n\r\n",
        ] {
            assert!(matches!(parse(request.as_bytes()), Some(Parsed::Wait { last: true, .. })));
        }
    }

    #[test]
    fn unfinished_requests_wait_for_more() {
        let whole = b"GET /1/x HTTP/1.1\r\nHost: x\r\n\r\n";
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), None, "after {length} bytes");
        }
    }

    #[test]
    fn what_cannot_be_answered_is_refused() {
        assert_eq!(status("POST /1/x HTTP/1.1\r\n\r\n"), "405 Method Not Allowed");
        assert_eq!(status("GET /x HTTP/1.1\r\n\r\n"), "404 Not Found");
        assert_eq!(status("GET * HTTP/1.1\r\n\r\n"), "404 Not Found");
        assert_eq!(status("GET http://host/1/x HTTP/1.1\r\n\r\n"), "404 Not Found");
        assert_eq!(status("GET /+1/x HTTP/1.1\r\n\r\n"), "400 Bad Request");
        assert_eq!(status("GET /soon/x HTTP/1.1\r\n\r\n"), "400 Bad Request");
        assert_eq!(status("GET /-1/x HTTP/1.1\r\n\r\n"), "400 Bad Request");
        assert_eq!(status("GET /99999999999/x HTTP/1.1\r\n\r\n"), "400 Bad Request");
        assert_eq!(status("GET /99999999999999999999999/x HTTP/1.1\r\n\r\n"), "400 Bad Request");
        assert_eq!(status("\0\0\0\0\r\n\r\n"), "400 Bad Request");
        let long = format!("GET /1/{} HTTP/1.1\r\n", "x".repeat(HEAD));
        assert_eq!(status(&long), "431 Request Header Fields Too Large");
    }
}
