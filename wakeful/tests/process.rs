//! Processes that end: exactly one outcome, whenever they are registered, whoever else waits for them, and
//! whether or not the kernel has descriptors of processes.

#![cfg(target_os = "linux")]

mod common;

use std::io::ErrorKind;
use std::process::{Child, Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use common::{DEADLINE, Loop, QUIET, every_backend};
use wakeful::process::{Exit, Outcome};
use wakeful::signal::Signal;
use wakeful::{Interest, Registered, Token, Trigger};
use wakeful_testing::Isolated;

const TOKEN: Token = Token(5);

/// What to do about SIGCHLD is the process's: who changes it is alone.
static SIGCHLD: RwLock<()> = RwLock::new(());

fn together() -> RwLockReadGuard<'static, ()> {
    SIGCHLD.read().unwrap_or_else(PoisonError::into_inner)
}

fn alone() -> RwLockWriteGuard<'static, ()> {
    SIGCHLD.write().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a test with pidfds, and again on a thread where a sandbox refuses them.
fn with_and_without_pidfds(test: impl Fn()) {
    test();
    refuse_pidfds();
    test();
}

/// From here on this thread gets `EPERM` for pidfd_open(2), as in many containers.
fn refuse_pidfds() {
    let statement = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    // The number of the system call is the first word of what the filter is given.
    let mut filter = [
        statement(LOAD_WORD, 0, 0, 0),
        statement(JUMP_IF_EQUAL, 0, 1, libc::SYS_pidfd_open as u32),
        statement(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        statement(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program is valid for both calls, which read it and hold for this thread alone.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program), 0);
    }
}

fn shell(script: &str) -> Child {
    Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).isolated().spawn().unwrap()
}

/// Polls past interruptions, and events that find nothing.
#[track_caller]
fn outcome(events: &mut Loop, exit: &Registered<Exit>) -> Outcome {
    let start = Instant::now();
    while start.elapsed() < DEADLINE {
        match events.poll.poll(&mut events.events, Some(DEADLINE)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result.unwrap(),
        }
        for event in &events.events {
            assert!(event.token() == TOKEN && event.is_readable(), "{event:?}");
        }
        if let Some(outcome) = exit.try_wait().unwrap() {
            assert_eq!(exit.try_wait().unwrap(), Some(outcome), "it stays");
            return outcome;
        }
    }
    panic!("no outcome");
}

#[track_caller]
fn code(outcome: Outcome) -> i32 {
    match outcome {
        Outcome::Status(status) => status.code().expect("ended by a signal"),
        outcome => panic!("{outcome:?}"),
    }
}

/// Waits until the process has ended, and leaves it to be waited for.
fn ended(pid: u32) {
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `info` is valid for the write of one struct.
    let result =
        unsafe { libc::waitid(libc::P_PID, pid, info.as_mut_ptr(), libc::WEXITED | libc::WNOWAIT) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Waits for a child behind the back of whoever owns it.
fn reap(pid: u32) {
    // SAFETY: the call takes integers and a pointer that may be null.
    let result = unsafe { libc::waitpid(pid as i32, std::ptr::null_mut(), 0) };
    assert_eq!(result, pid as i32);
}

every_backend! {
    fn a_child_ends(backend) {
        let _together = together();
        with_and_without_pidfds(|| {
            for trigger in [Trigger::Edge, Trigger::Level, Trigger::Oneshot] {
                let mut events = Loop::new(backend);
                let mut child = shell("read line; exit 7");
                let stdin = child.stdin.take();
                let exit = Exit::new(child).unwrap();
                let interest = Interest::READABLE.with_trigger(trigger);
                let mut exit = events.registry().register_owned(exit, TOKEN, interest).unwrap();
                assert_eq!(exit.try_wait().unwrap(), None);
                drop(stdin);
                if trigger == Trigger::Oneshot {
                    // Another child's SIGCHLD may be reported first.
                    while exit.try_wait().unwrap().is_none() {
                        exit.rearm(Interest::READABLE).unwrap();
                        let _ = events.poll.poll(&mut events.events, Some(QUIET));
                    }
                    assert_eq!(code(exit.try_wait().unwrap().unwrap()), 7);
                } else {
                    assert_eq!(code(outcome(&mut events, &exit)), 7);
                }
                let mut child = exit.deregister().unwrap().into_child().unwrap();
                assert_eq!(child.wait().unwrap().code(), Some(7), "std's own handle knows it too");
            }
        });
    }

    fn it_has_ended_before_it_is_registered(backend) {
        let _together = together();
        with_and_without_pidfds(|| {
            let mut events = Loop::new(backend);
            let child = shell("exit 3");
            ended(child.id());
            let exit = Exit::new(child).unwrap();
            let exit = events.registry().register_owned(exit, TOKEN, Interest::READABLE).unwrap();
            assert_eq!(code(outcome(&mut events, &exit)), 3);
            drop(exit);

            let mut child = shell("read line; exit 4");
            let stdin = child.stdin.take();
            let exit = Exit::new(child).unwrap();
            drop(stdin);
            ended(exit.pid());
            let exit = events.registry().register_owned(exit, TOKEN, Interest::READABLE).unwrap();
            assert_eq!(code(outcome(&mut events, &exit)), 4);
            let exit = exit.deregister().unwrap();
            let _exit = events.registry().register_owned(exit, TOKEN, Interest::READABLE).unwrap();
            loop {
                match events.poll.poll(&mut events.events, Some(DEADLINE)) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    result => break result.unwrap(),
                }
            }
            assert_eq!(events.events.iter().count(), 1, "readable from then on");
        });
    }

    fn somebody_else_has_waited(backend) {
        let _together = together();
        with_and_without_pidfds(|| {
            let mut events = Loop::new(backend);
            let child = shell("exit 3");
            reap(child.id());
            let exit = Exit::new(child).unwrap();
            let exit = events.registry().register_owned(exit, TOKEN, Interest::READABLE).unwrap();
            assert_eq!(outcome(&mut events, &exit), Outcome::Unknown);
            assert_eq!(exit.send_signal(Signal::USER1).unwrap_err().raw_os_error(), Some(libc::ESRCH));
            drop(exit);

            let mut child = shell("read line");
            let stdin = child.stdin.take();
            let exit = Exit::new(child).unwrap();
            let exit = events.registry().register_owned(exit, TOKEN, Interest::READABLE).unwrap();
            drop(stdin);
            reap(exit.pid());
            assert_eq!(outcome(&mut events, &exit), Outcome::Unknown);
            assert_eq!(exit.send_signal(Signal::USER1).unwrap_err().raw_os_error(), Some(libc::ESRCH));
        });
    }

    fn sigchld_is_ignored(backend) {
        let _alone = alone();
        with_and_without_pidfds(|| {
            let mut events = Loop::new(backend);
            // SAFETY: to ignore a signal is always possible.
            unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
            let mut child = shell("read line; exit 3");
            let stdin = child.stdin.take();
            let exit = Exit::new(child).unwrap();
            let exit = events.registry().register_owned(exit, TOKEN, Interest::READABLE).unwrap();
            drop(stdin);
            // Without pidfds there is a handler, and the status after all.
            match outcome(&mut events, &exit) {
                Outcome::Unknown => assert!(Exit::observe(1).is_ok()),
                outcome => {
                    assert!(Exit::observe(1).is_err());
                    assert_eq!(code(outcome), 3);
                }
            }
            drop(exit);

            // And one that is gone before anybody looks.
            let child = shell("exit 3");
            while wakeful_kernel::process::send_signal(child.id(), 0).is_ok() {
                std::thread::yield_now();
            }
            let exit = Exit::new(child).unwrap();
            let exit = events.registry().register_owned(exit, TOKEN, Interest::READABLE).unwrap();
            assert_eq!(outcome(&mut events, &exit), Outcome::Unknown);
            // SAFETY: it is as it was before.
            unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
        });
    }

    fn each_of_many_has_its_own_outcome(backend) {
        let _together = together();
        with_and_without_pidfds(|| {
            let mut events = Loop::new(backend);
            let exits: Vec<_> = (0..20)
                .map(|number| {
                    let exit = Exit::new(shell(&format!("exit {number}"))).unwrap();
                    let token = Token(number);
                    events.registry().register_owned(exit, token, Interest::READABLE).unwrap()
                })
                .collect();
            let mut codes = vec![None; exits.len()];
            let start = Instant::now();
            while codes.contains(&None) && start.elapsed() < DEADLINE {
                match events.poll.poll(&mut events.events, Some(DEADLINE)) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    result => result.unwrap(),
                }
                for event in &events.events {
                    let Token(number) = event.token();
                    codes[number] = codes[number].or(exits[number].try_wait().unwrap().map(code));
                }
            }
            assert_eq!(codes, (0..20).map(Some).collect::<Vec<_>>());
        });
    }

    /// Without pidfds: another child's SIGCHLD finds nothing, and is over.
    fn a_stranger_ends(backend) {
        let _alone = alone();
        refuse_pidfds();
        let mut events = Loop::new(backend);
        let mut child = shell("read line");
        let stdin = child.stdin.take();
        let exit = Exit::new(child).unwrap();
        let interest = Interest::READABLE.with_trigger(Trigger::Level);
        let exit = events.registry().register_owned(exit, TOKEN, interest).unwrap();
        // SAFETY: the signal has a handler, and does nothing by itself anyway.
        unsafe { libc::raise(libc::SIGCHLD) };
        events.expect_readable(TOKEN);
        assert_eq!(exit.try_wait().unwrap(), None);
        events.expect_silence();
        drop(stdin);
        assert_eq!(code(outcome(&mut events, &exit)), 1);
    }

    fn a_signal_ends_it(backend) {
        let _together = together();
        with_and_without_pidfds(|| {
            use std::os::unix::process::ExitStatusExt;
            let mut events = Loop::new(backend);
            let exit = Exit::new(shell("read line")).unwrap();
            let exit = events.registry().register_owned(exit, TOKEN, Interest::READABLE).unwrap();
            exit.send_signal(Signal::TERMINATE).unwrap();
            match outcome(&mut events, &exit) {
                Outcome::Status(status) => assert_eq!(status.signal(), Some(libc::SIGTERM)),
                outcome => panic!("{outcome:?}"),
            }
            assert_eq!(exit.send_signal(Signal::TERMINATE).unwrap_err().raw_os_error(), Some(libc::ESRCH));
        });
    }

    fn observed_it_is_left_to_its_parent(backend) {
        let _alone = alone();
        let mut events = Loop::new(backend);
        let mut child = shell("read line; exit 9");
        let exit = Exit::observe(child.id()).unwrap();
        let exit = events.registry().register_owned(exit, TOKEN, Interest::READABLE).unwrap();
        assert_eq!(exit.try_wait().unwrap(), None);
        events.expect_silence();
        drop(child.stdin.take());
        assert_eq!(code(outcome(&mut events, &exit)), 9);
        assert_eq!(child.wait().unwrap().code(), Some(9));
    }

    /// Its parent is the shell, which waits for it, so that nobody else can tell how it ended.
    fn a_process_that_is_no_child(backend) {
        use std::io::{BufRead, BufReader};
        let _alone = alone();
        let mut events = Loop::new(backend);
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 60 & echo $!; wait; read line"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .start();
        let mut line = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let exit = Exit::observe(line.trim().parse().unwrap()).unwrap();
        let exit = events.registry().register_owned(exit, TOKEN, Interest::READABLE).unwrap();
        assert_eq!(exit.try_wait().unwrap(), None);
        events.expect_silence();
        exit.send_signal(Signal::TERMINATE).unwrap();
        assert_eq!(outcome(&mut events, &exit), Outcome::Unknown);
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }
}

#[test]
fn bad_input_is_an_error_that_says_what_to_do() {
    let _together = together();
    for pid in [0, u32::MAX] {
        let error = Exit::observe(pid).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("1 to 2147483647"), "{error}");
    }
    let mut child = shell("exit 0");
    child.wait().unwrap();
    assert_eq!(Exit::observe(child.id()).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    std::thread::spawn(|| {
        refuse_pidfds();
        let error = Exit::observe(1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("Exit::new"), "{error}");
    })
    .join()
    .unwrap();
}

/// Whose number is another child's by now: that one is left alone.
#[test]
fn a_child_that_was_waited_for() {
    let _together = together();
    let mut child = shell("exit 5");
    child.wait().unwrap();
    let exit = Exit::new(child).unwrap();
    assert_eq!(code(exit.try_wait().unwrap().unwrap()), 5);
    let error = exit.send_signal(Signal::TERMINATE).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
}

#[test]
fn exits_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<Exit>();
    crosses::<Outcome>();
}
