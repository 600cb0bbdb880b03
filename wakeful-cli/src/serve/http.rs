//! HTTP/1, as much as a delay server needs: the head of a request, and where its body ends.
//!
//! What two readers could take for different things is refused, because the other reader may be a
//! proxy that has looked at the request before: a message that this server reads as two and the proxy
//! as one, or the other way round, answers somebody else's request.

use std::time::Duration;

/// A longer request head is refused, and a longer trailer section.
pub(super) const HEAD: usize = 8 * 1024;

/// A longer body is refused.
pub(super) const BODY: u64 = 1024 * 1024;

/// A longer delay is refused.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A longer line with the size of a chunk is refused.
const CHUNK_LINE: usize = 256;

const HELP: &str = "ask with GET /{milliseconds}/{message}, for example GET /1000/hello";

/// Why a request is not answered, and the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: &'static str,
    pub(super) message: &'static str,
    /// The request was `HEAD`, whose response is without a body.
    is_head: bool,
}

impl Refusal {
    pub(super) const TIMEOUT: Refusal =
        Refusal::new("408 Request Timeout", "the request did not arrive in time");

    const fn new(status: &'static str, message: &'static str) -> Refusal {
        Refusal { status, message, is_head: false }
    }

    const fn bad(message: &'static str) -> Refusal {
        Refusal::new("400 Bad Request", message)
    }

    pub(super) fn response(&self) -> Vec<u8> {
        let mut response = response(self.status, self.message, true);
        if self.is_head {
            response.truncate(response.len() - self.message.len());
        }
        response
    }
}

pub(super) fn response(status: &str, message: &str, last: bool) -> Vec<u8> {
    let length = message.len();
    let connection = if last { "close" } else { "keep-alive" };
    let allow = if status.starts_with("405") { "Allow: GET\r\n" } else { "" };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n{allow}\
         Content-Length: {length}\r\nConnection: {connection}\r\n\r\n{message}"
    )
    .into_bytes()
}

/// A request whose head is whole.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) delay: Duration,
    pub(super) message: String,
    /// The connection closes after the answer.
    pub(super) last: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub(super) waits: bool,
    pub(super) body: Body,
    /// How long the head is.
    pub(super) length: usize,
}

/// Reads the head of a request; `None` if it is not whole yet.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Request>, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD => length,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => {
            return Err(Refusal::new(
                "431 Request Header Fields Too Large",
                "the request head is longer than 8 KiB or has more than 64 headers",
            ));
        }
        Err(_) => return Err(Refusal::bad(HELP)),
    };
    if has_bare_line_feed(&bytes[..length]) {
        return Err(Refusal::bad("the lines of a request end with CR and LF"));
    }
    let is_old = request.version == Some(0);
    let all = |name| {
        let headers = request.headers.iter();
        headers.filter(move |header| header.name.eq_ignore_ascii_case(name))
    };
    let body = framing(all("content-length"), all("transfer-encoding"), is_old)?;
    if all("host").count() > 1 {
        return Err(Refusal::bad("the request has more than one Host"));
    }
    let waits = match all("expect").map(|header| header.value).collect::<Vec<_>>()[..] {
        [] => false,
        // HTTP/1.0 has no interim responses.
        _ if is_old => false,
        [value] if value.eq_ignore_ascii_case(b"100-continue") => body != Body::Length(0),
        _ => {
            return Err(Refusal::new(
                "417 Expectation Failed",
                "of expectations this server knows 100-continue",
            ));
        }
    };
    let method = request.method.unwrap_or_default();
    if method != "GET" {
        let refusal = Refusal::new("405 Method Not Allowed", HELP);
        return Err(Refusal { is_head: method == "HEAD", ..refusal });
    }
    let wants = |wanted: &str| {
        all("connection").any(|header| {
            let mut options = header.value.split(|&byte| byte == b',');
            options.any(|option| option.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
        })
    };
    // HTTP/1.0 closes unless asked not to, HTTP/1.1 the other way round.
    let last = wants("close") || is_old && !wants("keep-alive");
    let (delay, message) = target(request.path.unwrap_or_default())?;
    Ok(Some(Request { delay, message, last, waits, body, length }))
}

fn has_bare_line_feed(bytes: &[u8]) -> bool {
    let mut before = 0;
    bytes.iter().any(|&byte| std::mem::replace(&mut before, byte) != b'\r' && byte == b'\n')
}

/// Finds out what ends the body, by RFC 9112, section 6.3.
fn framing<'a>(
    lengths: impl Iterator<Item = &'a httparse::Header<'a>>,
    codings: impl Iterator<Item = &'a httparse::Header<'a>>,
    is_old: bool,
) -> Result<Body, Refusal> {
    let lengths: Vec<_> = lengths.collect();
    let codings: Vec<_> = codings.flat_map(|header| header.value.split(|&b| b == b',')).collect();
    if !codings.is_empty() {
        if !lengths.is_empty() {
            return Err(Refusal::bad("the request has a Content-Length and a Transfer-Encoding"));
        }
        if is_old {
            return Err(Refusal::bad("HTTP/1.0 has no Transfer-Encoding"));
        }
        let is_chunked = |coding: &&[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
        return match codings.iter().filter(|coding| is_chunked(coding)).count() {
            1 if codings.len() == 1 => Ok(Body::Chunked(Chunked::default())),
            1 if codings.last().is_some_and(is_chunked) => Err(Refusal::new(
                "501 Not Implemented",
                "of transfer codings this server knows chunked",
            )),
            _ => Err(Refusal::bad("the last transfer coding, and only that, has to be chunked")),
        };
    }
    let [length] = lengths[..] else {
        return match lengths.is_empty() {
            true => Ok(Body::default()),
            false => Err(Refusal::bad("the request has more than one Content-Length")),
        };
    };
    // `parse` would take a sign as well.
    let digits = std::str::from_utf8(length.value).ok();
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(length) if length <= BODY => Ok(Body::Length(length)),
        Some(_) => Err(TOO_LONG),
        None => Err(Refusal::bad("the Content-Length is no number of bytes")),
    }
}

const TOO_LONG: Refusal = Refusal::new("413 Content Too Large", "the body is longer than 1 MiB");

/// `/{ms}/{message}`, alone or behind `http://host`.
fn target(target: &str) -> Result<(Duration, String), Refusal> {
    let scheme = target.find("://").filter(|&at| {
        ["http", "https"].iter().any(|scheme| target[..at].eq_ignore_ascii_case(scheme))
    });
    let path = match scheme {
        Some(at) => {
            let rest = &target[at + 3..];
            rest.find('/').map_or("", |at| &rest[at..])
        }
        None => target,
    };
    let parts = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    let Some((delay, message)) = parts else {
        return Err(Refusal::new("404 Not Found", HELP));
    };
    if !delay.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::bad(HELP));
    }
    match delay.parse().map(Duration::from_millis) {
        Ok(delay) if delay <= LONGEST => Ok((delay, message.to_owned())),
        Ok(_) => Err(Refusal::bad("the longest delay is a day: 86400000 milliseconds")),
        Err(_) => Err(Refusal::bad(HELP)),
    }
}

/// What is left of a body. Nothing of a body is kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    Length(u64),
    Chunked(Chunked),
}

impl Default for Body {
    fn default() -> Body {
        Body::Length(0)
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chunked {
    /// How many bytes there were in chunks.
    total: u64,
    next: Next,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    /// A line with the size of a chunk.
    #[default]
    Size,
    /// So many bytes of a chunk.
    Data(u64),
    /// The end of the line behind a chunk.
    LineEnd,
    /// Header fields, and an empty line.
    Trailers,
}

impl Body {
    /// Takes the body from the front of what was received, and returns whether that was all of it.
    pub(super) fn take(&mut self, bytes: &mut Vec<u8>) -> Result<bool, Refusal> {
        match self {
            Body::Length(left) => {
                skip(bytes, left);
                Ok(*left == 0)
            }
            Body::Chunked(chunked) => chunked.take(bytes),
        }
    }
}

fn skip(bytes: &mut Vec<u8>, left: &mut u64) {
    let count = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
    bytes.drain(..count);
    *left -= count as u64;
}

impl Chunked {
    fn take(&mut self, bytes: &mut Vec<u8>) -> Result<bool, Refusal> {
        const BAD: Refusal = Refusal::bad("the body is not in chunks");
        loop {
            match &mut self.next {
                Next::Size => {
                    let Some(end) = line(bytes, CHUNK_LINE).map_err(|()| BAD)? else {
                        return Ok(false);
                    };
                    // Without a digit it would be zero.
                    let size = match httparse::parse_chunk_size(&bytes[..end]) {
                        Ok(httparse::Status::Complete((length, size)))
                            if length == end && bytes[0].is_ascii_hexdigit() =>
                        {
                            size
                        }
                        _ => return Err(BAD),
                    };
                    bytes.drain(..end);
                    self.total = self.total.saturating_add(size);
                    if self.total > BODY {
                        return Err(TOO_LONG);
                    }
                    self.next = if size == 0 { Next::Trailers } else { Next::Data(size) };
                }
                Next::Data(0) => self.next = Next::LineEnd,
                Next::Data(_) if bytes.is_empty() => return Ok(false),
                Next::Data(left) => skip(bytes, left),
                Next::LineEnd => match bytes[..] {
                    [b'\r', b'\n', ..] => {
                        bytes.drain(..2);
                        self.next = Next::Size;
                    }
                    [] | [b'\r'] => return Ok(false),
                    _ => return Err(BAD),
                },
                Next::Trailers => {
                    let mut headers = [httparse::EMPTY_HEADER; 64];
                    let end = match httparse::parse_headers(bytes, &mut headers) {
                        Ok(httparse::Status::Complete((end, _))) if end <= HEAD => end,
                        Ok(httparse::Status::Partial) if bytes.len() < HEAD => return Ok(false),
                        _ => return Err(BAD),
                    };
                    if has_bare_line_feed(&bytes[..end]) {
                        return Err(BAD);
                    }
                    bytes.drain(..end);
                    return Ok(true);
                }
            }
        }
    }
}

/// Where the first line ends, behind its CR and LF; `None` if it is not whole yet. An error if it is
/// longer than allowed, or has one of the two alone.
fn line(bytes: &[u8], longest: usize) -> Result<Option<usize>, ()> {
    match bytes.iter().take(longest).position(|byte| matches!(byte, b'\r' | b'\n')) {
        Some(at) if bytes[at] == b'\n' => Err(()),
        Some(at) => match bytes.get(at + 1) {
            Some(b'\n') => Ok(Some(at + 2)),
            Some(_) => Err(()),
            None => Ok(None),
        },
        None if bytes.len() >= longest => Err(()),
        None => Ok(None),
    }
}
