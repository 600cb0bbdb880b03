//! Events, the buffer they come in, and what can produce them.

mod events;
mod source;

pub use events::{Events, Iter};
pub use source::Source;
pub(crate) use source::source_by_descriptor;

/// One readiness report: a [`Token`](crate::Token) and what its source is ready for.
///
/// Laid out as Linux's `struct epoll_event`, so that epoll fills [`Events`] itself. An event is a
/// hint that may be late or spurious: the source may have been drained since, so take
/// [`WouldBlock`](std::io::ErrorKind::WouldBlock) for an answer.
///
/// The predicates mean what mio's mean, on every backend:
///
/// | Predicate | Readiness bits |
/// |---|---|
/// | `is_readable` | `IN` or `PRI` |
/// | `is_writable` | `OUT` |
/// | `is_error` | `ERR` |
/// | `is_read_closed` | `HUP`, or `IN` and `RDHUP` |
/// | `is_write_closed` | `HUP`, or `OUT` and `ERR`, or `ERR` alone |
/// | `is_priority` | `PRI` |
pub type Event = wakeful_kernel::readiness::Event<crate::Token>;

pub use wakeful_kernel::readiness::Readiness;
