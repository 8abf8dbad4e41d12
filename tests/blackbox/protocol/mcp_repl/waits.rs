//! Each batch has one answer, and each wait takes a batch; interrupts are answered too.

use super::peer::Peer;

#[test]
fn a_background_threads_wait_takes_the_next_batch() {
    let mut p = Peer::python();
    let begin = "import threading\ndef ask():\n    global got\n    got = input('q ')\nt = threading.Thread(target=ask); t.start()\n";
    // The wait is the batch's answer, so the end of the cell says nothing; the cell lasts until the answer is there.
    p.turn(&format!("{begin}t.join()\ngot"), &["input_wait q "]);
    p.turn("one", &["input_line q one", "stdout 'one'\n", "ready"]);
    // The same when the cell is over before.
    p.send(&format!("{begin}None"));
    let said = p.answer();
    assert!(said == ["input_wait q "] || said == ["ready"], "{said:?}");
    p.until_asleep();
    p.turn("two", &["input_line q two", "ready"]);
    p.turn("t.join(); got", &["stdout 'two'\n", "ready"]);
    p.shutdown();
}

#[test]
fn two_waits_take_a_batch_each() {
    let mut p = Peer::python();
    let begin = "import threading\ngot = []\nlock = threading.Semaphore(0)\ndef ask(p):\n    got.append(input(p)); lock.release()\n\
                 a = threading.Thread(target=ask, args=('a ',)); a.start()\ninput('main ')\nlock.acquire(); got";
    p.send(begin);
    let first = p.answer();
    // Whoever came first was said; the other is said once the first has its answer.
    let (one, other) = if first == ["input_wait a "] { ("a ", "main ") } else { ("main ", "a ") };
    assert_eq!(first, [format!("input_wait {one}")]);
    p.send("x");
    let second = p.answer();
    assert_eq!(second.first(), Some(&format!("input_line {one}x")));
    assert_eq!(second.last(), Some(&format!("input_wait {other}")), "{second:?}");
    p.send("y");
    let third = p.answer();
    assert_eq!(third.first(), Some(&format!("input_line {other}y")));
    assert_eq!(third.last().map(String::as_str), Some("ready"));
    p.turn("'on'", &["stdout 'on'\n", "ready"]);
    p.shutdown();
}

#[test]
fn a_wait_that_begins_between_batches_is_not_said_and_takes_the_next() {
    let mut p = Peer::python();
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    p.turn(
        &format!("import os, threading\ndef ask():\n    while not os.path.exists({gate:?}): pass\n    os.write(1, b'asking'); global got; got = input('q ')\nt = threading.Thread(target=ask); t.start()"),
        &["ready"],
    );
    std::fs::write(&gate, "").unwrap();
    while p.raw("out") != "asking" {
        std::thread::yield_now();
    }
    p.until_asleep();
    p.turn("mine", &["input_line q mine", "ready"]);
    p.turn("t.join(); got", &["stdout 'mine'\n", "ready"]);
    p.shutdown();
}

#[test]
fn an_interrupt_is_answered_once_with_message_and_signal() {
    let mut p = Peer::python();
    for code in
        ["while True: pass", "import time; time.sleep(60)", "import subprocess; subprocess.run(['sleep', '60'])"]
    {
        p.send(&format!("print('go')\n{code}"));
        p.until("stdout \n");
        p.line(r#"{"type":"interrupt"}"#);
        p.signal(-p.pid(), "-INT");
        let said = p.answer();
        assert_eq!(said.iter().filter(|text| text.contains("KeyboardInterrupt")).count(), 1, "{said:?}");
        assert_eq!(said.last().map(String::as_str), Some("ready"));
        p.turn("'next'", &["stdout 'next'\n", "ready"]);
    }
    // At a wait: the wait answered its batch, the end of the cell answers the interrupt.
    p.turn("input('p ')", &["input_wait p "]);
    p.line(r#"{"type":"interrupt"}"#);
    p.signal(-p.pid(), "-INT");
    let said = p.answer();
    assert!(said[0].contains("KeyboardInterrupt"), "{said:?}");
    assert_eq!(said.last().map(String::as_str), Some("ready"));
    p.turn("'a cell'", &["stdout 'a cell'\n", "ready"]);
    // While idle.
    p.line(r#"{"type":"interrupt"}"#);
    p.signal(-p.pid(), "-INT");
    assert_eq!(p.answer(), ["ready"]);
    p.turn("'still'", &["stdout 'still'\n", "ready"]);
    p.shutdown();
}
