//! Events of the program's own, from two threads.

use std::thread;

use wakeful::event::Event;
use wakeful::{Interest, Registered, user};

use super::{Act, Stage};

const SENDERS: usize = 2;
const EACH: usize = 100;

struct User {
    queue: Registered<user::Events<(usize, usize)>>,
    next: [usize; SENDERS],
}

pub(super) fn begin(stage: &mut Stage<'_>) -> anyhow::Result<Box<dyn Act>> {
    let queue = user::Events::new(SENDERS * EACH)?;
    for thread in 0..SENDERS {
        let sender = queue.sender();
        thread::Builder::new().name("sender".to_owned()).spawn(move || {
            // It has room for all of them, and the act may be over.
            (0..EACH).all(|number| sender.send((thread, number)).is_ok())
        })?;
    }
    let queue = stage.registry.register_owned(queue, stage.token(0), Interest::READABLE)?;
    stage.say(format_args!("{SENDERS} threads send {EACH} messages each"))?;
    Ok(Box::new(User { queue, next: [0; SENDERS] }))
}

impl Act for User {
    fn name(&self) -> &'static str {
        "user"
    }

    fn promise(&self) -> &'static str {
        "messages of other threads come once each, in the order of their sender"
    }

    fn ready(&mut self, _: &Event, _: usize, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        let mut count = 0;
        for (thread, number) in self.queue.drain() {
            let next = &mut self.next[thread];
            anyhow::ensure!(number == *next, "message {number} of thread {thread} before {next}");
            *next += 1;
            count += 1;
        }
        stage.say(format_args!("{count} messages"))?;
        Ok(())
    }

    fn missing(&self) -> String {
        match SENDERS * EACH - self.next.iter().sum::<usize>() {
            0 => String::new(),
            count => format!("{count} messages"),
        }
    }
}
