//! Reads of standard input: numbered, served in order of arrival, and what they leave over.

use super::*;

impl State {
    /// Numbers a reader.
    pub fn new_reader(&mut self) -> u64 {
        let reader = self.next_reader;
        self.next_reader += 1;
        reader
    }

    /// What a reader of `cell` can have at once. Empty bytes are the end of file.
    pub fn take_stdin(&mut self, reader: u64, cell: Option<&Arc<CellRef>>, want: Want) -> Option<Vec<u8>> {
        let is_ending = self.ending.is_some() || self.is_gone;
        let mine = self.waits.iter().position(|wait| wait.reader == reader);
        let has_elders =
            self.waits.iter().take(mine.unwrap_or(self.waits.len())).any(|wait| same_cell(wait.cell.as_ref(), cell));
        let has_ended = is_ending || cell.is_some_and(|cell| cell.stdin_ended.load(SeqCst));
        let running = match &mut self.phase {
            Phase::Running(running) if same_cell(Some(&running.cell), cell) => Some(running),
            _ => None,
        };
        let Some(at) = mine else {
            return match running {
                Some(running) if !has_elders => {
                    running.stdin.eof |= has_ended;
                    running.stdin.take(want)
                }
                _ => has_ended.then(Vec::new),
            };
        };
        let wait = &mut self.waits[at];
        if let Some(running) = running
            && !has_elders
            && running.stdin.len() > 0
        {
            // What another reader left comes after what was sent for this one.
            wait.stdin.push(&running.stdin.drain());
        }
        wait.stdin.eof |= has_ended;
        wait.stdin.take(want)
    }

    /// A wait is over, answered or not: what it leaves over is its cell's while that runs.
    pub fn end_wait(&mut self, reader: u64) {
        let Some(at) = self.waits.iter().position(|wait| wait.reader == reader) else { return };
        let mut wait = self.waits.remove(at);
        if let Phase::Running(running) = &mut self.phase
            && same_cell(Some(&running.cell), wait.cell.as_ref())
            && wait.stdin.len() > 0
        {
            running.stdin.push_front(&wait.stdin.drain());
        }
    }

    /// How much standard input waits to be read.
    pub fn queued_stdin_bytes(&self) -> usize {
        let running = self.running().map_or(0, |running| running.stdin.len());
        let waits: usize = self.waits.iter().map(|wait| wait.stdin.len()).sum();
        // Type-ahead of queued cells is rare; most have none.
        running + waits + self.queue.iter().map(|cell| cell.stdin.len()).sum::<usize>()
    }
}
