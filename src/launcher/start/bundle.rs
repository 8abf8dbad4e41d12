//! The engines that the executable carries, and the files from which they are loaded.
//!
//! A file in the user's cache directory is shared by all sessions and has a name for profilers; a file in memory is
//! a private copy each time. The cached one is used only where nobody else can have touched it: the folder, all that
//! leads to it, and the file belong to the effective user or root, and are not writable by others.

use nix::sys::statvfs::{FsFlags, fstatvfs};
use nix::unistd::geteuid;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use worker_protocol::config::Lang;

/// An engine that nobody has loaded for so long is removed when a new one is written.
const KEEP_UNUSED: Duration = Duration::from_secs(14 * 24 * 3600);
/// So many engines of a language are kept beside a new one, for those who switch between builds.
const KEEP: usize = 7;

/// An engine as build.rs left it; empty if it was not built.
#[derive(Clone, Copy)]
pub struct Engine {
    name: &'static str,
    bytes: &'static [u8],
    hash: &'static str,
}

static PYTHON: Engine = Engine {
    name: "python",
    bytes: include_bytes!(env!("WORKER_ENGINE_PYTHON")),
    hash: env!("WORKER_ENGINE_PYTHON_HASH"),
};
static R: Engine =
    Engine { name: "r", bytes: include_bytes!(env!("WORKER_ENGINE_R")), hash: env!("WORKER_ENGINE_R_HASH") };

/// A file from which an engine can be loaded.
pub struct EngineFile {
    /// What it holds.
    pub engine: Engine,
    /// Its path, for `dlopen`.
    pub path: PathBuf,
    /// The descriptor that the path speaks of, when it is a file in memory.
    pub memory: Option<OwnedFd>,
}

impl Engine {
    /// The engine of a language, if this worker was built with it.
    pub fn of(lang: Lang) -> Option<Engine> {
        let engine = match lang {
            Lang::Python => PYTHON,
            Lang::R => R,
        };
        (!engine.bytes.is_empty()).then_some(engine)
    }

    /// A file that holds the engine: the cached one, which is written if need be, else one in memory.
    pub fn file(self) -> io::Result<EngineFile> {
        match cache_folder().and_then(|folder| self.cached(&folder)) {
            Some(path) => Ok(EngineFile { engine: self, path, memory: None }),
            None => self.in_memory(),
        }
    }

    /// A file in memory, for when the cached one cannot be had or cannot be loaded.
    pub fn in_memory(self) -> io::Result<EngineFile> {
        let mut file = File::from(sys::memory_file(c"worker-engine")?);
        file.write_all(self.bytes)?;
        let memory = OwnedFd::from(file);
        Ok(EngineFile { engine: self, path: fd_path(memory.as_raw_fd()), memory: Some(memory) })
    }

    fn cached(self, folder: &Path) -> Option<PathBuf> {
        let path = folder.join(format!("engine-{}-{}.so", self.name, self.hash));
        if self.is_good(&path) {
            return Some(path);
        }
        self.write(folder, &path).ok()?;
        self.is_good(&path).then_some(path)
    }

    /// The name holds a hash of the content, and the length tells a write that was cut off by a full disk or a crash.
    fn is_good(self, path: &Path) -> bool {
        let open = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC).open(path);
        let Ok(file) = open else { return false };
        file.metadata().is_ok_and(|found| {
            found.is_file()
                && found.uid() == geteuid().as_raw()
                && found.mode() & 0o022 == 0
                && found.len() == self.bytes.len() as u64
        }) && !forbids_execution(&file)
    }

    fn write(self, folder: &Path, path: &Path) -> io::Result<()> {
        self.remove_unused(folder);
        let mut file = tempfile::Builder::new()
            .prefix(".engine-")
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(folder)?;
        file.write_all(self.bytes)?;
        file.as_file().sync_data()?;
        file.persist(path).map_err(|failed| failed.error)?;
        Ok(())
    }

    /// A worker that has a removed one loaded keeps it; one that starts next writes it anew.
    fn remove_unused(self, folder: &Path) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        let ours = [format!("engine-{}-", self.name), ".engine-".to_owned()];
        let last_use = |found: Metadata| Some(found.accessed().ok()?.max(found.modified().ok()?));
        let mut engines: Vec<(SystemTime, PathBuf)> = entries
            .flatten()
            .filter(|entry| ours.iter().any(|prefix| entry.file_name().to_string_lossy().starts_with(prefix)))
            .filter_map(|entry| Some((last_use(entry.metadata().ok()?)?, entry.path())))
            .collect();
        engines.sort_by(|a, b| b.cmp(a));
        let now = SystemTime::now();
        for (index, (time, path)) in engines.iter().enumerate() {
            if index >= KEEP || now.duration_since(*time).is_ok_and(|age| age > KEEP_UNUSED) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// The name of an open descriptor in the file system.
pub fn fd_path(fd: RawFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{fd}"))
}

/// The user's cache folder for this program, made if need be; None when there is none that can be trusted.
pub fn cache_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // A home that does not exist, as daemons have, is not for us to make.
    let in_home = || absolute("HOME").filter(|home| home.is_dir()).map(|home| home.join(".cache"));
    let base = absolute("XDG_CACHE_HOME").or_else(in_home)?;
    private_folder(&base.join("worker"))
}

fn private_folder(wanted: &Path) -> Option<PathBuf> {
    let folder = match fs::canonicalize(wanted) {
        Ok(folder) => folder,
        Err(_) => {
            DirBuilder::new().recursive(true).mode(0o700).create(wanted).ok()?;
            fs::canonicalize(wanted).ok()?
        }
    };
    let found = fs::symlink_metadata(&folder).ok()?;
    if !found.is_dir() || found.uid() != geteuid().as_raw() || found.mode() & 0o022 != 0 {
        return None;
    }
    // Whoever can rename a folder above can put another one in this one's place.
    folder.ancestors().skip(1).all(is_out_of_reach).then_some(folder)
}

/// Whether the file system forbids to run what lies on it.
fn forbids_execution(file: &File) -> bool {
    fstatvfs(file).is_ok_and(|system| system.flags().contains(FsFlags::ST_NOEXEC))
}

fn is_out_of_reach(folder: &Path) -> bool {
    const STICKY: u32 = 0o1000;
    let out_of_reach = |found: Metadata| {
        (found.uid() == 0 || found.uid() == geteuid().as_raw())
            && (found.mode() & 0o022 == 0 || found.mode() & STICKY != 0)
    };
    fs::symlink_metadata(folder).is_ok_and(out_of_reach)
}

#[cfg(test)]
mod tests {
    use super::*;

    static ENGINE: Engine = Engine { name: "test", bytes: b"engine", hash: "0123" };

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let top = tempfile::tempdir().unwrap();
        let folder = private_folder(&top.path().join("a/worker")).unwrap();
        (top, folder)
    }

    #[test]
    fn the_cached_file_is_private_and_kept() {
        let (_top, folder) = folder();
        let path = ENGINE.cached(&folder).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"engine");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        let inode = fs::metadata(&path).unwrap().ino();
        assert_eq!(ENGINE.cached(&folder), Some(path.clone()));
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn a_file_cut_short_or_open_to_others_is_written_anew() {
        let (_top, folder) = folder();
        let path = ENGINE.cached(&folder).unwrap();
        fs::write(&path, b"eng").unwrap();
        ENGINE.cached(&folder).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"engine");

        fs::write(&path, b"ENGINE").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o622)).unwrap();
        ENGINE.cached(&folder).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"engine");
    }

    #[test]
    fn a_link_in_the_files_place_is_replaced() {
        let (top, folder) = folder();
        let elsewhere = top.path().join("elsewhere");
        fs::write(&elsewhere, b"ENGINE").unwrap();
        let path = folder.join("engine-test-0123.so");
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert_eq!(ENGINE.cached(&folder), Some(path.clone()));
        assert_eq!(fs::read(&path).unwrap(), b"engine");
        assert_eq!(fs::read(&elsewhere).unwrap(), b"ENGINE");
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_not_used() {
        let (top, folder) = folder();
        fs::set_permissions(&folder, Permissions::from_mode(0o770)).unwrap();
        assert_eq!(private_folder(&folder), None);
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(top.path().join("a"), Permissions::from_mode(0o777)).unwrap();
        assert_eq!(private_folder(&folder), None);
    }

    #[test]
    fn unused_engines_go_when_a_new_one_comes() {
        let (_top, folder) = folder();
        let old = folder.join("engine-test-old.so");
        let file = File::create(&old).unwrap();
        let long_ago = SystemTime::now() - 2 * KEEP_UNUSED;
        file.set_times(fs::FileTimes::new().set_accessed(long_ago).set_modified(long_ago)).unwrap();
        let other = folder.join("probe-1");
        fs::write(&other, "").unwrap();
        ENGINE.cached(&folder).unwrap();
        assert!(!old.exists());
        assert!(other.exists());
    }

    #[test]
    fn the_file_in_memory_holds_the_engine() {
        let file = ENGINE.in_memory().unwrap();
        assert!(file.memory.is_some());
        assert_eq!(fs::read(&file.path).unwrap(), b"engine");
    }
}
