//! Sources that come and go.

use std::os::fd::AsRawFd;

use anyhow::Result;

use super::sockets::{Kind, RawEpoll, Socket};
use crate::row::Row;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new("register and deregister", "pair of calls")
            .counted()
            .fresh()
            .parts(8)
            .candidate(
                "wakeful",
                || {
                    let (_left, right) = Kind::Unix.pair()?;
                    Ok((wakeful::Poll::new()?, wakeful::net::UnixStream::from(right), _left))
                },
                |(poll, right, _), count| {
                    for _ in 0..count {
                        let interest = wakeful::Interest::READABLE;
                        poll.registry().register(right, wakeful::Token(0), interest)?;
                        poll.registry().deregister(right)?;
                    }
                    Ok(())
                },
            )
            .candidate(
                "raw epoll",
                || {
                    let (left, right) = Kind::Unix.pair()?;
                    Ok((RawEpoll::new(1)?, Socket::from(right), left))
                },
                |(epoll, right, _), count| {
                    for _ in 0..count {
                        let events = libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET;
                        epoll.add(right.as_raw_fd(), events, 0)?;
                        epoll.control(libc::EPOLL_CTL_DEL, right.as_raw_fd(), 0, 0)?;
                    }
                    Ok(())
                },
            )
            .candidate(
                "mio",
                || {
                    let (left, right) = Kind::Unix.pair()?;
                    let right = mio::net::UnixStream::from_std(right.into());
                    Ok((mio::Poll::new()?, right, left))
                },
                |(poll, right, _): &mut (_, _, _), count| {
                    let poll: &mut mio::Poll = poll;
                    for _ in 0..count {
                        let interest = mio::Interest::READABLE;
                        poll.registry().register(right, mio::Token(0), interest)?;
                        poll.registry().deregister(right)?;
                    }
                    Result::Ok(())
                },
            )
            .goal("mio", 1.0)
            .goal("raw epoll", 1.02)
            .remark(
                "two system calls by each; around them wakeful has 40 instructions more than mio, and 80 more than nothing at \
                 all: the backend that was chosen at run time, changes of interest that were put off, the waker's token",
            ),
    ]
}
