//! The timer wheel against a model, which is a sorted map.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use wakeful::time::{Key, Wheel};

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Remove(usize),
    Reset(usize, u64),
    Pass(u64),
}

/// Delays of every size: within a tick, a slot, a level, and beyond all of them.
fn delay() -> impl Strategy<Value = u64> {
    prop_oneof![0..1_000_u64, 0..200_000_u64, 0..20_000_000_u64, 0..(1_u64 << 40), any::<u64>(),]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => delay().prop_map(Step::Insert),
        1 => any::<usize>().prop_map(Step::Remove),
        1 => (any::<usize>(), delay()).prop_map(|(which, delay)| Step::Reset(which, delay)),
        2 => delay().prop_map(|delay| Step::Pass(delay / 4)),
    ]
}

/// What a wheel should be. The number that comes with each deadline orders those of the same one.
#[derive(Default)]
struct Model {
    sorted: BTreeMap<(u64, usize), usize>,
    placed: BTreeMap<usize, (u64, usize)>,
    placings: usize,
}

impl Model {
    fn place(&mut self, timer: usize, deadline: u64) {
        self.placings += 1;
        self.sorted.insert((deadline, self.placings), timer);
        self.placed.insert(timer, (deadline, self.placings));
    }

    fn remove(&mut self, timer: usize) -> bool {
        let placed = self.placed.remove(&timer);
        placed.is_some_and(|placed| self.sorted.remove(&placed).is_some())
    }

    fn pop(&mut self, now: u64) -> Option<usize> {
        let (&(deadline, _), &timer) = self.sorted.first_key_value()?;
        (deadline <= now).then(|| {
            self.remove(timer);
            timer
        })
    }

    fn next(&self) -> Option<u64> {
        self.sorted.first_key_value().map(|(&(deadline, _), _)| deadline)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_wheel_is_a_sorted_map(steps in vec(step(), 0..120)) {
        let (mut wheel, mut model) = (Wheel::new(), Model::default());
        let mut keys: Vec<Key> = Vec::new();
        let mut now = 0_u64;
        let mut removed = false;
        for step in steps {
            match step {
                Step::Insert(delay) => {
                    let timer = keys.len();
                    keys.push(wheel.insert(now.saturating_add(delay), timer).unwrap());
                    model.place(timer, now.saturating_add(delay));
                }
                Step::Remove(which) if !keys.is_empty() => {
                    let timer = which % keys.len();
                    let there = model.remove(timer);
                    removed |= there;
                    prop_assert_eq!(wheel.contains(keys[timer]), there);
                    prop_assert_eq!(wheel.remove(keys[timer]), there.then_some(timer));
                }
                Step::Reset(which, delay) if !keys.is_empty() => {
                    let timer = which % keys.len();
                    let there = model.remove(timer);
                    removed |= there;
                    let deadline = now.saturating_add(delay);
                    prop_assert_eq!(wheel.reset(keys[timer], deadline), there);
                    if there {
                        model.place(timer, deadline);
                    }
                }
                Step::Pass(time) => {
                    now = now.saturating_add(time);
                    loop {
                        let (found, expected) = (wheel.pop(now), model.pop(now));
                        prop_assert_eq!(found, expected);
                        if found.is_none() {
                            break;
                        }
                    }
                }
                Step::Remove(_) | Step::Reset(..) => {}
            }
            prop_assert_eq!(wheel.len(), model.sorted.len());
            let (next, earliest) = (wheel.next_deadline(), model.next());
            prop_assert_eq!(next.is_some(), earliest.is_some());
            // Nothing is due before; and unless something was removed, something is then.
            prop_assert!(next <= earliest && (removed || next == earliest), "{:?} {:?}", next, earliest);
        }
    }
}

/// Whoever waits for what `next` says, and only then looks, meets every deadline exactly, and after
/// removals seldom wakes in vain.
#[test]
fn a_million_deadlines_are_met_to_the_nanosecond() {
    const COUNT: u64 = 1_000_000;

    let mut random = 88_172_645_463_325_252_u64;
    let mut draw = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut wheel = Wheel::new();
    let mut keys = Vec::new();
    for _ in 0..COUNT {
        let deadline = draw() % 60_000_000_000;
        keys.push(wheel.insert(deadline, deadline).unwrap());
    }
    for key in keys.iter().step_by(2) {
        assert!(wheel.remove(*key).is_some());
    }
    let (mut popped, mut in_vain) = (0, 0);
    while let Some(now) = wheel.next_deadline() {
        let before = popped;
        while let Some(deadline) = wheel.pop(now) {
            assert_eq!(deadline, now);
            popped += 1;
        }
        in_vain += u64::from(popped == before);
    }
    assert_eq!(popped, COUNT / 2);
    assert!(in_vain < COUNT / 100, "{in_vain}");
}

/// Timeouts that are set and taken back again and again leave nothing behind.
#[test]
fn what_is_removed_is_forgotten() {
    let mut wheel = Wheel::new();
    for round in 0..100_000_u64 {
        let key = wheel.insert(round + 30_000_000_000, ()).unwrap();
        assert_eq!(wheel.next_deadline(), Some(round + 30_000_000_000));
        if round % 2 == 0 {
            assert!(wheel.reset(key, round + 1));
        }
        assert_eq!(wheel.remove(key), Some(()));
        assert_eq!(wheel.remove(key), None);
        assert_eq!(wheel.next_deadline(), None);
    }
}

/// With many removals slots and the heap are swept, and what is left is all there.
#[test]
fn sweeping_keeps_what_was_not_removed() {
    let mut random = 88_172_645_463_325_252_u64;
    let mut draw = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for round in 0..300 {
        let (mut wheel, mut model) = (Wheel::new(), BTreeMap::new());
        let mut keys = Vec::new();
        let mut now = 0;
        // Within a tick, so that they lie in the heap, and up to hours, on the higher levels.
        let span = 1_u64 << (10 + round % 30);
        for timer in 0..3_000 {
            match draw() % 8 {
                0..=3 => {
                    let deadline = now + draw() % span;
                    keys.push((wheel.insert(deadline, timer).unwrap(), (deadline, timer)));
                    model.insert((deadline, timer), ());
                }
                4..=6 if keys.len() > 1 => {
                    for _ in 0..2 {
                        let (key, timer) = keys.swap_remove(draw() as usize % keys.len());
                        assert_eq!(wheel.remove(key).is_some(), model.remove(&timer).is_some());
                    }
                }
                _ if draw() % 40 == 0 => {
                    now += draw() % span / 2;
                    while let Some(timer) = wheel.pop(now) {
                        let ((deadline, expected), ()) = model.pop_first().unwrap();
                        assert!(deadline <= now);
                        assert_eq!(timer, expected);
                    }
                }
                _ => {}
            }
            let earliest = model.first_key_value().map(|(&(deadline, _), ())| deadline);
            let next = wheel.next_deadline();
            assert!(next <= earliest && next.is_some() == earliest.is_some());
        }
    }
}
