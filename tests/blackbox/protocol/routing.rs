//! Where a batch goes: to the running cell's wait, to standard input, or into the queue.

use crate::support::harness::Session;
use crate::support::pythons::for_each_python;
use worker_client::{Batch, Event};

#[test]
fn a_batch_without_address_answers_the_cells_wait_or_is_a_cell() {
    let mut s = Session::python();
    s.send(Batch::new("name = input('who? ')"));
    let wait = s.wait_for("who? ");
    assert_eq!(wait.id, None);
    s.send(Batch::new("Ada"));
    s.delivered(&wait, "Ada");
    s.finish_unnamed().ok();
    s.send(Batch::new("name"));
    assert_eq!(s.finish_unnamed().ok().stdout, "'Ada'\n");
}

#[test]
fn a_batch_without_address_to_a_busy_cell_is_a_cell() {
    let mut s = Session::python();
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let id =
        s.begin(&format!("import os\nprint('go', flush=True)\nwhile not os.path.exists({gate:?}): pass\ninput('p ')"));
    s.until_printed(&id, "go\n");
    s.send(Batch::new("'a cell'").id("next"));
    s.status();
    std::fs::write(&gate, "").unwrap();
    let wait = s.wait_for("p ");
    s.answer(&wait, "x");
    s.finish(&id).ok();
    assert_eq!(s.finish("next").ok().stdout, "'a cell'\n");
}

#[test]
fn a_batch_for_cells_is_never_an_answer() {
    let mut s = Session::python();
    let id = s.begin("input('p ')");
    let wait = s.wait_for("p ");
    let next = s.begin("'a cell'");
    s.status();
    s.answer(&wait, "x");
    assert_eq!(s.finish(&id).ok().stdout, "'x'\n");
    assert_eq!(s.finish(&next).ok().stdout, "'a cell'\n");
}

#[test]
fn cells_run_first_in_first_out_one_at_a_time() {
    let mut s = Session::python();
    let ids: Vec<_> = (0..200).map(|n| s.begin(&format!("print({n}); x = {n}"))).collect();
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(s.finish(id).ok().stdout, format!("{n}\n"));
    }
    s.says("x", "199\n");
}

#[test]
fn empty_cells_are_answered_in_their_turn() {
    let mut s = Session::python();
    let ids: Vec<_> = ["1", "", "  \n\t\n", "# comment", "2", "\r\n"].map(|code| s.begin(code)).into();
    for (n, id) in ids.iter().enumerate() {
        let wanted = ["1\n", "", "", "", "2\n", ""][n];
        let cell = s.finish(id).ok();
        assert_eq!(cell.stdout, wanted);
        assert!(cell.ready.elapsed_ms.is_some(), "{:?}", cell.ready);
    }
}

#[test]
fn type_ahead_goes_to_the_cell_that_runs() {
    for_each_python(|s, _| {
        let folder = tempfile::tempdir().unwrap();
        let gate = folder.path().join("gate");
        let id = s.begin(&format!("import os\nprint('go', flush=True)\nwhile not os.path.exists({gate:?}): pass\nprint(input('a '), input('b '))"));
        s.until_printed(&id, "go\n");
        s.send(Batch::stdin("one"));
        s.send(Batch::stdin("two\n"));
        s.status();
        std::fs::write(&gate, "").unwrap();
        let cell = s.finish(&id).ok();
        assert_eq!(cell.stdout, "go\none two\n");
        assert_eq!(cell.lines.len(), 2, "delivered input is told without a wait too");
    });
}

#[test]
fn input_can_be_sent_ahead_for_a_queued_cell_by_name() {
    let mut s = Session::python();
    let first = s.begin("input('first ')");
    s.send(Batch::cell("input('second ')").id("b"));
    s.send(Batch::cell("input('third ')").id("c"));
    let wait = s.wait_for("first ");
    s.send(Batch::stdin("for c").id("c"));
    s.send(Batch::stdin("for b").id("b"));
    s.answer(&wait, "for a");
    assert_eq!(s.finish(&first).ok().stdout, "'for a'\n");
    assert_eq!(s.finish("b").ok().stdout, "'for b'\n");
    assert_eq!(s.finish("c").ok().stdout, "'for c'\n");
}

#[test]
fn eof_ends_the_cells_standard_input_for_good() {
    for_each_python(|s, _| {
        let id = s.begin("import sys\nfor _ in range(2):\n    try: print(input('p '))\n    except EOFError: print('eof')\nprint(repr(sys.stdin.read()), sys.stdin.readline() == '')");
        let wait = s.wait_for("p ");
        s.send(Batch::stdin("").reader(wait.reader).eof());
        assert_eq!(s.finish(&id).ok().stdout, "eof\neof\n'' True\n");
        let id = s.begin("input('q ')");
        let wait = s.wait_for("q ");
        s.answer(&wait, "open again");
        assert_eq!(s.finish(&id).ok().stdout, "'open again'\n");
    });
}

#[test]
fn eof_adds_no_line_end_and_may_answer_without_address() {
    for_each_python(|s, _| {
        let id = s.begin("import sys\nsys.stdin.readline(), sys.stdin.readline()");
        s.wait_for("");
        s.send(Batch::new("half").eof());
        let cell = s.finish(&id).ok();
        assert_eq!(cell.stdout, "('half', '')\n");
        let id = s.begin("import os\nos.read(0, 50), os.read(0, 50)");
        s.wait_for("");
        s.send(Batch::stdin("x").eof());
        assert_eq!(s.finish(&id).ok().stdout, "(b'x', b'')\n");
        let id = s.begin("input('a '), input('b ')");
        s.wait_for("a ");
        s.send(Batch::stdin("one\nlast").eof());
        assert_eq!(s.finish(&id).ok().stdout, "('one', 'last')\n");
    });
}

#[test]
fn the_lines_after_the_first_are_source() {
    let mut s = Session::python();
    let id = s.begin("x = input('p ')\nhello = 5\nprint(x, hello)");
    let wait = s.wait_for("p ");
    s.answer(&wait, "typed");
    assert_eq!(s.finish(&id).ok().stdout, "typed 5\n");
    s.says("a = '''1\r\n2'''\r\na", "'1\\n2'\n");
}

#[test]
fn events_name_the_cell_they_belong_to() {
    let mut s = Session::python();
    s.send(Batch::cell("print('x')\ninput('p ')").id("named"));
    let wait = s.wait_for("p ");
    assert_eq!(wait.id.as_deref(), Some("named"));
    s.answer(&wait, "y");
    let cell = s.finish("named").ok();
    assert!(cell.texts.iter().all(|text| text.id.as_deref() == Some("named")));
    s.send(Batch::cell("print('x')"));
    let cell = s.finish_unnamed().ok();
    assert_eq!((cell.stdout.as_str(), cell.ready.id), ("x\n", None));
}

#[test]
fn a_cells_output_comes_before_its_ready() {
    let mut s = Session::python();
    let ids: Vec<_> = (0..50)
        .map(|n| {
            s.begin(&format!("import os\nprint('a{n}'); os.write(1, b'b'); os.system('echo c'); print('d', end='')"))
        })
        .collect();
    let mut open = 0;
    while open < ids.len() {
        match s.next() {
            Event::Ready(ready) => {
                assert_eq!(ready.id.as_deref(), Some(ids[open].as_str()));
                let said: String = s.take(Some(&ids[open])).texts.iter().filter_map(|text| text.text.clone()).collect();
                assert_eq!(said, format!("a{open}\nbc\nd"));
                open += 1;
            }
            other => s.fail(&format!("{other:?}")),
        }
    }
}
