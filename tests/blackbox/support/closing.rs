//! The end of a session under test: it says `session_end` last and once, and nothing that nobody looked at.

use crate::support::harness::{LIMIT, Session};
use crate::support::said::{End, text_of};
use worker_client::*;
use worker_protocol::Stream;

impl Session {
    /// Ends the session as a supervisor would, and sees that it said nothing that nobody looked at.
    #[track_caller]
    pub fn shutdown(mut self) {
        self.end_by_shutdown();
    }

    #[track_caller]
    pub fn end_by_shutdown(&mut self) {
        // It may have ended already; the end that is seen below tells. With the usual grace a starved machine would force it.
        let _ = self.worker.sender().ask_to_end(Some(LIMIT));
        let end = self.see_the_end();
        assert_eq!(end.ending.reason, Reason::Shutdown { forced: false }, "{}", self.what);
        assert_eq!(end.ending.status.code(), Some(0), "exit status after a shutdown");
        assert_eq!(end.stdout + &end.stderr, "", "printed at the end");
    }

    /// Sees the session end by itself. All events but output must have been looked at.
    #[track_caller]
    pub fn ended(mut self) -> End {
        self.see_the_end()
    }

    #[track_caller]
    fn see_the_end(&mut self) -> End {
        let mut ends = 0;
        loop {
            match self.worker.recv(self.deadline) {
                Ok(event) => {
                    self.note(&event);
                    if ends > 0 {
                        self.fail("something was said after `session_end`");
                    }
                    ends += u32::from(matches!(event, Event::SessionEnd(_)));
                    if ends == 0 {
                        self.hold(event);
                    }
                }
                Err(NoEvent::Closed) => break,
                Err(NoEvent::TimedOut) => self.fail("the session does not end"),
            }
        }
        let Some(ending) = self.worker.wait(self.deadline) else { self.fail("the process does not end") };
        if let Some(event) = self.held.pop_front() {
            self.fail(&format!("nobody looked at {event:?}"));
        }
        self.log.push(format!("{ending:?}"));
        self.ended = true;
        let all = std::mem::take(&mut self.gathered);
        let mut turns: Vec<_> =
            all.into_values().flat_map(|gathered| gathered.turns.into_iter().zip(gathered.texts)).collect();
        turns.sort_by_key(|(turn, _)| *turn);
        let texts: Vec<_> = turns.into_iter().map(|(_, text)| text).collect();
        End {
            ending,
            stdout: text_of(&texts, |text| text.stream == Stream::Stdout),
            stderr: text_of(&texts, |text| text.stream == Stream::Stderr),
        }
    }

    /// The same, where an interrupt while no cell runs may be answered by a bare `ready` meanwhile.
    #[track_caller]
    pub fn ended_after_bare_ready(mut self) -> End {
        loop {
            match self.worker.recv(self.deadline) {
                Ok(Event::Ready(Ready { id: None, outcome: None, .. })) => {}
                Ok(event) => {
                    let over = matches!(event, Event::SessionEnd(_));
                    self.note(&event);
                    if over {
                        return self.see_the_end();
                    }
                    self.hold(event);
                }
                Err(why) => self.fail(&why.to_string()),
            }
        }
    }
}
