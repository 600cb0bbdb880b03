//! Children that end: started, waited for as events, and reaped.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use wakeful::process::Exit;

use crate::clock::{self, Clock};
use crate::row::Row;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new("children started and waited for", "child")
            .clock(Clock::Wall)
            .at_most(1000)
            .measured("wakeful", || Ok(()), |(), count| spent(|| by_wakeful(count)))
            .measured("tokio", Tokio::new, |tokio, count| spent(|| tokio.run(count)))
            .goal("tokio", 1.0)
            .remark("starting a process is nearly all of it"),
    ]
}

/// By this process and its children.
fn spent(run: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let now = || Clock::Process.now() + clock::of_children();
    let start = now();
    run()?;
    Ok(now() - start)
}

fn by_wakeful(count: usize) -> Result<()> {
    let mut poll = wakeful::Poll::new()?;
    let mut events = wakeful::Events::with_capacity(8);
    for _ in 0..count {
        let exit = Exit::new(Command::new("true").spawn()?).map_err(std::io::Error::from)?;
        let (token, interest) = (wakeful::Token(0), wakeful::Interest::READABLE);
        let exit = poll.registry().register_owned(exit, token, interest)?;
        while exit.try_wait()?.is_none() {
            poll.poll(&mut events, Some(Duration::from_secs(10)))?;
        }
    }
    Ok(())
}

struct Tokio(tokio::runtime::Runtime);

impl Tokio {
    fn new() -> Result<Tokio> {
        Ok(Tokio(tokio::runtime::Builder::new_current_thread().enable_all().build()?))
    }

    fn run(&mut self, count: usize) -> Result<()> {
        self.0.block_on(async {
            for _ in 0..count {
                tokio::process::Command::new("true").spawn()?.wait().await?;
            }
            Ok(())
        })
    }
}
