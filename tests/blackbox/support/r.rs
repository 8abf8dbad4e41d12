//! What the tests of R share.

use crate::support::harness::{Session, bare_launch};
use std::time::Instant;
use worker_client::{Batch, Event};
use worker_protocol::Stream;

/// A session of R.
#[track_caller]
pub fn r() -> Session {
    Session::start(bare_launch("r"))
}

/// The minor version of the session's R 4.
pub fn minor(s: &Session) -> u32 {
    let version = &s.first.runtime.as_ref().expect("the first `ready` tells the runtime").version;
    let minor = version.strip_prefix("4.").and_then(|rest| rest.split('.').next()?.parse().ok());
    minor.unwrap_or_else(|| panic!("R {version}"))
}

/// A session of R in a directory that has this profile.
#[track_caller]
pub fn with_profile(profile: &str) -> (tempfile::TempDir, worker_client::Launch) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".Rprofile"), profile).unwrap();
    let launch = bare_launch("r").directory(folder.path());
    (folder, launch)
}

/// Runs a cell and tells what it says in order: texts (stderr after `! `), pictures as `<page>` and `<page again>`, and at
/// last the outcome.
#[track_caller]
pub fn story(s: &mut Session, code: &str) -> Vec<String> {
    let id = s.begin(code);
    let deadline = Instant::now() + crate::support::harness::LIMIT;
    let mut story: Vec<String> = Vec::new();
    let mut last = None;
    loop {
        match s.worker.recv(deadline) {
            Ok(Event::OutputText(text)) => {
                let bytes = text.bytes();
                let words = String::from_utf8_lossy(&bytes);
                if last != Some(text.stream) {
                    story.push(if text.stream == Stream::Stderr { "! ".to_owned() } else { String::new() });
                }
                story.last_mut().unwrap().push_str(&words);
                last = Some(text.stream);
            }
            Ok(Event::OutputImage(image)) => {
                assert_eq!(image.mime_type, "image/png");
                assert!(image.data_b64.starts_with("iVBORw0KGgo"), "a PNG");
                assert_eq!(image.id.as_deref(), Some(&*id));
                let source = image.source.expect("a picture has a source");
                story.push(format!("<{source}{}>", if image.is_update { " again" } else { "" }));
                last = None;
            }
            Ok(Event::Ready(ready)) if ready.id.as_deref() == Some(&id) => {
                story.push(format!("{:?}", ready.outcome.expect("a cell has an outcome")));
                return story;
            }
            other => panic!("{other:?} after {story:?}"),
        }
    }
}

/// Runs a cell whose readers are answered in turn: each with its prompt and its answer.
#[track_caller]
pub fn talk(s: &mut Session, code: &str, answers: &[(&str, &str)]) -> crate::support::said::Cell {
    let id = s.begin(code);
    for (prompt, answer) in answers {
        let wait = s.wait_for(prompt);
        assert_eq!(wait.id.as_deref(), Some(&*id));
        s.send(Batch::new(*answer));
        s.delivered(&wait, answer);
    }
    s.finish(&id)
}
