//! The soak: a session lives through thousands of random cells, and every byte of them is checked.
//!
//! `WORKER_SOAK_SECONDS` says for how long (default 30), `WORKER_SOAK_SEED` repeats a run, `WORKER_SOAK_PYTHON` names the
//! interpreter and `WORKER_SOAK_ONLY` one kind of cell. A failure shows the seed and the last cells. The soak of R takes half
//! as long.

mod python;
mod r;
mod random;
mod session;
mod shared;

use nix::sys::signal::killpg;
use nix::unistd::Pid;
use python::Kind;
use random::Random;
use session::Session;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};
use worker_client::Launch;

/// So many events may wait in the client before the worker has to wait, so that a slow reader is felt.
const BACKLOG: usize = 64;
/// So much more memory than halfway is no leak: what the allocators keep.
const ROOM: u64 = 8 << 20;
/// The same for R, whose heap grows by such steps when its collector finds it full.
const ROOM_OF_R: u64 = 32 << 20;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

fn seed() -> u64 {
    number("WORKER_SOAK_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        now.as_nanos() as u64
    })
}

/// What a session holds at a moment when nothing runs.
#[derive(Debug)]
struct Holds {
    memory: u64,
    threads: usize,
    descriptors: usize,
}

fn count(path: String) -> usize {
    std::fs::read_dir(path).map_or(0, Iterator::count)
}

fn holds(session: &mut Session, collect: &str) -> Holds {
    session.run(collect).is(b"");
    let pid = session.pid();
    Holds {
        memory: session.status()["rss_bytes"].as_u64().expect("a number"),
        threads: count(format!("/proc/{pid}/task")),
        descriptors: count(format!("/proc/{pid}/fd")),
    }
}

/// Runs random kinds of cells until `end`.
fn soak(session: &mut Session, random: &mut Random, kinds: &[(&str, Kind)], end: Instant, seed: u64) {
    while Instant::now() < end {
        let (name, kind) = kinds[random.below(kinds.len() as u64) as usize];
        one(session, random, name, kind, seed);
    }
}

fn one(session: &mut Session, random: &mut Random, name: &str, kind: Kind, seed: u64) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| kind(session, random))) {
        eprintln!("in {name:?} with WORKER_SOAK_SEED={seed}, the last cells:\n{}", session.log());
        resume_unwind(panic);
    }
}

#[test]
fn soak_python() {
    let mut launch = Launch::python();
    if let Some(python) = std::env::var_os("WORKER_SOAK_PYTHON") {
        launch = launch.arg("--python").arg(python);
    }
    // Memory that C keeps for later is no leak: it is given back before the count.
    let collect = "_ = gc.collect(), ctypes.CDLL(None).malloc_trim(0)";
    soak_one(launch, &python::KINDS, python::PREPARE, collect, number("WORKER_SOAK_SECONDS").unwrap_or(30), ROOM);
}

#[test]
fn soak_r() {
    let seconds = number("WORKER_SOAK_SECONDS").unwrap_or(30) / 2;
    soak_one(Launch::r(), &r::KINDS, r::PREPARE, r::COLLECT, seconds, ROOM_OF_R);
}

fn soak_one(launch: Launch, kinds: &[(&str, Kind)], prepare: &str, collect: &str, seconds: u64, room: u64) {
    let seed = seed();
    eprintln!("WORKER_SOAK_SEED={seed} WORKER_SOAK_SECONDS={seconds}");
    let only = std::env::var("WORKER_SOAK_ONLY").ok();
    let mut kinds = kinds.to_vec();
    kinds.retain(|(name, _)| only.as_deref().is_none_or(|only| only == *name));
    assert!(!kinds.is_empty(), "WORKER_SOAK_ONLY={only:?} is no kind of cell");
    let mut session = Session::start(launch.program(env!("CARGO_BIN_EXE_worker")).backlog(BACKLOG));
    let mut random = Random::new(seed);
    let begun = Instant::now();
    session.run(prepare).is(b"");
    // Each kind at least once, so that what is loaded and grown once is before the first measurement.
    for (name, kind) in &kinds {
        one(&mut session, &mut random, name, *kind, seed);
    }
    soak(&mut session, &mut random, &kinds, begun + Duration::from_secs(seconds) / 2, seed);
    let halfway = holds(&mut session, collect);
    soak(&mut session, &mut random, &kinds, begun + Duration::from_secs(seconds), seed);
    let at_end = holds(&mut session, collect);
    eprintln!(
        "{} cells, {} MiB, {} interrupts; halfway {halfway:?}, at the end {at_end:?}",
        session.cells(),
        session.bytes >> 20,
        session.interrupts
    );
    assert!(at_end.memory <= halfway.memory + room, "memory grew from {halfway:?} to {at_end:?}");
    assert_eq!(at_end.threads, halfway.threads, "threads left over");
    // An interrupt inside the standard library, between a pipe and the block that closes it, may leave a few for good; a leak of
    // ours would leave one for each of thousands of cells.
    assert!(
        at_end.descriptors <= halfway.descriptors + 16,
        "descriptors left over: {} and {}",
        halfway.descriptors,
        at_end.descriptors
    );
    let group = Pid::from_raw(session.pid() as i32);
    session.shutdown();
    // A child that was started in the very moment of an interrupt may have been left to run, but not beyond the session.
    let limit = Instant::now() + Duration::from_secs(5);
    while killpg(group, None).is_ok() {
        assert!(Instant::now() < limit, "processes of the session are left");
        std::thread::sleep(Duration::from_millis(10));
    }
}
