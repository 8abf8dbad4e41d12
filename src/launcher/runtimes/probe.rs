//! Asks an interpreter what it is by running it once, for the few that cannot be told by looking, and keeps the answer.

use crate::launcher::timeouts::PROBE;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Any Python can run it, so that an old one is not taken for a program that is no Python.
const QUESTION: &str = "\
import sys, sysconfig
sys.stdout.write('worker-probe %s %d %d %d %d' % ((getattr(getattr(sys, 'implementation', None), 'name', '?'),)
    + tuple(sys.version_info[:3]) + (bool(sysconfig.get_config_var('Py_GIL_DISABLED')),)))
";

/// What an interpreter says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// `sys.implementation.name`, such as `cpython`.
    pub implementation: String,
    /// Major and minor version.
    pub version: (u32, u32),
    /// The third number of the version.
    pub patch: u32,
    /// It has no global lock, and so another ABI.
    pub free_threaded: bool,
}

/// The answer as it is kept, with what it was true of.
#[derive(Serialize, Deserialize)]
struct Kept {
    path: PathBuf,
    inode: u64,
    modified: (i64, i64),
    answer: Answer,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It could not be run.
    #[error("it cannot be run: {0}")]
    Run(#[from] io::Error),
    /// It took too long.
    #[error("it did not answer `-I -c` within {} s", PROBE.as_secs())]
    Slow,
    /// It said something else.
    #[error("it does not answer as Python does{}", if .0.is_empty() { String::new() } else { format!(": {}", .0) })]
    Strange(String),
}

/// The interpreter's answer, from the cache folder if it is there.
pub fn ask(python: &Path, cache: Option<&Path>) -> Result<Answer, ProbeError> {
    let found = fs::metadata(python)?;
    let modified = (found.mtime(), found.mtime_nsec());
    let file = cache.map(|folder| {
        let mut hasher = DefaultHasher::new();
        python.hash(&mut hasher);
        folder.join(format!("probe-{:016x}.json", hasher.finish()))
    });
    let kept: Option<Kept> =
        file.as_ref().and_then(|file| fs::read(file).ok()).and_then(|text| serde_json::from_slice(&text).ok());
    if let Some(kept) = kept
        && (kept.path.as_path(), kept.inode, kept.modified) == (python, found.ino(), modified)
    {
        return Ok(kept.answer);
    }
    let answer = run(python)?;
    if let Some(file) = file {
        let kept = Kept { path: python.to_path_buf(), inode: found.ino(), modified, answer: answer.clone() };
        // Without a kept answer the next start asks again, which is slow but right.
        let _ = keep(&file, &kept);
    }
    Ok(answer)
}

fn keep(file: &Path, kept: &Kept) -> io::Result<()> {
    let mut temporary = tempfile::Builder::new().prefix(".probe-").tempfile_in(file.parent().unwrap_or(file))?;
    temporary.write_all(&serde_json::to_vec(kept)?)?;
    temporary.persist(file).map(drop).map_err(|failed| failed.error)
}

fn run(python: &Path) -> Result<Answer, ProbeError> {
    let output = File::from(sys::memory_file(c"worker-probe")?);
    let errors = File::from(sys::memory_file(c"worker-probe-errors")?);
    let mut child = Command::new(python)
        .args(["-I", "-c", QUESTION])
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(errors.try_clone()?)
        .spawn()?;
    // Files instead of pipes, and one descriptor to wait on: no thread is needed, and none may be started here.
    let process = sys::pidfd(child.id())?;
    let deadline = Instant::now() + PROBE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)], timeout) {
            Err(nix::errno::Errno::EINTR) => {}
            Ok(0) | Err(_) => {
                child.kill()?;
                child.wait()?;
                return Err(ProbeError::Slow);
            }
            Ok(_) => break,
        }
    }
    child.wait()?;
    read_answer(&text_of(output)?).ok_or_else(|| {
        let said = text_of(errors).unwrap_or_default();
        ProbeError::Strange(said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned())
    })
}

fn text_of(mut file: File) -> io::Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(64 << 10).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn read_answer(text: &str) -> Option<Answer> {
    // A wrapper may print before it.
    let mut words = text.rsplit_once("worker-probe ")?.1.split_whitespace();
    let implementation = words.next()?.to_owned();
    let mut number = || words.next()?.parse().ok();
    Some(Answer { implementation, version: (number()?, number()?), patch: number()?, free_threaded: number()? != 0 })
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Writes a script by another process: a descriptor of ours that is open for writing could be inherited by what
    /// a test beside this one starts, and then the script could not be executed.
    pub fn script(path: &Path, text: &str) {
        let draft = tempfile::NamedTempFile::new().unwrap();
        fs::write(draft.path(), format!("#!/bin/sh\n{text}\n")).unwrap();
        let status = Command::new("install").args(["-D", "-m", "755"]).args([draft.path(), path]).status().unwrap();
        assert!(status.success());
    }

    #[test]
    fn the_answer_is_kept_until_the_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let cache = tempfile::tempdir().unwrap();
        let count = folder.path().join("count");
        let python = folder.path().join("python");
        script(&python, &format!("echo x >> {}; echo hello; echo worker-probe cpython 3 12 1 0", count.display()));
        let answer = Answer { implementation: "cpython".into(), version: (3, 12), patch: 1, free_threaded: false };
        for _ in 0..3 {
            assert_eq!(ask(&python, Some(cache.path())).unwrap(), answer);
        }
        assert_eq!(fs::read_to_string(&count).unwrap(), "x\n");
        let changed = File::options().append(true).open(&python).unwrap();
        changed.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        drop(changed);
        assert_eq!(ask(&python, Some(cache.path())).unwrap(), answer);
        assert_eq!(fs::read_to_string(&count).unwrap(), "x\nx\n");
    }

    #[test]
    fn what_is_not_python_is_told_with_its_own_words() {
        let folder = tempfile::tempdir().unwrap();
        let python = folder.path().join("python");
        script(&python, "echo I am a teapot >&2; exit 1");
        let error = ask(&python, None).unwrap_err();
        assert!(error.to_string().ends_with("I am a teapot"), "{error}");
        assert!(matches!(ask(Path::new("/no/such"), None), Err(ProbeError::Run(_))));
    }
}
