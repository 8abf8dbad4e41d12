//! The JSON-RPC requests: what each answers, and when it is refused.

use crate::support::harness::Session;
use crate::support::pythons::for_each_python;
use serde_json::{Value, json};

#[test]
fn status_tells_the_state_at_any_time() {
    let mut s = Session::python();
    let status = s.status();
    assert_eq!(status["state"], "idle");
    assert_eq!(status["queued_cells"], 0);
    assert_eq!(status["background_waits"], 0);
    assert_eq!(status["queued_stdin_bytes"], 0);
    assert_eq!(status["session_id"], json!(s.hello.session_id));
    assert_eq!(status["pid"], json!(s.worker.pid()));
    assert_eq!(status["cells_run"], 0);
    assert!(status["rss_bytes"].as_u64().unwrap() > 1 << 20, "{status}");
    for time in ["uptime_ms", "last_activity_ms"] {
        assert!(status[time].as_f64().is_some_and(|ms| ms >= 0.0), "{time} in {status}");
    }
    assert_eq!(status.get("id").cloned().unwrap_or(Value::Null), Value::Null);

    let id = s.begin("print('go', flush=True)\nwhile True: pass");
    s.until_printed(&id, "go\n");
    s.begin("1");
    s.begin("2");
    s.send(worker_client::Batch::stdin("ahead"));
    let status = s.status();
    assert_eq!((&status["state"], &status["id"], &status["queued_cells"]), (&json!("busy"), &json!(id), &json!(2)));
    assert_eq!(status["queued_stdin_bytes"], 6);
    s.interrupt();
    s.finish(&id).interrupted();
    s.discarded("c2");
    s.discarded("c3");

    let id = s.begin("input('p ')");
    let wait = s.wait_for("p ");
    assert_eq!(s.status()["state"], "waiting");
    s.answer(&wait, "x");
    s.finish(&id).ok();
    assert_eq!(s.status()["cells_run"], 2);
}

#[test]
fn status_is_answered_while_native_code_holds_everything() {
    let mut s = Session::python();
    let id = s.begin("import ctypes\nprint('go', flush=True)\nctypes.PyDLL(None).usleep(300000)");
    s.until_printed(&id, "go\n");
    for _ in 0..20 {
        assert_eq!(s.status()["state"], "busy");
    }
    s.finish(&id).ok();
}

#[test]
fn shutdown_by_request_gives_its_result_and_ends() {
    let mut s = Session::python();
    assert_eq!(s.call("shutdown", json!({"grace_ms": 500})).unwrap(), json!({}));
    let end = s.ended();
    assert_eq!(end.ending.reason, worker_client::Reason::Shutdown { forced: false });
}

#[test]
fn is_complete_tells_what_a_prompt_would() {
    for_each_python(|s, _| {
        for (code, status) in [
            ("1 + 1", "complete"),
            ("", "complete"),
            ("x = (1,", "incomplete"),
            ("if True:", "incomplete"),
            ("def f():\n    return 1", "incomplete"),
            ("def f():\n    return 1\n\n", "complete"),
            ("'''abc", "incomplete"),
            ("x = \\", "incomplete"),
            ("x = = 1", "invalid"),
            (")", "invalid"),
            ("await f()", "complete"),
            ("# comment", "complete"),
        ] {
            let answer = s.call("is_complete", json!({"code": code})).unwrap();
            assert_eq!(answer["status"], status, "{code:?}: {answer}");
        }
        // Nested more deeply than any Python compiles.
        for code in [format!("{}1", "-".repeat(100_000)), "[".repeat(100_000), format!("x{}", ".a".repeat(100_000))] {
            let answer = s.call("is_complete", json!({"code": code})).unwrap();
            assert_eq!(answer["status"], "invalid", "{}...", &code[..9]);
        }
        let answer = s.call("is_complete", json!({"code": "if True:"})).unwrap();
        assert_eq!(answer["indent"], "    ", "{answer}");
        s.says("'_' in globals()", "False\n");
    });
}

#[test]
fn r13_every_language_takes_and_gives_one_shape() {
    for mut s in [Session::python(), crate::support::r::r()] {
        assert_eq!(s.call("is_complete", json!({"code": "1"})), Ok(json!({"status": "complete"})));
        assert_eq!(s.call("is_complete", json!({"code": "1 + )"})), Ok(json!({"status": "invalid"})));
        let unfinished = s.call("is_complete", json!({"code": "f(1,"})).unwrap();
        assert_eq!((&unfinished["status"], unfinished["indent"].is_string()), (&json!("incomplete"), true));
        // Without `cursor` the end is meant.
        for method in ["complete", "inspect"] {
            let whole = s.call(method, json!({"code": "pri"})).unwrap();
            assert_eq!(whole, s.call(method, json!({"code": "pri", "cursor": 3})).unwrap());
            for params in
                [json!({"code": "x", "cursor": null}), json!({"cursor": 0}), json!({"code": "é", "cursor": 2})]
            {
                assert_eq!(s.call(method, params).unwrap_err().code, -32602);
            }
        }
        assert_eq!(s.call("variables", json!([1])).unwrap_err().code, -32602);
        assert_eq!(s.call("explode", json!({})).unwrap_err().code, -32601);
    }
}

#[test]
fn the_interpreters_requests_are_refused_at_once_while_it_is_busy() {
    let mut s = Session::python();
    let id = s.begin("print('go', flush=True)\nwhile True: pass");
    s.until_printed(&id, "go\n");
    for method in ["is_complete", "complete", "inspect", "variables"] {
        if s.hello.capabilities.requests.iter().any(|known| known == method) {
            let refused = s.call(method, json!({"code": "x", "cursor": 1})).unwrap_err();
            assert_eq!(refused.code, -32002, "{method}");
        }
    }
    s.interrupt();
    s.finish(&id).interrupted();
}

#[test]
fn the_interpreters_requests_are_answered_while_a_cell_waits() {
    for_each_python(|s, _| {
        let id = s.begin("input('p ')");
        let wait = s.wait_for("p ");
        for _ in 0..5 {
            assert_eq!(s.call("is_complete", json!({"code": "1"})).unwrap()["status"], "complete");
        }
        s.answer(&wait, "x");
        assert_eq!(s.finish(&id).ok().stdout, "'x'\n");
    });
}

#[test]
fn every_method_that_is_announced_is_known_and_no_other() {
    let mut s = Session::python();
    let announced = s.hello.capabilities.requests.clone();
    for method in ["status", "interrupt", "is_complete", "complete", "inspect", "variables", "eval", ""] {
        let params = json!({"code": "pri", "cursor": 3});
        let unknown = matches!(s.call(method, params), Err(error) if error.code == -32601);
        assert_eq!(unknown, !announced.iter().any(|known| known == method), "{method}");
    }
}

#[test]
fn answers_come_in_the_order_of_their_requests() {
    let mut s = Session::python();
    let ids: Vec<_> = (0..100).map(|_| s.ask("status", json!({}))).collect();
    for id in ids {
        s.answer_of(&id).unwrap();
    }
    s.line(r#"{"jsonrpc": "2.0", "id": 12345, "method": "status"}"#);
    s.answer_of(&json!(12345)).unwrap();
}
