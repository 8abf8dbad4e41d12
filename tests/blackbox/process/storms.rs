//! I3 and I5: interrupts by the thousand, at random moments and in bursts, spare every later cell.

use crate::support::harness::{Session, launch};
use crate::support::pythons::for_each_python;
use crate::support::random::Random;
use std::time::Duration;
use worker_client::{Event, Ready};
use worker_protocol::Outcome;

const PATIENT: Duration = Duration::from_secs(150);

/// Cells of which some end by themselves at about the moment when the interrupt comes.
const CELLS: [&str; 8] = [
    "pass",
    "sum(range(200))",
    "for _ in range(2000): pass",
    "import time; time.sleep(0.0005)",
    "print('x' * 100)",
    "[print(i) for i in range(20)]",
    "import os; os.write(1, b'raw')",
    "while True: pass",
];

/// Spins without a system call, for less than a scheduler's tick.
fn pause(random: &mut Random) {
    let until = std::time::Instant::now() + Duration::from_micros(random.below(400));
    while std::time::Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// One cell, one interrupt at a random moment: the cell's end, perhaps a bare `ready`, and a spared next cell.
fn strike(s: &mut Session, random: &mut Random, round: u64) {
    let endless = random.below(8) == 7;
    let code = if endless { CELLS[7] } else { CELLS[random.below(7) as usize] };
    let id = s.begin(code);
    pause(random);
    let with_signal = random.below(4) == 0;
    s.interrupt();
    if with_signal {
        s.worker.signal(libc::SIGINT);
    }
    let mut answered_idle = false;
    let ended = loop {
        match s.next() {
            Event::Ready(ready) if ready.id.as_deref() == Some(&id) => break ready.outcome,
            Event::Ready(Ready { id: None, outcome: None, .. }) if !answered_idle => answered_idle = true,
            other => s.fail(&format!("round {round}: {other:?} before the end of {id}")),
        }
    };
    // A cell that ran was answered before an interrupt that came after it.
    assert!(!answered_idle || ended == Some(Outcome::Discarded), "round {round}: a bare `ready` before {ended:?}");
    s.take(Some(&id));
    assert!(!endless || matches!(ended, Some(Outcome::Interrupted | Outcome::Discarded)), "{ended:?}");
    // The same batch takes the bare `ready` of an interrupt that came too late.
    let spared = s.begin(&format!("{round} * 2"));
    let outcome = s.end_past_bare(&spared).outcome;
    assert_eq!(outcome, Some(Outcome::Ok), "round {round}: the cell after {code:?} was struck");
    let said = s.take(Some(&spared));
    let text: String = said.texts.iter().filter_map(|text| text.text.clone()).collect();
    assert_eq!(text, format!("{}\n", round * 2), "round {round}, after {code:?}");
}

#[test]
fn i3_two_thousand_interrupts_at_random_moments_spare_the_next_cell() {
    let mut s = Session::python().patient(PATIENT);
    let mut random = Random::new(1);
    for round in 0..2000 {
        strike(&mut s, &mut random, round);
    }
}

#[test]
fn i5_a_storm_on_one_cpu_spares_the_next_cell() {
    let mut s = Session::start(launch().through(["taskset", "-c", "0"])).patient(PATIENT);
    let mut random = Random::new(2);
    for round in 0..500 {
        strike(&mut s, &mut random, round);
    }
}

#[test]
fn i3_interrupts_of_an_await_leave_nothing_to_the_next_cell() {
    for_each_python(|s, _| {
        let mut random = Random::new(3);
        s.says("import asyncio", "");
        for round in 0..400 {
            let id = s.begin("print('go')\nawait asyncio.sleep(600)\nprint('slept')");
            pause(&mut random);
            // The second one strikes while the first one's cancellation runs, or comes too late and is forgotten.
            for _ in 0..2 {
                s.worker.signal(libc::SIGINT);
                pause(&mut random);
            }
            // Both may have come before the cell.
            s.interrupt();
            let outcome = s.end_past_bare(&id).outcome;
            assert!(matches!(outcome, Some(Outcome::Interrupted | Outcome::Discarded)), "round {round}: {outcome:?}");
            s.take(Some(&id));
            let next = s.begin("await asyncio.sleep(0, 'next')");
            let ready = s.end_past_bare(&next);
            assert_eq!(ready.outcome, Some(Outcome::Ok), "round {round}: {ready:?}");
            let said = s.take(Some(&next));
            let text: String = said.texts.iter().filter_map(|text| text.text.clone()).collect();
            assert_eq!(text, "'next'\n", "round {round}");
        }
        s.says("len(asyncio.all_tasks(asyncio.get_event_loop()))", "0\n");
    });
}

/// A thousand interrupts as fast as they can be sent, with and without signals.
fn burst(s: &mut Session, signals: bool) {
    for round in 0..20 {
        let id = s.begin("print('go', flush=True)\nwhile True: pass");
        s.until_printed(&id, "go\n");
        for n in 0..50 {
            s.interrupt();
            if signals && n % 3 == 0 {
                s.worker.signal(libc::SIGINT);
            }
        }
        match s.next() {
            Event::Ready(ready) => {
                assert_eq!((ready.id, ready.outcome), (Some(id.clone()), Some(Outcome::Interrupted)))
            }
            other => s.fail(&format!("{other:?}")),
        }
        s.take(Some(&id));
        let spared = s.begin("'spared'");
        let mut bare = 0_usize;
        let cell = loop {
            match s.next() {
                Event::Ready(Ready { id: None, outcome: None, .. }) => bare += 1,
                Event::Ready(ready) if ready.id.as_deref() == Some(&spared) => break ready,
                other => s.fail(&format!("{other:?}")),
            }
        };
        assert_eq!(cell.outcome, Some(Outcome::Ok), "round {round}");
        // One stopped the cell: a message, unless a signal overtook the first of them.
        assert!(
            bare < 50 + usize::from(signals),
            "{bare} bare answers to 50 interrupts, of which one stopped the cell"
        );
        s.take(Some(&spared));
    }
}

#[test]
fn i3_bursts_of_interrupts_never_end_the_session() {
    burst(&mut Session::python().patient(PATIENT), false);
}

#[test]
fn i5_bursts_of_messages_and_signals_never_end_the_session() {
    burst(&mut Session::python().patient(PATIENT), true);
}

#[test]
fn i5_bursts_on_one_cpu_never_end_the_session() {
    burst(&mut Session::start(launch().through(["taskset", "-c", "0"])).patient(PATIENT), true);
}

#[test]
fn i3_a_storm_at_waits_for_input_never_answers_with_a_cell() {
    let mut s = Session::python().patient(PATIENT);
    let mut random = Random::new(3);
    for round in 0..300 {
        let id = s.begin("input('p ')");
        if random.below(2) == 0 {
            s.wait_for("p ");
        }
        pause(&mut random);
        s.interrupt();
        let mut waited = false;
        let outcome = loop {
            match s.next() {
                Event::InputWait(_) if !waited => waited = true,
                Event::Ready(Ready { id: None, outcome: None, .. }) => {}
                Event::Ready(ready) if ready.id.as_deref() == Some(&id) => break ready.outcome,
                other => s.fail(&format!("round {round}: {other:?}")),
            }
        };
        assert!(matches!(outcome, Some(Outcome::Interrupted | Outcome::Discarded)), "{outcome:?}");
        s.take(Some(&id));
        let spared = s.begin("'a cell'");
        loop {
            match s.next() {
                Event::Ready(Ready { id: None, outcome: None, .. }) => {}
                Event::Ready(ready) => {
                    assert_eq!((ready.id, ready.outcome), (Some(spared.clone()), Some(Outcome::Ok)));
                    break;
                }
                other => s.fail(&format!("{other:?}")),
            }
        }
        s.take(Some(&spared));
    }
}

#[test]
fn i3_an_interrupt_while_idle_is_answered_and_forgotten() {
    let mut s = Session::python();
    for round in 0..200 {
        s.interrupt();
        s.bare_ready();
        s.says(&round.to_string(), &format!("{round}\n"));
    }
}
