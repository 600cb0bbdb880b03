//! Signals: each is counted, whichever thread it comes to, and the last to go leaves no trace.

#![cfg(unix)]

mod common;

use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use common::{DEADLINE, Loop, QUIET, every_backend};
use wakeful::signal::{BlockedSignals, Signal, Signals};
use wakeful::{Interest, Token, Trigger};

const TOKEN: Token = Token(9);

/// Handlers are the process's, so one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends to this very thread: delivered when it returns.
fn raise(signal: Signal) {
    // SAFETY: every signal that is raised here has a handler.
    assert_eq!(unsafe { libc::raise(signal.as_raw()) }, 0);
}

fn action(signal: Signal) -> usize {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: the second argument may be null, and the third is valid for the write of one struct.
    let result = unsafe { libc::sigaction(signal.as_raw(), std::ptr::null(), action.as_mut_ptr()) };
    assert_eq!(result, 0);
    // SAFETY: the call succeeded, so it is filled.
    unsafe { action.assume_init() }.sa_sigaction
}

/// Polls past interruptions until the signals are readable, and tells them.
fn pending(events: &mut Loop, signals: &Signals) -> Vec<(Signal, u32)> {
    loop {
        match events.poll.poll(&mut events.events, Some(DEADLINE)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result.unwrap(),
        }
        assert!(events.events.iter().any(|event| event.token() == TOKEN && event.is_readable()));
        return signals.pending().iter().map(|it| (it.signal, it.count)).collect();
    }
}

every_backend! {
    fn counted_per_signal(backend) {
        let _alone = alone();
        for trigger in [Trigger::Edge, Trigger::Level] {
            let mut events = Loop::new(backend);
            let interest = Interest::READABLE.with_trigger(trigger);
            let signals = Signals::new([Signal::USER1, Signal::USER2, Signal::HANGUP]).unwrap();
            let signals = events.registry().register_owned(signals, TOKEN, interest).unwrap();
            events.expect_silence();
            for _ in 0..2 {
                for _ in 0..3 {
                    raise(Signal::USER1);
                }
                raise(Signal::HANGUP);
                let found = pending(&mut events, &signals);
                assert_eq!(found, [(Signal::HANGUP, 1), (Signal::USER1, 3)]);
                assert_eq!(signals.pending(), []);
                events.expect_silence();
            }
        }
    }

    /// Sent to the process, and to other threads, none of which blocks anything.
    fn whichever_thread_they_come_to(backend) {
        let _alone = alone();
        let mut events = Loop::new(backend);
        let signals = Signals::new([Signal::USER1]).unwrap();
        // Forgotten, and so never dropped: what was sent to the process may come after this test.
        std::mem::forget(Signals::new([Signal::USER1]).unwrap());
        let signals = events.registry().register_owned(signals, TOKEN, Interest::READABLE).unwrap();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    raise(Signal::USER1);
                    // SAFETY: the signal has a handler.
                    unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) };
                });
            }
        });
        // The last may still be on its way, and the kernel merges those that have not been delivered.
        let mut count = 0;
        while count < 4 {
            count += pending(&mut events, &signals).iter().map(|(_, count)| count).sum::<u32>();
        }
        assert!(count <= 6);
    }

    fn several_count_the_same(backend) {
        let _alone = alone();
        let mut events = Loop::new(backend);
        let before = action(Signal::USER2);
        let first = Signals::new([Signal::USER2]).unwrap();
        let second = Signals::new([Signal::USER2]).unwrap();
        second.add(Signal::USER2).unwrap();
        let second = events.registry().register_owned(second, TOKEN, Interest::READABLE).unwrap();
        raise(Signal::USER2);
        assert_eq!(first.pending().len(), 1);
        assert_eq!(pending(&mut events, &second), [(Signal::USER2, 1)]);
        drop(first);
        raise(Signal::USER2);
        assert_eq!(pending(&mut events, &second), [(Signal::USER2, 1)]);
        assert_ne!(action(Signal::USER2), before);
        second.remove(Signal::USER2).unwrap();
        assert_eq!(action(Signal::USER2), before, "the last puts back what was there");
    }
}

#[test]
fn what_was_there_before_is_called_and_comes_back() {
    static CALLED: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn earlier(_: libc::c_int) {
        CALLED.fetch_add(1, Ordering::SeqCst);
    }

    let _alone = alone();
    // SAFETY: the handler only adds to an atomic, which is async-signal-safe.
    unsafe { libc::signal(libc::SIGALRM, earlier as *const () as libc::sighandler_t) };
    let before = action(Signal::ALARM);
    let signals = Signals::new([Signal::ALARM]).unwrap();
    raise(Signal::ALARM);
    assert_eq!((signals.pending().len(), CALLED.load(Ordering::SeqCst)), (1, 1));
    drop(signals);
    assert_eq!(action(Signal::ALARM), before);
    raise(Signal::ALARM);
    assert_eq!(CALLED.load(Ordering::SeqCst), 2);

    // Who replaced the handler meanwhile keeps it.
    let signals = Signals::new([Signal::ALARM]).unwrap();
    // SAFETY: to ignore a signal is always possible.
    unsafe { libc::signal(libc::SIGALRM, libc::SIG_IGN) };
    drop(signals);
    assert_eq!(action(Signal::ALARM), libc::SIG_IGN);
    // SAFETY: as above; it is as it was before this test.
    unsafe { libc::signal(libc::SIGALRM, libc::SIG_DFL) };
}

/// Somebody puts a handler over ours and passes on to it; then ours go and others come.
#[test]
fn a_handler_over_ours_makes_no_circle() {
    static OURS: AtomicUsize = AtomicUsize::new(0);
    static CALLED: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn over(signal: libc::c_int) {
        CALLED.fetch_add(1, Ordering::SeqCst);
        // SAFETY: it is the address of the handler that was in force, which takes up to three arguments.
        let ours: extern "C" fn(libc::c_int, usize, usize) =
            unsafe { std::mem::transmute(OURS.load(Ordering::SeqCst)) };
        ours(signal, 0, 0);
    }

    let _alone = alone();
    let first = Signals::new([Signal::WINDOW_CHANGE]).unwrap();
    OURS.store(action(Signal::WINDOW_CHANGE), Ordering::SeqCst);
    // SAFETY: the handler adds to an atomic and calls one that is async-signal-safe.
    unsafe { libc::signal(libc::SIGWINCH, over as *const () as libc::sighandler_t) };
    raise(Signal::WINDOW_CHANGE);
    assert_eq!((first.pending().len(), CALLED.load(Ordering::SeqCst)), (1, 1));
    drop(first);
    raise(Signal::WINDOW_CHANGE);
    let second = Signals::new([Signal::WINDOW_CHANGE]).unwrap();
    raise(Signal::WINDOW_CHANGE);
    assert_eq!((second.pending()[0].count, CALLED.load(Ordering::SeqCst)), (1, 3));
    drop(second);

    // Over nothing at all they can be put again.
    // SAFETY: to ignore a signal is always possible.
    unsafe { libc::signal(libc::SIGWINCH, libc::SIG_IGN) };
    let third = Signals::new([Signal::WINDOW_CHANGE]).unwrap();
    raise(Signal::WINDOW_CHANGE);
    assert_eq!(third.pending().len(), 1);
    drop(third);
    assert_eq!(action(Signal::WINDOW_CHANGE), libc::SIG_IGN);
}

/// A child that was forked and executes nothing: what comes to it stays with it.
#[test]
fn a_forked_child_does_not_reach_its_parent() {
    let _alone = alone();
    let mut events = Loop::new(wakeful::Backend::available()[0]);
    let signals = Signals::new([Signal::USER1]).unwrap();
    let signals = events.registry().register_owned(signals, TOKEN, Interest::READABLE).unwrap();
    // SAFETY: the child makes system calls only, and ends without running anything of Rust's.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as above; the signal has the handler it inherited.
        unsafe {
            libc::raise(libc::SIGUSR1);
            libc::_exit(0);
        }
    }
    let mut status = 0;
    // SAFETY: `status` is valid for the write of one integer. The child ends by itself.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0);
    let start = std::time::Instant::now();
    while start.elapsed() < QUIET {
        match events.poll.poll(&mut events.events, Some(QUIET)) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted),
            Ok(()) => assert!(events.events.is_empty()),
        }
    }
    assert_eq!(signals.pending(), []);
    raise(Signal::USER1);
    assert_eq!(pending(&mut events, &signals), [(Signal::USER1, 1)]);
}

/// Closing waits for handlers on other threads: none writes to a descriptor that is something else by
/// then.
#[test]
fn dropped_under_a_stream_of_signals() {
    let _alone = alone();
    let keeps = Signals::new([Signal::USER2]).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    raise(Signal::USER2);
                }
            });
        }
        let mut silent = true;
        for _ in 0..100 {
            // Most likely with the descriptors that were just closed, and there for a late writer to find.
            let pipes: Vec<_> = (0..100)
                .map(|_| {
                    drop(Signals::new([Signal::USER2]).unwrap());
                    wakeful_kernel::pipe::pipe().unwrap()
                })
                .collect();
            silent &= pipes.iter().all(|(reader, _writer)| {
                wakeful_kernel::descriptor::read(reader, &mut [0; 8]).is_err()
            });
        }
        stop.store(true, Ordering::Relaxed);
        assert!(silent, "somebody wrote to a descriptor that is something else by now");
    });
    assert!(keeps.pending()[0].count > 0);
}

#[test]
fn what_cannot_be_handled_is_an_error_that_says_so() {
    let _alone = alone();
    for (number, word) in
        [(libc::SIGKILL, "SIGTERM"), (libc::SIGSEGV, "fault"), (0, "SIGRTMAX"), (4711, "SIGRTMAX")]
    {
        let error = Signals::new([Signal::from_raw(number)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(word), "{error}");
    }
    let error = "NOSUCH".parse::<Signal>().unwrap_err();
    assert!(error.to_string().contains("SIGINT"), "{error}");
    assert_eq!("10".parse::<Signal>().unwrap(), Signal::USER1);
    assert_eq!("sighup".parse::<Signal>().unwrap(), Signal::HANGUP);
    assert_eq!(format!("{:?} {}", Signal::CHILD, Signal::from_raw(63)), "SIGCHLD signal 63");
}

/// Who sent it, for a program that blocks it everywhere.
#[test]
fn blocked_signals_tell_their_sender() {
    let _alone = alone();
    // Of a signal that nothing else here uses, and sent to this thread, the others of which block nothing.
    let signal = Signal::from_raw(libc::SIGURG);
    let signals = match BlockedSignals::new([signal]) {
        Err(error) if error.kind() == ErrorKind::Unsupported => return,
        signals => signals.unwrap(),
    };
    for backend in wakeful::Backend::available() {
        let mut events = Loop::new(*backend);
        let interest = Interest::READABLE;
        let mut source = wakeful::unix::SourceFd(&signals.as_raw_fd());
        for _ in 0..2 {
            events.registry().register(&mut source, TOKEN, interest).unwrap();
            raise(signal);
            raise(signal);
            events.expect_readable(TOKEN);
            let received = signals.receive().unwrap();
            assert_eq!((received.signal, received.sender_pid), (signal, std::process::id()));
            #[cfg(target_os = "linux")]
            assert_eq!(received.code, libc::SI_TKILL);
            assert_eq!(signals.receive().unwrap_err().kind(), ErrorKind::WouldBlock);
            events.registry().deregister(&mut source).unwrap();
        }
    }
    // What is pending does not come after all.
    let counter = Signals::new([signal]).unwrap();
    raise(signal);
    drop(signals);
    assert_eq!(counter.pending(), []);
    raise(signal);
    assert_eq!(counter.pending().len(), 1, "let through again");

    // Exchanged for one that takes more: never let through in between, and nothing of it lost.
    let signals = BlockedSignals::new([signal]).unwrap();
    let more = BlockedSignals::new([signal, Signal::from_raw(libc::SIGWINCH)]).unwrap();
    raise(signal);
    drop(signals);
    assert_eq!(more.receive().unwrap().signal, signal);
    raise(signal);
    assert_eq!(counter.pending(), []);
    assert_eq!(more.receive().unwrap().signal, signal);
    drop(more);
    raise(signal);
    assert_eq!(counter.pending().len(), 1);

    for (number, word) in [(libc::SIGKILL, "SIGTERM"), (0, "sigaddset")] {
        let error = BlockedSignals::new([Signal::from_raw(number)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn signals_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<Signals>();
    crosses::<BlockedSignals>();
}
