//! The order of events: that in which they were activated, as kqueues of kernels queue them. A
//! level-triggered event goes to the end of the queue when it is reported.

#![cfg(target_os = "linux")]

mod common;

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use common::{DEADLINE, Kqueue, event};
use wakeful_emulation::kqueue::*;

fn pairs<const N: usize>() -> [(UnixStream, UnixStream); N] {
    std::array::from_fn(|_| UnixStream::pair().unwrap())
}

fn ident(stream: &UnixStream) -> usize {
    stream.as_raw_fd() as usize
}

fn found(queue: &Kqueue) -> Vec<(usize, i16)> {
    queue.within(Duration::ZERO).iter().map(|event| (event.ident, event.filter)).collect()
}

/// Events that are true when they are added come in the order of the additions, whatever was
/// reported before.
#[test]
fn events_that_are_true_already() {
    let queue = Kqueue::new();
    let [(a, mut a_far), (b, b_far), (c, mut c_far)] = pairs();
    for _ in 0..3 {
        // As libraries do that register, wait for the first, and register the next.
        queue.change(event(ident(&b_far), EVFILT_WRITE, EV_ADD | EV_ONESHOT));
        assert_eq!(found(&queue), [(ident(&b_far), EVFILT_WRITE)]);
        a_far.write_all(b"x").unwrap();
        c_far.write_all(b"x").unwrap();
        let orders: [&[(usize, i16)]; 3] = [
            &[(ident(&a), EVFILT_READ), (ident(&b), EVFILT_WRITE)],
            &[(ident(&b), EVFILT_WRITE), (ident(&a), EVFILT_READ)],
            &[
                (ident(&c), EVFILT_READ),
                (ident(&a), EVFILT_WRITE),
                (ident(&a), EVFILT_READ),
                (ident(&c), EVFILT_WRITE),
            ],
        ];
        for order in orders {
            for mode in [0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH] {
                for &(ident, filter) in order {
                    queue.change(event(ident, filter, EV_ADD | mode));
                }
                assert_eq!(found(&queue), order, "{mode:#x}");
                for &(ident, filter) in order {
                    let _ = queue.kevent(&[event(ident, filter, EV_DELETE)], &mut [], None);
                }
                // All of them by one call.
                let changes: Vec<_> =
                    order.iter().map(|&(ident, filter)| event(ident, filter, EV_ADD)).collect();
                assert_eq!(queue.kevent(&changes, &mut [], None), Ok(0));
                assert_eq!(found(&queue), order);
                for &(ident, filter) in order {
                    queue.change(event(ident, filter, EV_DELETE));
                }
            }
        }
        (&a).read_exact(&mut [0]).unwrap();
        (&c).read_exact(&mut [0]).unwrap();
    }
}

/// Events of different filters, which happen one after the other.
#[test]
fn one_after_the_other() {
    let queue = Kqueue::new();
    let [(a, mut a_far), (b, mut b_far)] = pairs();
    queue.change(event(7, EVFILT_USER, EV_ADD | EV_CLEAR));
    queue.change(event(ident(&a), EVFILT_READ, EV_ADD | EV_CLEAR));
    queue.change(event(ident(&b), EVFILT_READ, EV_ADD | EV_CLEAR));
    let timer = kevent { data: 1, ..event(1, EVFILT_TIMER, EV_ADD | EV_ONESHOT) };
    let trigger = kevent { fflags: NOTE_TRIGGER, ..event(7, EVFILT_USER, 0) };
    let elapse = || thread::sleep(Duration::from_millis(20));
    let (a_read, b_read) = ((ident(&a), EVFILT_READ), (ident(&b), EVFILT_READ));
    let (timer_over, user) = ((1, EVFILT_TIMER), (7, EVFILT_USER));
    for _ in 0..3 {
        b_far.write_all(b"x").unwrap();
        queue.change(trigger);
        a_far.write_all(b"x").unwrap();
        assert_eq!(found(&queue), [b_read, user, a_read]);

        queue.change(timer);
        elapse();
        b_far.write_all(b"x").unwrap();
        queue.change(trigger);
        assert_eq!(found(&queue), [timer_over, b_read, user]);

        queue.change(trigger);
        queue.change(timer);
        a_far.write_all(b"x").unwrap();
        elapse();
        b_far.write_all(b"x").unwrap();
        assert_eq!(found(&queue), [user, a_read, timer_over, b_read]);
        (&a).read_exact(&mut [0; 2]).unwrap();
        (&b).read_exact(&mut [0; 3]).unwrap();
    }
}

/// An event that was queued keeps its place when it happens again.
#[test]
fn once_in_the_queue() {
    let queue = Kqueue::new();
    let [(a, mut a_far), (b, mut b_far)] = pairs();
    for mode in [0, EV_CLEAR] {
        queue.change(event(ident(&a), EVFILT_READ, EV_ADD | mode));
        queue.change(event(ident(&b), EVFILT_READ, EV_ADD | mode));
        queue.change(event(7, EVFILT_USER, EV_ADD | mode));
        b_far.write_all(b"x").unwrap();
        queue.change(kevent { fflags: NOTE_TRIGGER, ..event(7, EVFILT_USER, 0) });
        a_far.write_all(b"x").unwrap();
        b_far.write_all(b"x").unwrap();
        queue.change(kevent { fflags: NOTE_TRIGGER, ..event(7, EVFILT_USER, 0) });
        let expected = [(ident(&b), EVFILT_READ), (7, EVFILT_USER), (ident(&a), EVFILT_READ)];
        assert_eq!(found(&queue), expected);
        if mode == 0 {
            assert_eq!(found(&queue), expected, "to the end, one after the other");
        } else {
            assert_eq!(found(&queue), []);
        }
        (&a).read_exact(&mut [0]).unwrap();
        (&b).read_exact(&mut [0; 2]).unwrap();
        for (ident, filter) in expected {
            queue.change(event(ident, filter, EV_DELETE));
        }
    }
}

/// With less room than events each has its turn, also between level-triggered ones of different
/// filters.
#[test]
fn each_has_its_turn() {
    let queue = Kqueue::new();
    let [(a, mut a_far), (b, _b_far), (c, mut c_far)] = pairs();
    a_far.write_all(b"x").unwrap();
    c_far.write_all(b"x").unwrap();
    let order = [
        (ident(&c), EVFILT_READ),
        (7, EVFILT_USER),
        (ident(&b), EVFILT_WRITE),
        (ident(&a), EVFILT_READ),
    ];
    for (ident, filter) in order {
        queue.change(event(ident, filter, EV_ADD));
        if filter == EVFILT_USER {
            queue.change(kevent { fflags: NOTE_TRIGGER, ..event(ident, filter, 0) });
        }
    }
    let mut place = [event(0, 0, 0)];
    for (ident, filter) in order.iter().cycle().take(10) {
        assert_eq!(queue.kevent(&[], &mut place, Some(DEADLINE)), Ok(1));
        assert_eq!((place[0].ident, place[0].filter), (*ident, *filter));
    }
}
