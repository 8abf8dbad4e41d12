//! Text into messages: joined while it can grow, cut where a message is full, base64 where it is not UTF-8.

use super::*;

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
            self.start_text(out, kind, is_rest);
            out.buf.extend_from_slice(b",\"text\":\"");
            out.open = Some(OpenText { kind, text_len: 0 });
        }
        let before = out.buf.len();
        escape_into(&mut out.buf, piece);
        out.accepted += (out.buf.len() - before) as u64;
        if let Some(open) = &mut out.open {
            open.text_len += size;
            if open.text_len > MAX_TEXT - 4 {
                self.close(out);
            }
        }
        self.mark_unflushed(out);
        size
    }

    pub(super) fn start_text(&self, out: &mut Out, kind: Kind, is_rest: bool) {
        let start = out.buf.len();
        out.buf.extend_from_slice(match kind.stream {
            Stream::Stdout => b"{\"type\":\"output_text\",\"stream\":\"stdout\"",
            Stream::Stderr => b"{\"type\":\"output_text\",\"stream\":\"stderr\"",
        });
        if self.encode == TextEncoding::Base64 {
            out.buf.extend_from_slice(if is_rest {
                b",\"is_continuation\":true"
            } else {
                b",\"is_continuation\":false" as &[u8]
            });
        } else {
            if is_rest {
                out.buf.extend_from_slice(b",\"is_continuation\":true");
            }
            if kind.from_fd {
                out.buf.extend_from_slice(b",\"origin\":\"fd\"");
            }
            match kind.role {
                Some(Role::Result) => out.buf.extend_from_slice(b",\"role\":\"result\""),
                Some(Role::Traceback) => out.buf.extend_from_slice(b",\"role\":\"traceback\""),
                None => {}
            }
            out.buf.extend_from_slice(&out.cell);
        }
        out.accepted += (out.buf.len() - start) as u64;
    }

    pub(super) fn append_base64(&self, out: &mut Out, kind: Kind, bytes: &[u8], is_rest: bool) {
        use base64::Engine as _;
        self.close(out);
        self.start_text(out, kind, is_rest);
        let start = out.buf.len();
        out.buf.extend_from_slice(b",\"data_b64\":\"");
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        out.buf.extend_from_slice(text.as_bytes());
        out.buf.extend_from_slice(b"\"}\n");
        out.accepted += (out.buf.len() - start) as u64;
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
            out.buf.extend_from_slice(b"\"}\n");
            out.accepted += 3;
        }
    }
}
