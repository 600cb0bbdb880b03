//! The interleavings of wakers and poller, explored by loom.
//!
//! `RUSTFLAGS="--cfg wakeful_loom" cargo test -p wakeful --release --lib wake::model`

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::{Wake, Woken};
use crate::Token;
use crate::event::Event;

/// What wakers and poller share, and a kernel that remembers a call until the next wait.
#[derive(Default)]
struct World {
    wake: Wake,
    called: Mutex<bool>,
    rouse: Condvar,
    written: AtomicUsize,
    /// How many waits were ended by a waker without event.
    ended: AtomicUsize,
}

impl World {
    /// One poll, as `Poll::poll` does it; the tokens that were reported.
    fn poll(&self, room: usize) -> Vec<Token> {
        self.poll_and_tell(room).0
    }

    /// And whether it slept, and how many calls more are to come after it.
    fn poll_and_tell(&self, room: usize) -> (Vec<Token>, bool, i32) {
        let mut events = Vec::new();
        let sleep = &self.wake.sleep;
        let sleeps = sleep.fall_asleep();
        if !sleeps {
            return self.poll_awake(room);
        }
        // Without the call this never ends, and loom says so.
        let mut called = self.called.lock().unwrap();
        while !std::mem::take(&mut *called) {
            called = self.rouse.wait(called).unwrap();
        }
        drop(called);
        let woken = sleep.wake_up();
        let left = self.wake.report(&mut events, room, woken, true);
        (self.concluded(events, left, woken), true, calls_to_come(woken, true))
    }

    /// One that does not sleep, and reports some wakers before the kernel has filled its part of the buffer, and the
    /// others after that.
    fn poll_awake(&self, room: usize) -> (Vec<Token>, bool, i32) {
        let mut events = Vec::new();
        let woken = self.wake.sleep.wake_up();
        let left = self.wake.report(&mut events, room.min(1), woken, true);
        // It looks, and may notice the call of before.
        let rang = std::mem::take(&mut *self.called.lock().unwrap());
        let left = self.wake.report(&mut events, room - room.min(1), left, false);
        (self.concluded(events, left, woken), false, calls_to_come(woken, rang))
    }

    fn concluded(&self, events: Vec<Event>, left: Woken, woken: Woken) -> Vec<Token> {
        self.ended.fetch_add(woken.contains(Woken::END).into(), Ordering::Relaxed);
        if !left.is_empty() {
            self.wake.sleep.stay_awake(left);
        }
        let mut tokens: Vec<_> = events.iter().map(|event| event.token()).collect();
        tokens.sort();
        assert!(tokens.windows(2).all(|pair| pair[0] != pair[1]), "{tokens:?}");
        tokens
    }

    fn call(&self) -> std::io::Result<()> {
        *self.called.lock().unwrap() = true;
        self.rouse.notify_one();
        Ok(())
    }
}

/// As `Memory::late` counts them.
fn calls_to_come(woken: Woken, rang: bool) -> i32 {
    i32::from(woken.contains(Woken::CALLED)) - i32::from(rang)
}

/// Each of the wakers wakes once, on a thread of its own; the poller has to hear of all.
fn explore(wakers: usize, room: usize) {
    // With more than one waker, all interleavings with at most two preemptions.
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = (wakers > 1).then_some(2);
    builder.check(move || {
        let world = Arc::new(World::default());
        let threads: Vec<_> = (0..wakers)
            .map(|index| {
                let world = Arc::clone(&world);
                let key = world.wake.add(Token(index));
                thread::spawn(move || {
                    world.written.fetch_add(1, Ordering::Relaxed);
                    world.wake.wake(&key, || world.call()).unwrap();
                })
            })
            .collect();
        let mut seen = vec![0; wakers];
        while seen.contains(&0) {
            for Token(index) in world.poll(room) {
                seen[index] += 1;
            }
            let reported = seen.iter().filter(|&&count| count > 0).count();
            // What was written before a wake-up is visible after its report.
            assert!(world.written.load(Ordering::Relaxed) >= reported);
        }
        assert!(seen.iter().all(|&count| count == 1), "{seen:?}");
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn one_waker() {
    explore(1, 8);
}

#[test]
fn two_wakers() {
    explore(2, 8);
}

#[test]
fn two_wakers_with_room_for_one() {
    explore(2, 1);
}

#[test]
fn three_wakers_with_room_for_one() {
    explore(3, 1);
}

/// Both wake twice. Their reports are of new wake-ups, and the last comes after the last write.
fn explore_twice(room: usize) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(move || {
        let world = Arc::new(World::default());
        let written = [(), ()].map(|()| Arc::new(AtomicUsize::new(0)));
        let threads = [0, 1].map(|index| {
            let (world, written) = (Arc::clone(&world), Arc::clone(&written[index]));
            let key = world.wake.add(Token(index));
            thread::spawn(move || {
                for _ in 0..2 {
                    written.fetch_add(1, Ordering::Relaxed);
                    world.wake.wake(&key, || world.call()).unwrap();
                }
            })
        });
        let (mut reports, mut seen) = ([0; 2], [0; 2]);
        while seen != [2; 2] {
            for Token(index) in world.poll(room) {
                reports[index] += 1;
                seen[index] = written[index].load(Ordering::Relaxed);
                assert!(seen[index] >= reports[index], "{reports:?} of {seen:?}");
            }
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn two_wakers_that_wake_twice() {
    explore_twice(8);
}

#[test]
fn two_wakers_that_wake_twice_with_room_for_one() {
    explore_twice(1);
}

#[test]
fn wake_ups_before_a_report_are_one_event() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let world = Arc::new(World::default());
        let keys = [0, 1, 2].map(|index| Arc::new(world.wake.add(Token(index))));
        for key in &keys[1..] {
            world.wake.wake(key, || world.call()).unwrap();
        }
        // One is reported, the other left over, which two threads wake again.
        let first = world.poll(1);
        let left = 3 - first[0].0;
        let threads = [(), ()].map(|()| {
            let (world, key) = (Arc::clone(&world), Arc::clone(&keys[left]));
            thread::spawn(move || world.wake.wake(&key, || world.call()).unwrap())
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(world.poll(1), [Token(left)]);
        assert!(world.wake.sleep.fall_asleep());
    });
}

#[test]
fn one_waker_that_wakes_again_and_again() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let world = Arc::new(World::default());
        let key = world.wake.add(Token(0));
        let thread = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                for _ in 0..3 {
                    world.written.fetch_add(1, Ordering::Relaxed);
                    world.wake.wake(&key, || world.call()).unwrap();
                }
            })
        };
        // How many calls of the kernel are to come after their report, as `Memory::late` counts them.
        let mut late = 0;
        // The last report comes after the last write, or there is another to come.
        while world.written.load(Ordering::Relaxed) < 3 {
            let was_late = late > 0;
            let (reported, slept, change) = world.poll_and_tell(8);
            late += change;
            // Or a wait with a timeout would be begun again without a clock: see `Memory::wait`.
            assert!(!slept || was_late || !reported.is_empty());
        }
        thread.join().unwrap();
    });
}

#[test]
fn one_that_is_reported_and_one_that_is_not() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let world = Arc::new(World::default());
        let key = world.wake.add(Token(0));
        world.wake.start();
        let reported = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.wake.wake(&key, || world.call()).unwrap())
        };
        let ends = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.wake.end(|| world.call()).unwrap())
        };
        let (mut seen, mut ended, mut late) = (0, 0, 0);
        while seen == 0 || ended == 0 {
            let (was_late, ended_before) = (late > 0, ended);
            let (reported, slept, change) = world.poll_and_tell(8);
            late += change;
            seen += reported.len();
            ended = world.ended.load(Ordering::Relaxed);
            // Or a wait with a timeout would be begun again without a clock: see `Memory::wait`.
            assert!(!slept || was_late || !reported.is_empty() || ended > ended_before);
            assert!(late >= 0, "each call is announced");
        }
        assert_eq!((seen, world.ended.load(Ordering::Relaxed)), (1, 1));
        reported.join().unwrap();
        ends.join().unwrap();
    });
}
