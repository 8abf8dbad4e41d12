//! A session that is soaked: gathers what each cell says and checks it against what it must have said.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use worker_client::{Batch, Event, InputWait, Launch, NoEvent, Ready, Reason, Worker};
use worker_protocol::{Outcome, Role, Stream};

/// Nothing that works takes so long.
const LIMIT: Duration = Duration::from_secs(60);

/// What one cell has said.
#[derive(Debug, Default)]
pub struct Said {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// The part of stdout that is a result.
    pub result: Vec<u8>,
    pub waits: usize,
    /// What the pictures are of, with how much of stdout came before each.
    pub pictures: Vec<(usize, String)>,
    pub ready: Ready,
}

impl Said {
    pub fn outcome(&self) -> Outcome {
        self.ready.outcome.expect("the `ready` of a cell has an outcome")
    }

    /// It succeeded and printed exactly this.
    pub fn is(&self, stdout: &[u8]) {
        self.printed(stdout);
        assert_eq!(String::from_utf8_lossy(&self.stderr), "", "stderr");
        assert!(self.pictures.is_empty(), "{:?}", self.pictures);
        assert_eq!(self.outcome(), Outcome::Ok, "{:?}", self.ready);
    }

    /// It printed exactly this to stdout; a difference is shown where it begins.
    pub fn printed(&self, expected: &[u8]) {
        same(&self.stdout, expected);
    }
}

/// Both are the same bytes; a difference is shown where it begins.
pub fn same(got: &[u8], expected: &[u8]) {
    if got == expected {
        return;
    }
    let at = got.iter().zip(expected).position(|(a, b)| a != b).unwrap_or(got.len().min(expected.len()));
    let around = |bytes: &[u8]| {
        let (start, end) = (at.saturating_sub(40).min(bytes.len()), (at + 40).min(bytes.len()));
        String::from_utf8_lossy(&bytes[start..end]).into_owned()
    };
    panic!(
        "output differs at byte {at} (got {} bytes, expected {}):\n got      …{:?}\n expected …{:?}",
        got.len(),
        expected.len(),
        around(got),
        around(expected)
    );
}

/// A session and the sums of what has passed.
pub struct Session {
    worker: Worker,
    said: BTreeMap<Option<String>, Said>,
    ready: Vec<Ready>,
    cells: u64,
    pub bytes: u64,
    pub interrupts: u64,
    /// The last cells, for the report of a failure.
    log: Vec<String>,
}

impl Session {
    pub fn start(launch: Launch) -> Self {
        let (worker, _, _) = launch.start(LIMIT).expect("the worker starts");
        Session { worker, said: BTreeMap::new(), ready: Vec::new(), cells: 0, bytes: 0, interrupts: 0, log: Vec::new() }
    }

    pub fn pid(&self) -> u32 {
        self.worker.pid()
    }

    pub fn cells(&self) -> u64 {
        self.cells
    }

    /// The last cells, as they were sent.
    pub fn log(&self) -> String {
        self.log.join("\n")
    }

    /// Sends a cell and gives its name.
    pub fn begin(&mut self, code: &str) -> String {
        self.begin_as(code, |batch| batch)
    }

    pub fn begin_as(&mut self, code: &str, more: impl FnOnce(Batch) -> Batch) -> String {
        self.cells += 1;
        let id = format!("c{}", self.cells);
        let mut shown = format!("{id}: {code}");
        shown.truncate(shown.floor_char_boundary(600));
        if self.log.len() > 20 {
            self.log.remove(0);
        }
        self.log.push(shown);
        self.worker.send(&more(Batch::cell(code).id(&id))).expect("the worker takes requests");
        id
    }

    /// Runs a cell that asks nothing.
    pub fn run(&mut self, code: &str) -> Said {
        let id = self.begin(code);
        self.finish(&id)
    }

    /// Everything of a cell that asks nothing; its `ready` must be the next.
    pub fn finish(&mut self, id: &str) -> Said {
        self.finish_answering(id, |wait| panic!("nobody asked for {wait:?}"))
    }

    /// The same for one that reads; `answer` gives the line for each wait.
    pub fn finish_answering(&mut self, id: &str, mut answer: impl FnMut(&InputWait) -> Batch) -> Said {
        while self.ready.is_empty() {
            if let Some(wait) = self.step() {
                let batch = answer(&wait);
                self.worker.send(&batch).expect("the worker takes requests");
            }
        }
        let ready = self.ready.remove(0);
        assert_eq!(ready.id.as_deref(), Some(id), "the next `ready`: {ready:?}");
        let mut said = self.said.remove(&Some(id.to_owned())).unwrap_or_default();
        self.bytes += (said.stdout.len() + said.stderr.len()) as u64;
        said.ready = ready;
        said
    }

    /// Everything of a cell whose waits nobody answers: something else ends it.
    pub fn finish_unanswered(&mut self, id: &str) -> Said {
        while self.ready.is_empty() {
            self.step();
        }
        self.finish(id)
    }

    /// Interrupts and gives everything of the cell; waits of it are left to the interrupt.
    pub fn interrupt(&mut self, id: &str, by_name: bool) -> Said {
        self.interrupt_by(id, by_name, false)
    }

    /// The same; `is_paired`: the signal comes with the message.
    pub fn interrupt_by(&mut self, id: &str, by_name: bool, is_paired: bool) -> Said {
        self.interrupts += 1;
        if by_name {
            self.worker.sender().interrupt_cell(id).expect("the worker takes requests");
        } else {
            self.worker.interrupt().expect("the worker takes requests");
        }
        if is_paired {
            self.worker.signal(libc::SIGINT);
        }
        while !self.ready.iter().any(|ready| ready.id.is_some()) {
            self.step();
        }
        // Whatever the interrupt says by itself comes before the answer of what was asked after it.
        self.status();
        let bare = self.ready.iter().filter(|ready| ready.id.is_none()).count();
        self.ready.retain(|ready| ready.id.is_some());
        let said = self.finish(id);
        let stopped = matches!(said.outcome(), Outcome::Interrupted | Outcome::Error);
        let allowed = match (by_name, said.outcome()) {
            (true, _) => 0..=0,
            (false, Outcome::Discarded) => 1..=1,
            // A cell that was over before the interrupt came leaves it to be answered by itself.
            (false, _) if !stopped => 0..=1,
            (false, _) => 0..=0,
        };
        assert!(allowed.contains(&bare), "{bare} bare `ready` with {:?}", said.ready);
        said
    }

    pub fn status(&mut self) -> serde_json::Value {
        // Not `call`, which would hold events back from being gathered: a cell's output would pile up in front of it.
        let id = serde_json::Value::from("status");
        self.worker.sender().request(id, "status", serde_json::json!({})).expect("the worker takes requests");
        loop {
            match self.recv() {
                Event::Response(response) => return response.result.expect("status is always answered"),
                event => drop(self.take(event)),
            }
        }
    }

    /// What was said between cells, taken.
    pub fn between(&mut self) -> Vec<u8> {
        self.said.remove(&None).map(|said| said.stdout).unwrap_or_default()
    }

    /// What the running cell has printed so far.
    pub fn printed_so_far(&self, id: &str) -> usize {
        self.said.get(&Some(id.to_owned())).map_or(0, |said| said.stdout.len())
    }

    /// Takes one event.
    pub fn step(&mut self) -> Option<InputWait> {
        let event = self.recv();
        self.take(event)
    }

    fn recv(&mut self) -> Event {
        match self.worker.recv_timeout(LIMIT) {
            Ok(event) => event,
            Err(NoEvent::Closed) => panic!("the session ended: {:?}", self.worker.wait(Instant::now() + LIMIT)),
            Err(NoEvent::TimedOut) => panic!(
                "nothing was said for {LIMIT:?}; status: {:?}",
                self.worker.call("status", serde_json::json!({}), Duration::from_secs(5))
            ),
        }
    }

    fn take(&mut self, event: Event) -> Option<InputWait> {
        let id = event.cell().map(str::to_owned);
        match event {
            Event::OutputText(text) => {
                let said = self.said.entry(id).or_default();
                let bytes = text.bytes();
                if text.role == Some(Role::Result) {
                    said.result.extend_from_slice(&bytes);
                }
                match text.stream {
                    Stream::Stdout => said.stdout.extend_from_slice(&bytes),
                    Stream::Stderr => said.stderr.extend_from_slice(&bytes),
                }
            }
            Event::Ready(ready) => self.ready.push(ready),
            Event::InputWait(wait) => {
                self.said.entry(id).or_default().waits += 1;
                return Some(wait);
            }
            Event::InputLine(_) => {}
            Event::OutputImage(image) => {
                assert!(image.data_b64.starts_with("iVBORw0KGgo"), "a PNG");
                let said = self.said.entry(id).or_default();
                let again = if image.is_update { " again" } else { "" };
                said.pictures.push((said.stdout.len(), image.source.unwrap_or_default() + again));
            }
            other => panic!("nobody asked for {other:?}"),
        }
        None
    }

    /// Ends the session; nothing may be left unsaid or unasked.
    pub fn shutdown(mut self) {
        let ending = self.worker.shutdown(Duration::from_secs(5)).expect("the session ends");
        assert_eq!(ending.reason, Reason::Shutdown { forced: false }, "{ending:?}");
        loop {
            match self.worker.recv(Instant::now()) {
                Ok(Event::SessionEnd(_)) => {}
                Ok(other) => panic!("at the end nobody asked for {other:?}"),
                Err(_) => break,
            }
        }
        assert!(self.ready.is_empty(), "{:?}", self.ready);
        assert!(self.said.is_empty(), "{:?}", self.said);
    }
}
