//! The limits of the command line, as they were asked for.

use std::path::{Path, PathBuf};

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory for the whole session.
    pub memory: Option<u64>,
    /// Processes and threads for the whole session.
    pub processes: Option<u64>,
    /// Seconds of CPU time for each process.
    pub cpu_seconds: Option<u64>,
    /// Bytes for each file that is written.
    pub file_size: Option<u64>,
    /// Open files for each process.
    pub open_files: Option<u64>,
    /// No sockets but Unix ones.
    pub no_network: bool,
    /// The only places to write to, besides the temporary directory.
    pub writable: Option<Vec<PathBuf>>,
}

impl Limits {
    /// Takes one `--limit`, such as `memory=2G,processes=64`.
    pub fn take(&mut self, text: &str) -> Result<(), String> {
        for part in text.split(',') {
            let Some((name, value)) = part.split_once('=') else {
                return Err(format!("{part:?}: give NAME=VALUE, such as memory=2G"));
            };
            let (place, is_size) = match name.trim() {
                "memory" => (&mut self.memory, true),
                "file-size" => (&mut self.file_size, true),
                "cpu-seconds" => (&mut self.cpu_seconds, false),
                "processes" => (&mut self.processes, false),
                "open-files" => (&mut self.open_files, false),
                other => {
                    return Err(format!(
                        "there is no limit {other:?}: there are memory, cpu-seconds, processes, file-size and open-files"
                    ));
                }
            };
            *place = Some(number(value.trim(), is_size)?);
        }
        Ok(())
    }

    /// Makes directories absolute; `folder`: where relative ones start.
    pub fn resolve(&mut self, folder: &Path) {
        for path in self.writable.iter_mut().flatten() {
            *path = folder.join(&path);
        }
    }

    /// Whether there is one at all.
    pub fn is_any(&self) -> bool {
        *self != Limits::default()
    }
}

fn number(text: &str, is_size: bool) -> Result<u64, String> {
    let wrong = || match is_size {
        true => format!("{text:?} is no size: give bytes, or a number with K, M, G or T, such as 2G"),
        false => format!("{text:?} is no whole number"),
    };
    let (digits, shift) = match text.bytes().last() {
        Some(b'K' | b'k') if is_size => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') if is_size => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') if is_size => (&text[..text.len() - 1], 30),
        Some(b'T' | b't') if is_size => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).filter(|number| *number <= i64::MAX as u64).ok_or_else(wrong)
}

#[cfg(test)]
impl Limits {
    /// What one `--limit` asks for.
    pub fn taken(text: &str) -> Result<Limits, String> {
        let mut limits = Limits::default();
        limits.take(text).map(|()| limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        let all = Limits::taken("memory=2G,cpu-seconds=60,processes=64,file-size=1G,open-files=256").unwrap();
        assert_eq!((all.memory, all.file_size), (Some(2 << 30), Some(1 << 30)));
        assert_eq!((all.cpu_seconds, all.processes, all.open_files), (Some(60), Some(64), Some(256)));
        assert_eq!(Limits::taken("memory=512m").unwrap().memory, Some(512 << 20));
        assert_eq!(Limits::taken("file-size=0").unwrap().file_size, Some(0));
        for (text, says) in [
            ("memory", "NAME=VALUE"),
            ("memory=", "no size"),
            ("memory=-1", "no size"),
            ("memory=2GiB", "no size"),
            ("memory=9999999999999T", "no size"),
            ("cpu-seconds=1K", "no whole number"),
            ("pigeons=3", "there are memory"),
            ("memory=1G,,", "NAME=VALUE"),
        ] {
            assert!(Limits::taken(text).unwrap_err().contains(says), "{text}");
        }
    }
}
