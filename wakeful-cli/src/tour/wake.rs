//! Wake-ups from another thread, and what it wrote before them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use wakeful::Waker;
use wakeful::event::Event;

use super::{Act, Stage};

const WAKE_UPS: usize = 3;
const PAUSE: Duration = Duration::from_millis(20);

struct Wake {
    written: Arc<AtomicUsize>,
    seen: usize,
}

pub(super) fn begin(stage: &mut Stage<'_>) -> anyhow::Result<Box<dyn Act>> {
    let waker = Waker::new(stage.registry, stage.token(0))?;
    let written = Arc::new(AtomicUsize::new(0));
    let writer = Arc::clone(&written);
    thread::Builder::new().name("waker".to_owned()).spawn(move || {
        for number in 1..=WAKE_UPS {
            thread::sleep(PAUSE);
            // Nothing but the wake-up publishes the number.
            writer.store(number, Ordering::Relaxed);
            if waker.wake().is_err() {
                break;
            }
        }
    })?;
    stage.say("another thread is going to wake this one")?;
    Ok(Box::new(Wake { written, seen: 0 }))
}

impl Act for Wake {
    fn name(&self) -> &'static str {
        "wake"
    }

    fn promise(&self) -> &'static str {
        "another thread wakes this one, and what it wrote before is seen"
    }

    fn ready(&mut self, _: &Event, _: usize, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        self.seen = self.written.load(Ordering::Relaxed);
        stage.say(format_args!("woken; the other thread has written {}", self.seen))?;
        Ok(())
    }

    fn missing(&self) -> String {
        match WAKE_UPS - self.seen {
            0 => String::new(),
            count => format!("{count} wake-ups"),
        }
    }
}
