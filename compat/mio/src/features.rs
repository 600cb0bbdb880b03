//! What the features add. They are mio's, by its names:
//!
//! | Feature | What it adds |
//! |---|---|
//! | `os-poll` | nothing: [`Poll`](crate::Poll) always works |
//! | `os-ext` | nothing: [`unix`](crate::unix) is always there |
//! | `net` | `net`: TCP, UDP and Unix domain sockets |
//! | `log` (default) | registrations at the trace level of the `log` crate |
//! | `backend-from-env` | not mio's: `WAKEFUL_BACKEND=epoll\|poll` chooses the backend |
