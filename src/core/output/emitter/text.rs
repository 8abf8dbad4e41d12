//! Text into messages: joined while it can grow, cut where a message is full, base64 where it is not UTF-8.

use super::*;
use worker_protocol::line_writer::{CLOSE, ESCAPED, HEAD};

impl Emitter {
    /// `is_rest`: the run goes on with a write that has begun.
    pub(super) fn append_run(&self, out: &mut Out, kind: Kind, run: Run<'_>, is_rest: bool) {
        match run {
            Run::Text(text) => {
                let mut taken = 0;
                while taken < text.len() {
                    taken += self.append_piece(out, kind, &text[taken..], is_rest || taken > 0);
                }
            }
            Run::Bytes(bytes) => {
                for (number, piece) in bytes.chunks(MAX_TEXT).enumerate() {
                    self.append_base64(out, kind, piece, is_rest || number > 0);
                }
            }
        }
    }

    /// Appends the beginning of `text`, as much as one message takes, and gives its length.
    pub(super) fn append_piece(&self, out: &mut Out, kind: Kind, text: &str, is_rest: bool) -> usize {
        let size = if text.len() <= MAX_TEXT { text.len() } else { text.floor_char_boundary(MAX_TEXT) };
        let piece = &text[..size];
        if self.encode == TextEncoding::Base64 {
            self.append_base64(out, kind, piece.as_bytes(), is_rest);
            return size;
        }
        let fits = matches!(&out.open, Some(open) if open.kind == kind && open.text_len + size <= MAX_TEXT);
        if !fits {
            self.close(out);
        }
        let text_len = if fits { out.open.as_ref().map_or(0, |open| open.text_len) + size } else { size };
        let is_open = text_len <= MAX_TEXT - 4;
        let Out { unwritten, cell, .. } = out;
        let cell = cell.bytes();
        let added = unwritten.append(HEAD + cell.len() + ESCAPED * size, |room| {
            let mut line = LineWriter::new(room);
            if !fits {
                line.push_head(TextEncoding::Text, kind, is_rest);
                line.push(cell);
                line.open_text();
            }
            line.push_escaped(piece);
            if !is_open {
                line.close();
            }
            (line.written().len(), is_open)
        });
        out.accepted += added as u64;
        out.open = is_open.then_some(OpenText { kind, text_len });
        self.mark_unflushed(out);
        size
    }

    /// Appends bytes that are not text, or everything in the second dialect, which names no cell.
    pub(super) fn append_base64(&self, out: &mut Out, kind: Kind, bytes: &[u8], is_rest: bool) {
        self.close(out);
        let Out { unwritten, cell, .. } = out;
        let cell = if self.encode == TextEncoding::Base64 { &[] } else { cell.bytes() };
        let added = unwritten.append(HEAD + cell.len() + bytes.len().div_ceil(3) * 4, |room| {
            let mut line = LineWriter::new(room);
            line.push_head(self.encode, kind, is_rest);
            line.push(cell);
            line.push_data(bytes);
            line.close();
            (line.written().len(), false)
        });
        out.accepted += added as u64;
        self.mark_unflushed(out);
    }

    /// Bytes of a character that never got its rest come out before text that follows them.
    pub(super) fn release_own_tail(&self, out: &mut Out, kind: Kind) {
        if out.own[index(kind.stream)].is_holding() {
            let mut decoder = std::mem::take(&mut out.own[index(kind.stream)]);
            decoder.finish(|run| self.append_run(out, kind, run, false));
        }
    }

    pub(super) fn close_tails(&self, out: &mut Out) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.release_own_tail(out, Kind { stream, role: None, from_fd: false });
            if out.raw[index(stream)].is_holding() {
                let mut decoder = std::mem::take(&mut out.raw[index(stream)]);
                decoder.finish(|run| self.append_run(out, Kind { stream, role: None, from_fd: true }, run, false));
            }
        }
    }

    pub(super) fn close(&self, out: &mut Out) {
        if out.open.take().is_some() {
            out.unwritten.append_all(CLOSE);
            out.accepted += CLOSE.len() as u64;
        }
    }
}
