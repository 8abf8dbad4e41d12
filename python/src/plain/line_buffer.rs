//! Texts that are written together: the values of one `print`.

/// Longer texts, in bytes, are written as they are and not copied.
const LONG: usize = 4 << 10;

/// Collects texts up to [`LONG`] bytes, and writes what it has collected when more come. Nothing is written twice, also
/// after an error of `write`, which gets what was collected in any case.
pub(crate) struct LineBuffer {
    text: String,
}

impl LineBuffer {
    /// An empty buffer in the memory of `room`.
    pub(crate) fn new(mut room: String) -> LineBuffer {
        room.clear();
        LineBuffer { text: room }
    }

    /// The buffer's memory, for the next one.
    pub(crate) fn into_room(self) -> String {
        self.text
    }

    /// Appends `text`. Calls `write` where that is too much to collect; gives its first error.
    pub(crate) fn push<E>(&mut self, text: &str, mut write: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
        if self.text.len() + text.len() > LONG {
            self.write(&mut write)?;
        }
        if text.len() > LONG {
            return write(text);
        }
        self.text.push_str(text);
        Ok(())
    }

    /// Calls `write` with what is collected, if anything is.
    pub(crate) fn write<E>(&mut self, write: impl FnOnce(&str) -> Result<(), E>) -> Result<(), E> {
        if self.text.is_empty() {
            return Ok(());
        }
        let written = write(&self.text);
        self.text.clear();
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts that were written, one for each call.
    fn written(texts: &[&str]) -> Vec<String> {
        let mut all = Vec::new();
        let mut write = |text: &str| {
            all.push(text.to_owned());
            Ok::<(), ()>(())
        };
        let mut buffer = LineBuffer::new(String::new());
        for text in texts {
            buffer.push(text, &mut write).unwrap();
        }
        buffer.write(&mut write).unwrap();
        all
    }

    #[test]
    fn short_texts_are_written_once() {
        assert_eq!(written(&["a", " ", "b", "\n"]), ["a b\n"]);
        assert_eq!(written(&["", ""]), [""; 0]);
    }

    #[test]
    fn a_long_text_is_written_by_itself_and_in_order() {
        let long = "x".repeat(LONG + 1);
        assert_eq!(written(&["a", &long, "b"]), ["a", &long, "b"]);
        assert_eq!(written(&[&long]), [long]);
    }

    #[test]
    fn the_buffer_never_exceeds_its_limit() {
        let half = "x".repeat(LONG / 2);
        assert_eq!(written(&[&half, &half]), [half.repeat(2)]);
        assert_eq!(written(&[&half, &half, "y"]), [half.repeat(2), "y".to_owned()]);
    }

    #[test]
    fn an_error_is_given_once_and_drops_what_was_collected() {
        let mut buffer = LineBuffer::new(String::new());
        buffer.push("a", |_| Err("never called")).unwrap();
        assert_eq!(buffer.write(|_| Err("broken")), Err("broken"));
        assert_eq!(buffer.write(|_| Err("empty by now")), Ok(()));
    }

    #[test]
    fn old_text_in_the_room_is_not_written() {
        let mut buffer = LineBuffer::new("old".to_owned());
        buffer.push("new", |_| Ok::<(), ()>(())).unwrap();
        assert_eq!(buffer.into_room(), "new");
    }
}
