//! Signals, counted, whichever thread they come to.

use wakeful::event::Event;
use wakeful::signal::{Signal, Signals};
use wakeful::{Interest, Registered};
use wakeful_kernel::process;

use super::{Act, Stage};

const SENT: u32 = 3;

struct Signalled {
    signals: Registered<Signals>,
    sent: u32,
    counted: u32,
}

pub(super) fn begin(stage: &mut Stage<'_>) -> anyhow::Result<Box<dyn Act>> {
    let signals = Signals::new([Signal::USER1])?;
    let signals = stage.registry.register_owned(signals, stage.token(0), Interest::READABLE)?;
    let mut act = Signalled { signals, sent: 0, counted: 0 };
    act.send()?;
    stage.say("a signal is sent, and another when it has come")?;
    Ok(Box::new(act))
}

impl Signalled {
    fn send(&mut self) -> anyhow::Result<()> {
        process::send_signal(std::process::id(), Signal::USER1.as_raw())?;
        self.sent += 1;
        Ok(())
    }
}

impl Act for Signalled {
    fn name(&self) -> &'static str {
        "signal"
    }

    fn promise(&self) -> &'static str {
        "every signal is counted, and ends nothing"
    }

    fn ready(&mut self, _: &Event, _: usize, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        for delivery in self.signals.pending() {
            self.counted += delivery.count;
            stage.say(format_args!("{} × {}", delivery.count, delivery.signal))?;
        }
        if self.counted == self.sent && self.sent < SENT {
            self.send()?;
        }
        Ok(())
    }

    fn missing(&self) -> String {
        match SENT.saturating_sub(self.counted) {
            0 => String::new(),
            count => format!("{count} signals"),
        }
    }
}
