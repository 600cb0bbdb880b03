use super::{Description, Filter, Subject};
use crate::kqueue::{BuildError, System};

bitflags::bitflags! {
    /// What a process does. The bits are this crate's; each system has its own.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct ProcessEvents: u32 {
        /// `NOTE_EXIT`—It has ended.
        const EXIT = 1;
        /// `NOTE_FORK`—It has forked. Not with the emulation.
        const FORK = 2;
        /// `NOTE_EXEC`—It has executed another program. Not with the emulation.
        const EXEC = 4;
        /// `NOTE_TRACK`—Follow its children, too. Not on macOS.
        const TRACK = 8;
        /// `NOTE_TRACKERR`—Reported only: a child could not be followed.
        const TRACK_FAILED = 0x10;
        /// `NOTE_CHILD`—Reported only: it is the child of one that is followed, whose number is in the data.
        const CHILD = 0x20;
        /// `NOTE_SIGNAL`—It was sent a signal. macOS.
        const SIGNAL = 0x40;
        /// `NOTE_EXITSTATUS`—With its status when it has ended. macOS, for children only; the others always
        /// tell it.
        const EXIT_STATUS = 0x80;
    }
}

/// `EVFILT_PROC`—A process ends, forks, or executes another program.
///
/// It is told of once when it ends, whichever mode is asked for. `ESRCH` when it is added: it has ended. A
/// waitpid(2) that does not wait may find nothing for a moment after the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pid: libc::pid_t,
    events: ProcessEvents,
}

impl Process {
    /// Of a process by its number, and what of it.
    pub fn new(pid: libc::pid_t, events: ProcessEvents) -> Process {
        Process { pid, events }
    }
}

impl Subject for Process {
    fn describe(&self, system: &System) -> Result<Description, BuildError> {
        // A number that is none is refused by the kernel.
        let mut description = Description::new(system, Filter::Process, self.pid as usize)?;
        for event in self.events.iter() {
            match system.process.iter().find(|&&(it, _)| it == event) {
                Some(&(_, bit)) => description.fflags |= bit,
                // Told there without being asked for.
                None if event == ProcessEvents::EXIT_STATUS => {}
                None => {
                    let missing =
                        Some(event.iter_names().next().map_or("such event", |(name, _)| name));
                    return Err(BuildError { filter: Filter::Process, missing });
                }
            }
        }
        Ok(description)
    }
}
