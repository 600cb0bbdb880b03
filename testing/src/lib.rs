//! How the tests start commands: isolated from what started the tests, and never left behind.

use std::io;
use std::ops::{Deref, DerefMut};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Output};

/// Starting a command whose behaviour is to depend on the test alone.
pub trait Isolated {
    /// Gives the command every signal's default action, whatever the tests have inherited: a shell's
    /// background job ignores `SIGINT`, nohup(1) `SIGHUP`. (The mask and `SIGPIPE` are std's to
    /// reset.) On Linux the command is killed when the thread that starts it ends.
    fn isolated(&mut self) -> &mut Self;

    /// Starts the [isolated](Isolated::isolated) command in a process group of its own, which is
    /// killed when the value is dropped: by a test that fails, too.
    ///
    /// # Panics
    ///
    /// If the command cannot be started.
    #[track_caller]
    fn start(&mut self) -> Running;
}

impl Isolated for Command {
    fn isolated(&mut self) -> &mut Command {
        // SAFETY: between fork and exec only calls are made that are async-signal-safe.
        unsafe { self.pre_exec(reset) }
    }

    fn start(&mut self) -> Running {
        let command = self.isolated().process_group(0);
        Running(command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}")))
    }
}

/// Sets every signal to its default action. Async-signal-safe.
fn reset() -> io::Result<()> {
    // There is none above on any system. SIGKILL, SIGSTOP and those of the C library are refused.
    for signal in 1..=64 {
        // SAFETY: the default action is one for every signal.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    #[cfg(target_os = "linux")]
    // SAFETY: integers only. The call changes this process alone, which is the child.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
    Ok(())
}

/// A child in a process group of its own, which is killed when this is dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Waits for the end of the child, and collects what it prints.
    ///
    /// # Errors
    ///
    /// Those of reading, and of waiting.
    pub fn output(mut self) -> io::Result<Output> {
        // std's own takes the child by value, which here has a destructor.
        drop(self.0.stdin.take());
        let (stdout, stderr) = (self.0.stdout.take(), self.0.stderr.take());
        let errors = std::thread::spawn(move || read(stderr));
        let stdout = read(stdout)?;
        let stderr = errors.join().unwrap_or_else(|_| Ok(Vec::new()))?;
        Ok(Output { status: self.wait()?, stdout, stderr })
    }

    /// Waits for the end of the child. What it has started in its group goes on until the value is
    /// dropped.
    ///
    /// # Errors
    ///
    /// Those of waitpid(2).
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait()
    }
}

fn read(pipe: Option<impl io::Read>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut bytes))?;
    Ok(bytes)
}

impl Deref for Running {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The number is the group's for as long as the child is not waited for, or one of its
        // children is left. Afterwards there is a moment in which it could be another's; numbers are
        // given out in turn, so that takes a whole round.
        // SAFETY: integers only.
        unsafe { libc::kill(-(self.0.id() as libc::pid_t), libc::SIGKILL) };
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
