//! A child that ends.

use std::process::{Command, Stdio};

use wakeful::event::Event;
use wakeful::process::{Exit, Outcome};
use wakeful::{Interest, Registered};

use super::{Act, Stage};

/// What the child ends with.
const STATUS: i32 = 7;

struct Process {
    exit: Registered<Exit>,
    outcome: Option<Outcome>,
}

pub(super) fn begin(stage: &mut Stage<'_>) -> anyhow::Result<Box<dyn Act>> {
    let mut command = Command::new("sh");
    command.args(["-c", "sleep 0.03; exit 7"]).stdin(Stdio::null());
    let exit = Exit::new(command.spawn()?)?;
    stage.say(format_args!("process {} is started, and will end with 7", exit.pid()))?;
    let exit = stage.registry.register_owned(exit, stage.token(0), Interest::READABLE)?;
    Ok(Box::new(Process { exit, outcome: None }))
}

impl Act for Process {
    fn name(&self) -> &'static str {
        "process"
    }

    fn promise(&self) -> &'static str {
        "the end of a child is an event, with its status"
    }

    fn ready(&mut self, _: &Event, _: usize, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        let before = self.outcome;
        self.outcome = self.exit.try_wait()?;
        match self.outcome {
            Some(Outcome::Status(status)) if before.is_none() => stage.say(status)?,
            _ => {}
        }
        Ok(())
    }

    fn missing(&self) -> String {
        match self.outcome {
            Some(Outcome::Status(status)) if status.code() == Some(STATUS) => String::new(),
            Some(outcome) => format!("the status: {outcome:?}"),
            None => "its end".to_owned(),
        }
    }
}
