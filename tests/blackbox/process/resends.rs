//! I5: the signal that is sent again, for a system call that may have begun too early, is no second interrupt.

use crate::support::harness::Session;
use crate::support::random::Random;
use std::time::Duration;

/// SIGINT is blocked until about the moment when it is sent again; then the interrupts that arrive are counted.
const CELL: &str = "hits = 0
try:
    signal.pthread_sigmask(signal.SIG_BLOCK, {2})
    print('go', flush=True)
    while not signal.sigpending(): pass
    until = time.perf_counter() + DELAY
    while time.perf_counter() < until: pass
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {2})
    time.sleep(0.05)
except KeyboardInterrupt: hits += 1
try:
    until = time.perf_counter() + 0.001
    while time.perf_counter() < until: pass
except KeyboardInterrupt: hits += 1
print('hits', hits)";

#[test]
fn i5_a_signal_that_is_sent_again_while_the_first_arrives_is_no_second_interrupt() {
    let mut s = Session::python().patient(Duration::from_secs(150));
    let mut random = Random::new(21);
    s.says("import signal, time", "");
    for round in 0..1500 {
        let delay = 1200 + random.below(2000);
        let id = s.begin(&CELL.replace("DELAY", &format!("{delay}e-6")));
        s.until_printed(&id, "go\n");
        s.interrupt();
        assert_eq!(s.finish(&id).ok().stdout, "go\nhits 1\n", "round {round}");
    }
}
