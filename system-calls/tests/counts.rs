//! What each scenario costs in system calls, exactly.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use wakeful_testing::Isolated;

type Counts = BTreeMap<String, usize>;

/// The calls of the main thread between the marks, for each of the hundred rounds.
#[track_caller]
fn count(scenario: &str, backend: &str) -> Counts {
    count_with(&[], scenario, backend)
}

/// As [`count`], with further options for strace.
#[track_caller]
fn count_with(options: &[&str], scenario: &str, backend: &str) -> Counts {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let output = Command::new("timeout")
        .isolated()
        .args(["60", "strace", "-qq", "-ff", "-o"])
        .arg(&log)
        .args(options)
        .args([env!("CARGO_BIN_EXE_system-calls"), scenario, backend])
        .output()
        .expect("this needs strace and timeout: apt-get install strace coreutils");
    assert!(output.status.success(), "{scenario}: {}", String::from_utf8_lossy(&output.stderr));
    let marked = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .find(|text| text.contains("getppid"))
        .unwrap();
    let mut counts = Counts::new();
    let between = marked
        .lines()
        .skip_while(|line| !line.starts_with("getppid"))
        .skip(1)
        .take_while(|line| !line.starts_with("getppid"));
    for line in between {
        let (name, _) = line.split_once('(').unwrap_or((line, ""));
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    counts
}

#[track_caller]
fn expect(scenario: &str, backend: &str, expected: &[(&str, usize)]) {
    let expected: Counts = expected.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
    assert_eq!(count(scenario, backend), expected, "{scenario} on {backend}");
}

#[test]
fn a_hop_costs_three_calls_as_with_raw_epoll() {
    let hop = [("sendto", 100), ("epoll_wait", 100), ("recvfrom", 100)];
    expect("ping-pong", "epoll", &hop);
    expect("ping-pong-raw", "epoll", &hop);
    expect("ping-pong", "poll", &[("sendto", 100), ("ppoll", 100), ("recvfrom", 100)]);
}

#[test]
fn an_idle_poll_is_one_call() {
    for scenario in ["idle", "idle-with-waker"] {
        expect(scenario, "epoll", &[("epoll_wait", 100)]);
        expect(scenario, "poll", &[("ppoll", 100)]);
    }
    expect("idle-below-a-millisecond", "epoll", &[("epoll_pwait2", 100)]);
}

/// Nobody woke, so the wait goes on: once ended, it could not know for how long.
#[test]
fn no_wait_is_begun_again_without_a_clock() {
    expect("idle-while-its-number-is-taken", "epoll", &[("epoll_wait", 1)]);
}

/// Which of the process's threads a ring may interrupt is known, and the others need not wait by poll(2).
#[test]
fn a_ring_makes_no_wait_dearer_but_that_of_the_thread_it_works_for() {
    if !has_io_uring() {
        return;
    }
    for scenario in ["idle-with-ring", "idle-beside-ring", "idle-after-ring"] {
        expect(scenario, "epoll", &[("epoll_wait", 100)]);
    }
    expect("idle-with-ring-at-work", "epoll", &[("epoll_wait", 200), ("ppoll", 100)]);
}

#[test]
fn a_wait_for_a_timer_is_one_call() {
    expect("timers", "epoll", &[("epoll_pwait2", 100)]);
    expect("timers", "poll", &[("ppoll", 100)]);
}

#[test]
fn a_burst_of_user_events_is_one_call_each_way() {
    expect("user-events", "epoll", &[("write", 100), ("read", 100)]);
}

#[test]
fn without_epoll_pwait2_it_is_asked_for_once() {
    // What a kernel before 5.11 answers, and what a sandbox that is older than the call does.
    for errno in ["ENOSYS", "EPERM"] {
        let inject = format!("inject=epoll_pwait2:error={errno}");
        let counts = count_with(&["-e", &inject], "idle-below-a-millisecond", "epoll");
        let expected = [("epoll_pwait2".to_owned(), 1), ("epoll_wait".to_owned(), 100)];
        assert_eq!(counts, Counts::from(expected), "{errno}");
    }
}

#[test]
fn waking_an_awake_or_woken_poller_is_none() {
    for backend in ["epoll", "poll"] {
        expect("wake-awake", backend, &[]);
        expect("wake-woken", backend, &[]);
    }
}

#[test]
fn waking_a_sleeping_poller_is_one() {
    for backend in ["epoll", "poll"] {
        let mut counts = count("wake-asleep", backend);
        // How the two threads of the scenario wait for one another is not what is counted.
        counts.retain(|name, _| name != "futex" && name != "clock_nanosleep");
        assert_eq!(counts, Counts::from([("write".to_owned(), 100)]), "{backend}");
    }
}

/// In a sandbox that has none. strace makes the call fail before the marks, so all else works.
#[test]
fn without_eventfd_a_socket_wakes() {
    for errno in ["ENOSYS", "EPERM"] {
        let inject = format!("inject=eventfd2:error={errno}");
        let mut counts = count_with(&["-e", &inject], "wake-asleep", "epoll");
        counts.retain(|name, _| name != "futex" && name != "clock_nanosleep");
        assert_eq!(counts, Counts::from([("epoll_ctl".to_owned(), 100)]), "{errno}");
    }
}

#[test]
fn waking_oneself_costs_no_more_than_the_poll() {
    expect("wake-self", "epoll", &[("epoll_wait", 100)]);
    expect("wake-self", "poll", &[("ppoll", 100)]);
}

#[test]
fn the_same_interest_is_none_and_another_is_one() {
    expect("same-interest", "epoll", &[]);
    expect("same-interest", "poll", &[]);
    expect("other-interest", "epoll", &[("epoll_ctl", 100), ("epoll_wait", 100)]);
    expect("other-interest", "poll", &[("ppoll", 100)]);
    // There and back before the poll: as if nothing had been asked.
    expect("interest-and-back", "epoll", &[("epoll_wait", 100)]);
}

#[test]
fn accepting_one_connection_makes_no_second_accept_call() {
    let counts = count("accept-one", "epoll");
    assert_eq!(counts["accept4"], 100);
    assert_eq!(counts["ppoll"], 100, "the cheap question instead");
    assert_eq!(counts["epoll_wait"], 100);
    assert!(!counts.contains_key("ioctl"), "{counts:?}");
    // With debug assertions, std asks before it closes a descriptor whether that is open.
    assert!(cfg!(debug_assertions) || !counts.contains_key("fcntl"), "{counts:?}");
}

#[test]
fn registrations_are_one_call_each() {
    expect("register", "epoll", &[("epoll_ctl", 200)]);
}

/// Skipped where there is no io_uring, with a word.
fn has_io_uring() -> bool {
    let has = wakeful::file::Queue::<()>::new(1, wakeful::file::Backend::IoUring).is_ok();
    if !has {
        eprintln!("skipped: there is no io_uring here");
    }
    has
}

#[test]
fn any_number_of_file_operations_is_one_call() {
    if has_io_uring() {
        expect("file-one", "epoll", &[("io_uring_enter", 100)]);
        expect("file-batch", "epoll", &[("io_uring_enter", 100)]);
    }
}

/// What the scenario prints while calls are made to fail.
#[track_caller]
fn with_fault(inject: &str) -> String {
    let output = Command::new("timeout")
        .isolated()
        .args(["60", "strace", "-qq", "-f", "-o", "/dev/null", "-e", inject])
        .args([env!("CARGO_BIN_EXE_system-calls"), "file-faults"])
        .output()
        .expect("this needs strace and timeout: apt-get install strace coreutils");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{inject}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn without_io_uring_threads_do_it() {
    for (errno, reason) in [("EPERM", "forbidden"), ("ENOSYS", "no io_uring"), ("ENOMEM", "memory")]
    {
        let said = with_fault(&format!("inject=io_uring_setup:error={errno}"));
        assert!(said.starts_with("200 completed, 0 failed, 0 refused\npool: "), "{said}");
        assert!(said.contains(reason), "{said}");
    }
    // It can be had, and not used; or what it can do cannot be asked.
    let said = with_fault("inject=io_uring_enter:error=EPERM");
    assert!(said.starts_with("200 completed, 0 failed, 0 refused\npool: "), "{said}");
    let said = with_fault("inject=io_uring_register:error=EPERM");
    assert!(said.starts_with("200 completed, 0 failed, 0 refused\npool: "), "{said}");
}

#[test]
fn calls_that_fail_for_a_while_lose_nothing() {
    if !has_io_uring() {
        return;
    }
    for errno in ["EAGAIN", "EINTR", "EBUSY"] {
        let said = with_fault(&format!("inject=io_uring_enter:error={errno}:when=1+3"));
        assert_eq!(said, "200 completed, 0 failed, 0 refused\nio_uring: the best\n", "{errno}");
    }
}

#[test]
fn calls_that_fail_for_good_give_everything_back() {
    if !has_io_uring() {
        return;
    }
    for errno in ["EPERM", "EAGAIN", "EINTR"] {
        let said = with_fault(&format!("inject=io_uring_enter:error={errno}:when=101+"));
        let expected = "99 completed, 0 failed, 101 refused\nio_uring: the best\n";
        assert_eq!(said, expected, "{errno}");
    }
}
