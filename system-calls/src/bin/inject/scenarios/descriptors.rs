//! Sockets and pipes, with each trigger.

use std::io::Read;

use wakeful::net::UnixStream;
use wakeful::unix::pipe;
use wakeful::{Interest, Token, Trigger};

use super::{Desk, Result, ask, drain, write_all};

const ROUNDS: u8 = 3;
const TOKEN: Token = Token(3);

pub(super) fn edge(desk: &mut Desk) -> Result {
    with_socket(desk, Trigger::Edge)
}

pub(super) fn level(desk: &mut Desk) -> Result {
    with_socket(desk, Trigger::Level)
}

pub(super) fn oneshot(desk: &mut Desk) -> Result {
    with_socket(desk, Trigger::Oneshot)
}

fn with_socket(desk: &mut Desk, trigger: Trigger) -> Result {
    let (near, far) = ask("pair", UnixStream::pair)?;
    let interest = Interest::READABLE.with_trigger(trigger);
    let mut near = desk.register(near, TOKEN, interest)?;
    for round in 0..ROUNDS {
        write_all(&far, &[round])?;
        desk.wait(TOKEN, || match trigger {
            Trigger::Edge => Ok(Some(drain(&*near)?).filter(|it| *it == [round])),
            // One read is enough: what is left is reported again.
            _ => ask("read", || (&*near).read(&mut [0; 64])).map(Some).map(|_| Some(vec![round])),
        })?;
        if trigger == Trigger::Oneshot {
            ask("rearm", || near.rearm(interest))?;
        }
    }
    ask("set_interest", || near.set_interest(interest | Interest::WRITABLE))?;
    desk.wait(TOKEN, || Ok(Some(())))?;
    drop(near);
    Ok(())
}

pub(super) fn pipe(desk: &mut Desk) -> Result {
    let (sender, receiver) = ask("pipe", pipe::new)?;
    let receiver = desk.register(receiver, TOKEN, Interest::READABLE)?;
    for round in 0..ROUNDS {
        write_all(&sender, &[round])?;
        desk.wait(TOKEN, || Ok(Some(drain(&*receiver)?).filter(|it| *it == [round])))?;
    }
    drop(sender);
    desk.wait(TOKEN, || Ok(Some(())))
}
