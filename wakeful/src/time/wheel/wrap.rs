//! Wheels near the end of their numbers, which no test reaches by counting.

use super::{Key, RETIRED, Wheel};

const HOUR: u64 = 3_600_000_000_000;

/// A wheel whose numbers run out after the next `placings`.
fn near_the_end(placings: u32) -> Wheel<u32> {
    let mut wheel = Wheel::new();
    wheel.sequence = u32::MAX - placings;
    wheel
}

/// Goes on as after a whole round of numbers, with `placings` of the next.
fn go_round(wheel: &mut Wheel<u32>, placings: usize) {
    wheel.sequence = u32::MAX;
    for _ in 0..placings {
        let key = wheel.insert(0, 0).unwrap();
        wheel.remove(key).unwrap();
    }
}

#[test]
fn a_stale_item_is_never_anothers() {
    for placings in 0..8 {
        let mut wheel = Wheel::new();
        let stale = wheel.insert(10 * HOUR, 1).unwrap();
        let other = wheel.insert(10 * HOUR + 1, 2).unwrap();
        wheel.remove(stale).unwrap();
        // It keeps the index of the stale item, whose number comes again after a round.
        let hold = wheel.insert(30 * HOUR, 3).unwrap();
        go_round(&mut wheel, placings);
        wheel.remove(hold).unwrap();
        let late = wheel.insert(20 * HOUR, 4).unwrap();
        assert_eq!(wheel.pop(10 * HOUR + 10), Some(2), "{placings}");
        assert_eq!(wheel.pop(10 * HOUR + 10), None, "{placings}");
        assert!(wheel.contains(late) && !wheel.contains(other));
        assert_eq!((wheel.pop(20 * HOUR), wheel.pop(u64::MAX)), (Some(4), None));
    }
}

#[test]
fn each_is_popped_once_and_in_order_across_the_end() {
    for placings in 0..40 {
        let mut wheel = near_the_end(placings);
        let mut keys = Vec::new();
        let mut expected = Vec::new();
        for value in 0..60_u32 {
            // Deadlines of all levels, those of the heap among them, each of three entries.
            let deadline = (1 << (value / 3 * 3)) - 1;
            keys.push((wheel.insert(deadline, value).unwrap(), deadline));
            expected.push((deadline, value));
        }
        for &(key, deadline) in keys.iter().step_by(4) {
            assert!(wheel.reset(key, deadline + 1) && wheel.reset(key, deadline / 2));
        }
        for &(key, _) in keys.iter().skip(1).step_by(4) {
            assert!(wheel.remove(key).is_some());
        }
        // What was reset has no order among its equals, and what was removed does not come.
        let untouched = |value: &u32| value % 4 > 1;
        let popped: Vec<_> = std::iter::from_fn(|| wheel.pop(u64::MAX)).collect();
        assert_eq!(popped.len(), 45, "{placings}");
        let in_order: Vec<_> = popped.iter().copied().filter(untouched).collect();
        let all: Vec<_> = expected.iter().map(|&(_, value)| value).filter(untouched).collect();
        assert_eq!(in_order, all, "{placings}");
        assert!(keys.iter().all(|&(key, _)| !wheel.contains(key)) && wheel.is_empty());
    }
}

#[test]
fn what_is_due_at_once_keeps_its_order_across_the_end() {
    let mut wheel = near_the_end(5);
    for value in 0..10 {
        wheel.insert(7, value).unwrap();
    }
    assert!((0..10).all(|value| wheel.pop(7) == Some(value)));
}

#[test]
fn a_reset_across_the_end_counts() {
    for later in [HOUR, 3 * HOUR] {
        let mut wheel = near_the_end(1);
        let key = wheel.insert(2 * HOUR, 1).unwrap();
        assert!(wheel.reset(key, later));
        wheel.insert(4 * HOUR, 2).unwrap();
        assert_eq!(wheel.pop(later - 1), None);
        assert_eq!(wheel.pop(later), Some(1));
        assert_eq!((wheel.pop(4 * HOUR), wheel.len()), (Some(2), 0));
    }
}

#[test]
fn a_key_is_never_anothers() {
    for uses in 0..8 {
        let mut wheel = Wheel::new();
        let mut keys: Vec<Key> = Vec::new();
        let mut use_entry = |wheel: &mut Wheel<u32>, value| {
            let key = wheel.insert(1, value).unwrap();
            assert_eq!(wheel.remove(key), Some(value));
            assert!(!keys.contains(&key), "{key:?}");
            keys.push(key);
        };
        use_entry(&mut wheel, 1);
        // As after nearly as many uses of the entry as there are generations.
        wheel.entries[0].generation = RETIRED - 6;
        (0..uses).for_each(|value| use_entry(&mut wheel, value));
        let live = [5, 6, 7].map(|value| wheel.insert(1, value).unwrap());
        for key in keys {
            assert!(!live.contains(&key), "{uses}");
            assert!(!wheel.contains(key) && wheel.remove(key).is_none(), "{uses}");
            assert!(!wheel.reset(key, 0), "{uses}");
        }
        assert_eq!(
            (wheel.len(), live.map(|key| wheel.remove(key))),
            (3, [Some(5), Some(6), Some(7)])
        );
    }
}
