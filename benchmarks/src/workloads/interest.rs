//! Interests that change, and such as do not: a server that asks for room to write before each answer, and no more after it.

use std::io::Read;

use anyhow::Result;

use super::pairs::{MESSAGE, MioPair, WakefulPair};
use super::sockets::Kind;
use crate::row::Row;

pub(super) fn rows() -> Vec<Row> {
    let toggling = |kind: Kind, of_mio| {
        Row::new(format!("write interest on and off, {}", kind.name()), "hop")
            .counted()
            .fresh()
            .parts(8)
            .candidate("wakeful", move || WakefulPair::new(kind), toggle_by_wakeful)
            .candidate("without toggling", move || WakefulPair::new(kind), WakefulPair::run)
            .candidate("mio", move || MioPair::new(kind), toggle_by_mio)
            .goal("mio", of_mio)
            .goal("without toggling", 1.03)
            .remark(
                "none of the changes is a system call with wakeful, so that it costs what it costs without; mio's two are no \
                 more than a tenth of a hop over TCP",
            )
    };
    let redundant = Row::new("the same interest again", "call")
        .counted()
        .fresh()
        .parts(8)
        .candidate("wakeful", || WakefulPair::new(Kind::Unix), again_by_wakeful)
        .candidate("mio", || MioPair::new(Kind::Unix), again_by_mio)
        .goal("mio", 0.05);
    vec![toggling(Kind::Unix, 0.80), toggling(Kind::Tcp, 0.90), redundant]
}

fn toggle_by_wakeful(pair: &mut WakefulPair, count: usize) -> Result<()> {
    use wakeful::Interest;
    let mut buffer = [0; 64];
    for _ in 0..count {
        pair.left.send(MESSAGE)?;
        pair.poll.poll(&mut pair.events, None)?;
        pair.right.set_interest(Interest::READABLE | Interest::WRITABLE)?;
        assert_eq!((&*pair.right).read(&mut buffer)?, MESSAGE.len());
        pair.right.set_interest(Interest::READABLE)?;
    }
    Ok(())
}

fn toggle_by_mio(pair: &mut MioPair, count: usize) -> Result<()> {
    use mio::Interest;
    let mut buffer = [0; 64];
    for _ in 0..count {
        pair.left.send(MESSAGE)?;
        pair.poll.poll(&mut pair.events, None)?;
        let (both, one) = (Interest::READABLE | Interest::WRITABLE, Interest::READABLE);
        pair.poll.registry().reregister(&mut pair.right, mio::Token(0), both)?;
        assert_eq!(pair.right.read(&mut buffer)?, MESSAGE.len());
        pair.poll.registry().reregister(&mut pair.right, mio::Token(0), one)?;
    }
    Ok(())
}

fn again_by_wakeful(pair: &mut WakefulPair, count: usize) -> Result<()> {
    for _ in 0..count {
        pair.right.set_interest(std::hint::black_box(wakeful::Interest::READABLE))?;
    }
    Ok(())
}

fn again_by_mio(pair: &mut MioPair, count: usize) -> Result<()> {
    for _ in 0..count {
        let interest = std::hint::black_box(mio::Interest::READABLE);
        pair.poll.registry().reregister(&mut pair.right, mio::Token(0), interest)?;
    }
    Ok(())
}
