//! Text into the inside of a JSON string, a whole run at a time.

/// Appends `text` to `out` as JSON wants it between quotes.
///
/// Nearly all text needs nothing, so the next byte that does is looked for in blocks, which the compiler turns into
/// vector instructions, and everything before it is copied at once.
pub fn escape_into(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut done = 0;
    while let Some(at) = next_special(bytes, done) {
        out.extend_from_slice(&bytes[done..at]);
        push_escaped(out, bytes[at]);
        done = at + 1;
    }
    out.extend_from_slice(&bytes[done..]);
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn next_special(bytes: &[u8], from: usize) -> Option<usize> {
    const BLOCK: usize = 32;
    let mut at = from;
    for block in bytes[from..].chunks_exact(BLOCK) {
        let mut any = false;
        for &byte in block {
            any |= is_special(byte);
        }
        if any {
            break;
        }
        at += BLOCK;
    }
    bytes[at..].iter().position(|&byte| is_special(byte)).map(|offset| at + offset)
}

fn push_escaped(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'\n' => out.extend_from_slice(b"\\n"),
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(text: &str) {
        let mut line = vec![b'"'];
        escape_into(&mut line, text);
        line.push(b'"');
        assert_eq!(serde_json::from_slice::<String>(&line).unwrap(), text);
        assert!(!line.contains(&b'\n'));
    }

    #[test]
    fn every_ascii_character_at_every_place_of_a_block() {
        for byte in 0..128u8 {
            for length in [0, 1, 31, 32, 33, 63, 64, 65] {
                round_trip(&format!("{}{}é", "x".repeat(length), byte as char));
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in ".*") {
            round_trip(&text);
        }
    }
}
