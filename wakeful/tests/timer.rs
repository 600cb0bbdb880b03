//! A timer of the kernel as a source, on every backend and in other loops.

#![cfg(unix)]

mod common;

use std::io::ErrorKind;
use std::time::{Duration, Instant, SystemTime};

use common::{DEADLINE, Loop, QUIET, every_backend};
use wakeful::time::{Clock, Timer};
use wakeful::{Interest, Token, Trigger};

const MS: Duration = Duration::from_millis(1);
const TOKEN: Token = Token(7);

every_backend! {
    fn expires_once(backend) {
        for trigger in [Trigger::Edge, Trigger::Level, Trigger::Oneshot] {
            let mut events = Loop::new(backend);
            let interest = Interest::READABLE.with_trigger(trigger);
            let timer = Timer::new().unwrap();
            let mut timer = events.registry().register_owned(timer, TOKEN, interest).unwrap();
            events.expect_silence();
            for delay in [MS, Duration::ZERO, 2 * MS] {
                let start = Instant::now();
                timer.set_after(delay).unwrap();
                events.expect_readable(TOKEN);
                assert!(start.elapsed() >= delay);
                assert_eq!(timer.expirations().unwrap(), 1);
                assert_eq!(timer.expirations().unwrap_err().kind(), ErrorKind::WouldBlock);
                timer.rearm(interest).unwrap();
                events.expect_silence();
            }
        }
    }

    /// However late they are read, none is lost.
    fn periods_are_counted(backend) {
        let mut events = Loop::new(backend);
        let timer = Timer::new().unwrap();
        let timer = events.registry().register_owned(timer, TOKEN, Interest::READABLE).unwrap();
        let start = Instant::now();
        timer.set_interval(2 * MS).unwrap();
        let mut count = 0;
        for _ in 0..5 {
            events.expect_readable(TOKEN);
            std::thread::sleep(5 * MS);
            count += timer.expirations().unwrap();
        }
        let passed = start.elapsed().as_millis() as u64 / 2;
        // The last may have expired between the two looks at the clock.
        assert!((5..=passed).contains(&count), "{count} of {passed}");
        timer.disarm().unwrap();
        let _ = timer.expirations();
        events.expect_silence();
    }

    fn one_reading_is_enough(backend) {
        let mut events = Loop::new(backend);
        let timer = Timer::new().unwrap();
        let timer = events.registry().register_owned(timer, TOKEN, Interest::READABLE).unwrap();
        timer.set_interval(MS).unwrap();
        for _ in 0..5 {
            events.expect_readable(TOKEN);
            assert!(timer.expirations().unwrap() >= 1);
        }
        // Setting forgets what was not read.
        events.expect_readable(TOKEN);
        timer.set_after(MS).unwrap();
        events.expect_readable(TOKEN);
        assert_eq!(timer.expirations().unwrap(), 1);
    }

    fn at_a_time_on_each_clock(backend) {
        let mut events = Loop::new(backend);
        let wall = Timer::with_clock(Clock::Wall).unwrap();
        let wall = events.registry().register_owned(wall, Token(0), Interest::READABLE).unwrap();
        let boot = match Timer::with_clock(Clock::Boot) {
            Err(error) if error.kind() == ErrorKind::Unsupported => Timer::new().unwrap(),
            boot => boot.unwrap(),
        };
        let boot = events.registry().register_owned(boot, Token(1), Interest::READABLE).unwrap();
        let monotonic = Timer::new().unwrap();
        let monotonic =
            events.registry().register_owned(monotonic, Token(2), Interest::READABLE).unwrap();
        wall.set_at(SystemTime::now() + 2 * MS).unwrap();
        events.expect_readable(Token(0));
        assert_eq!(wall.expirations().unwrap(), 1);
        boot.set_after(2 * MS).unwrap();
        events.expect_readable(Token(1));
        assert_eq!(boot.expirations().unwrap(), 1);
        let deadline = Instant::now() + 2 * MS;
        monotonic.set_deadline(deadline).unwrap();
        events.expect_readable(Token(2));
        assert!(Instant::now() >= deadline);
        // What has passed expires at once.
        monotonic.set_deadline(deadline).unwrap();
        events.expect_readable(Token(2));
        wall.set_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
        events.expect_readable(Token(0));
    }
}

#[test]
fn bad_input_is_an_error_that_says_what_to_do() {
    let timer = Timer::new().unwrap();
    let error = timer.set_interval(Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("at least"), "{error}");
    assert_eq!(timer.set_at(SystemTime::now()).unwrap_err().kind(), ErrorKind::InvalidInput);
    let wall = Timer::with_clock(Clock::Wall).unwrap();
    assert_eq!(wall.set_deadline(Instant::now()).unwrap_err().kind(), ErrorKind::InvalidInput);
    let before = SystemTime::UNIX_EPOCH - MS;
    assert_eq!(wall.set_at(before).unwrap_err().kind(), ErrorKind::InvalidInput);
    // As long as can be said.
    timer.set_after(Duration::MAX).unwrap();
    assert_eq!(timer.expirations().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn timers_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<Timer>();
    let timer = Timer::new().unwrap();
    timer.set_after(QUIET).unwrap();
    let start = Instant::now();
    let count = std::thread::spawn(move || {
        loop {
            match timer.expirations() {
                Ok(count) => return count,
                Err(_) => assert!(start.elapsed() < DEADLINE),
            }
        }
    });
    assert_eq!(count.join().unwrap(), 1);
}
