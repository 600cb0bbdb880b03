//! The timer wheel against a model, which is a sorted map.

use std::collections::{BTreeMap, BTreeSet};

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
        2 => (any::<usize>(), delay()).prop_map(|(which, delay)| Step::Reset(which, delay)),
        2 => delay().prop_map(|delay| Step::Pass(delay / 4)),
    ]
}

/// What a wheel should be. Timers have the numbers of their insertions, which order those of the same deadline.
#[derive(Default)]
struct Model {
    sorted: BTreeSet<(u64, usize)>,
    deadlines: BTreeMap<usize, u64>,
    reset: BTreeSet<usize>,
}

impl Model {
    fn place(&mut self, timer: usize, deadline: u64) {
        self.sorted.insert((deadline, timer));
        self.deadlines.insert(timer, deadline);
    }

    fn remove(&mut self, timer: usize) -> bool {
        let deadline = self.deadlines.remove(&timer);
        deadline.is_some_and(|deadline| self.sorted.remove(&(deadline, timer)))
    }

    /// Whether that is what a wheel may pop, and takes it out as well.
    fn allows(&mut self, now: u64, popped: Option<usize>) -> bool {
        let next = self.next().filter(|&next| next <= now);
        let (Some(next), Some(popped)) = (next, popped) else {
            return next.is_none() && popped.is_none();
        };
        // Of the same deadline, those that were reset may come in any order.
        let all = self.sorted.range((next, 0)..=(next, usize::MAX)).map(|&(_, timer)| timer);
        let first = all.clone().find(|timer| !self.reset.contains(timer));
        let is_right = if self.reset.contains(&popped) {
            self.deadlines.get(&popped) == Some(&next)
        } else {
            first == Some(popped)
        };
        is_right && self.remove(popped)
    }

    fn next(&self) -> Option<u64> {
        self.sorted.first().map(|&(deadline, _)| deadline)
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
                        model.reset.insert(timer);
                        model.place(timer, deadline);
                    }
                }
                Step::Pass(time) => {
                    now = now.saturating_add(time);
                    loop {
                        let found = wheel.pop(now);
                        prop_assert!(model.allows(now, found), "{:?} of {:?}", found, model.sorted);
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

/// A timeout that is put off with each sign of life comes when it was last put off to, and wakes in vain once
/// for each time that it would have come.
#[test]
fn what_is_put_off_again_and_again() {
    const TIMEOUT: u64 = 30_000_000_000;
    let mut wheel = Wheel::new();
    let key = wheel.insert(TIMEOUT, ()).unwrap();
    let (mut now, mut in_vain) = (0, 0);
    for _ in 0..100_000 {
        now += 7_000_003;
        while let Some(next) = wheel.next_deadline().filter(|&next| next <= now) {
            assert_eq!(wheel.pop(next), None);
            in_vain += 1;
        }
        assert!(wheel.reset(key, now + TIMEOUT));
    }
    assert!(in_vain <= now / TIMEOUT + 1, "{in_vain}");
    assert_eq!(wheel.pop(now + TIMEOUT - 1), None);
    assert_eq!(wheel.next_deadline(), Some(now + TIMEOUT));
    assert_eq!(wheel.pop(now + TIMEOUT), Some(()));
}

/// With many removals and resets slots and the heap are swept, and what is left is all there.
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
                        let (&(deadline, _), ()) = model.first_key_value().unwrap();
                        assert!(deadline <= now);
                        // Those of the same deadline in any order, because some were reset.
                        assert!(model.remove(&(deadline, timer)).is_some());
                    }
                }
                _ if !keys.is_empty() => {
                    let which = draw() as usize % keys.len();
                    let (key, (deadline, timer)) = keys[which];
                    let reset = now + draw() % span;
                    let there = model.remove(&(deadline, timer)).is_some();
                    assert_eq!(wheel.reset(key, reset), there);
                    if there {
                        keys[which].1 = (reset, timer);
                        model.insert((reset, timer), ());
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
