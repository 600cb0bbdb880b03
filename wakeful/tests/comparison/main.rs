//! Every kind of descriptor in every state, under every interest, trigger and backend: what is
//! reported is what epoll reports, but for the differences in `accepted.rs`, which are the table in
//! the documentation of `Backend`.

#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;

mod accepted;
mod differences;
mod kinds;
mod runner;
mod states;
mod world;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use wakeful::Backend;

use differences::{Difference, compare, sort};
use runner::{combinations, run};
use states::{Kind, State};

const OTHERS: [Backend; 3] = [Backend::Kqueue, Backend::EventPorts, Backend::Poll];

/// A busy kernel can be late, for epoll or for another: what is not accepted must be found so often
/// in a row.
const RUNS: usize = 5;

fn differences_once(kind: &Kind, state: &State) -> BTreeSet<Difference> {
    let epoll = run(Backend::Epoll, kind, state, None);
    let mut found = BTreeSet::new();
    for backend in OTHERS {
        let traces = run(backend, kind, state, Some(&epoll));
        for (of, (epoll, other)) in combinations().iter().zip(epoll.iter().zip(&traces)) {
            found.extend(compare((backend, kind, state), of, epoll, other));
        }
    }
    found
}

fn differences_of(kind: &Kind, state: &State) -> BTreeSet<Difference> {
    let mut runs = (0..RUNS).map(|_| differences_once(kind, state));
    let first = runs.next().unwrap_or_default();
    if sort(&first).unaccepted.is_empty() {
        return first;
    }
    runs.find(|found| sort(found).unaccepted.is_empty()).unwrap_or(first)
}

#[test]
fn every_backend_reports_what_epoll_reports() {
    // As another system this one does not have all of them.
    let mut all = OTHERS.into_iter().chain([Backend::Epoll]);
    if !all.all(|backend| Backend::available().contains(&backend)) {
        return;
    }
    let kinds = states::all();
    let cases: Vec<_> =
        kinds.iter().flat_map(|kind| kind.states.iter().map(move |state| (kind, state))).collect();
    let found = Mutex::new(BTreeSet::new());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((kind, state)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let differences = differences_of(kind, state);
                    found.lock().unwrap().extend(differences);
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let count = cases.len() * combinations().len() * (1 + OTHERS.len());
    let sorted = sort(&found);
    let unaccepted: Vec<_> = sorted.unaccepted.iter().map(|it| it.to_string()).collect();
    assert!(
        unaccepted.is_empty(),
        "{} of {count} combinations are not as with epoll:\n{}",
        unaccepted.len(),
        unaccepted.join("\n")
    );
    let unused: Vec<_> = sorted.unused().collect();
    assert!(unused.is_empty(), "accepted differences that do not occur any more: {unused:#?}");
    let table = format!(
        "Found by running {count} combinations: {} kinds of descriptors in {} states, under {} \
         interests, triggers and times of registration, on {} backends.\n\n{}",
        kinds.len(),
        cases.len(),
        combinations().len(),
        1 + OTHERS.len(),
        sorted.table()
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backend/differences.md");
    if std::env::var_os("WAKEFUL_WRITE_DIFFERENCES").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == table,
        "{} is not what was found: to write it, run this test with \
         WAKEFUL_WRITE_DIFFERENCES=1\n{table}",
        path.display()
    );
}
