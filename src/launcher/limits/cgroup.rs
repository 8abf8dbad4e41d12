//! A control group (version 2) of the session's own, for the limits that count for all its processes together.
//!
//! It can be had where this process may divide a group: its own, if nobody else is in it or it is divided already, or the
//! one above it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no group.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// There is no place for one.
    #[error(
        "this needs a control group of the session's own (cgroup version 2 with the controllers {0}), and this process may not \
         make one here; start the worker by `systemd-run --user --scope -p Delegate=yes worker …`, as a service with \
         Delegate=yes, or without this limit"
    )]
    None(String),
    /// The kernel refuses what it should allow.
    #[error("the session's control group: {path}: {error}", path = path.display())]
    Refused {
        /// What was written or made.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Where a group is made.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    parent: PathBuf,
    /// Processes must leave the parent and its controllers be switched on first.
    must_divide: bool,
}

/// The session's group.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
    /// The group above it was divided for it.
    divided: Option<Divided>,
}

/// A group that was divided. One whose children have controllers may hold no processes itself (cgroups(7)), so those that it
/// had are moved to a child, beside the session's.
#[derive(Debug)]
struct Divided {
    aside: PathBuf,
    parent: PathBuf,
    controllers: Vec<String>,
}

impl Divided {
    fn switch(&self, sign: char) -> Result<(), CgroupError> {
        let words: Vec<String> = self.controllers.iter().map(|controller| format!("{sign}{controller}")).collect();
        write(&self.parent.join("cgroup.subtree_control"), &words.join(" "))
    }

    /// Moves the processes back and removes the child that they were in.
    fn undo(&self) -> Result<(), CgroupError> {
        self.switch('-')?;
        move_all(&self.aside, &self.parent)?;
        remove(&self.aside)
    }
}

/// Whether a group can be had. Leaves nothing behind.
pub fn check(controllers: &[&str]) -> Result<(), CgroupError> {
    let name = format!("worker-check-{}", std::process::id());
    let place = find(controllers)?;
    let path = place.parent.join(name);
    make_folder(&path)?;
    remove(&path)
}

impl Group {
    /// Makes it; nobody is in it yet.
    pub fn make(name: &str, controllers: &[&str]) -> Result<Group, CgroupError> {
        let Place { parent, must_divide } = find(controllers)?;
        let divided = if must_divide {
            let controllers = controllers.iter().map(|controller| (*controller).to_owned()).collect();
            let aside = parent.join(format!("worker-{name}-monitor"));
            let divided = Divided { aside, parent: parent.clone(), controllers };
            // A group that has groups with controllers below it has no processes of its own.
            make_folder(&divided.aside)?;
            move_all(&parent, &divided.aside)?;
            divided.switch('+')?;
            Some(divided)
        } else {
            None
        };
        let path = parent.join(format!("worker-{name}"));
        make_folder(&path)?;
        Ok(Group { path, divided })
    }

    /// So much memory for all its processes, and no swap besides.
    pub fn limit_memory(&self, bytes: u64) -> Result<(), CgroupError> {
        write(&self.path.join("memory.max"), &bytes.to_string())?;
        let swap = self.path.join("memory.swap.max");
        // A kernel without swap has no such file.
        if swap.exists() { write(&swap, "0") } else { Ok(()) }
    }

    /// So many processes and threads.
    pub fn limit_processes(&self, count: u64) -> Result<(), CgroupError> {
        write(&self.path.join("pids.max"), &count.to_string())
    }

    /// Moves this process into it.
    pub fn join(&self) -> Result<(), CgroupError> {
        write(&self.path.join("cgroup.procs"), "0")
    }

    /// How often the kernel has killed in it for want of memory.
    pub fn kills(&self) -> u64 {
        let events = fs::read_to_string(self.path.join("memory.events")).unwrap_or_default();
        let count = events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
        count.unwrap_or_default()
    }

    /// Kills whoever is left in it.
    pub fn kill(&self) {
        // A kernel older than 5.14 has no such file; then the session's own search for its processes is all there is.
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
    }

    /// Removes it, if nobody is in it.
    pub fn remove(&self) -> bool {
        if fs::remove_dir(&self.path).is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
            return false;
        }
        if let Some(divided) = &self.divided {
            // What cannot be undone is left as it is: an empty group.
            let _ = divided.undo();
        }
        true
    }
}

/// Moves the processes of one group to another.
fn move_all(from: &Path, to: &Path) -> Result<(), CgroupError> {
    let listed = fs::read_to_string(from.join("cgroup.procs")).unwrap_or_default();
    listed.lines().try_for_each(|pid| write(&to.join("cgroup.procs"), pid))
}

fn write(path: &Path, text: &str) -> Result<(), CgroupError> {
    fs::write(path, text).map_err(|error| CgroupError::Refused { path: path.to_path_buf(), error })
}

fn make_folder(path: &Path) -> Result<(), CgroupError> {
    fs::create_dir(path).map_err(|error| CgroupError::Refused { path: path.to_path_buf(), error })
}

fn remove(path: &Path) -> Result<(), CgroupError> {
    fs::remove_dir(path).map_err(|error| CgroupError::Refused { path: path.to_path_buf(), error })
}

fn find(controllers: &[&str]) -> Result<Place, CgroupError> {
    let read = |name: &str| fs::read_to_string(name).unwrap_or_default();
    let own = own_group(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
    let may_write = |path: &Path| nix::unistd::access(path, nix::unistd::AccessFlags::W_OK).is_ok();
    own.and_then(|(mount, own)| place(&mount, &own, controllers, &may_write))
        .ok_or_else(|| CgroupError::None(controllers.join(" and ")))
}

/// The place where version 2 is mounted, and this process's group in it.
fn own_group(mounts: &str, groups: &str) -> Option<(PathBuf, PathBuf)> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        if kind.split(' ').next()? != "cgroup2" {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        // In a container the mount may begin below the top.
        let inside = Path::new(own).strip_prefix(root).ok()?;
        Some((PathBuf::from(point), Path::new(point).join(inside)))
    })
}

fn place(mount: &Path, own: &Path, controllers: &[&str], may_write: &dyn Fn(&Path) -> bool) -> Option<Place> {
    let has_all = |folder: &Path, file: &str| {
        let listed = fs::read_to_string(folder.join(file)).unwrap_or_default();
        controllers.iter().all(|controller| listed.split_ascii_whitespace().any(|word| word == *controller))
    };
    let is_ours = |folder: &Path| may_write(folder) && may_write(&folder.join("cgroup.procs"));
    if is_ours(own) {
        if has_all(own, "cgroup.subtree_control") {
            return Some(Place { parent: own.to_path_buf(), must_divide: false });
        }
        let inside = fs::read_to_string(own.join("cgroup.procs")).unwrap_or_default();
        // The init of a container is the worker's own, or one that does as it does.
        let me = std::process::id();
        let is_family = |pid: u32| pid == me || (pid == 1 && std::os::unix::process::parent_id() == 1);
        let alone = inside.lines().all(|pid| pid.parse().is_ok_and(is_family));
        if alone && has_all(own, "cgroup.controllers") && may_write(&own.join("cgroup.subtree_control")) {
            return Some(Place { parent: own.to_path_buf(), must_divide: true });
        }
    }
    let above = own.parent().filter(|above| above.starts_with(mount))?;
    (is_ours(above) && has_all(above, "cgroup.subtree_control"))
        .then(|| Place { parent: above.to_path_buf(), must_divide: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    const YES: &dyn Fn(&Path) -> bool = &|_| true;

    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        let own = tree.path().join("user/own");
        fs::create_dir_all(&own).unwrap();
        for folder in [tree.path(), &tree.path().join("user"), &own] {
            fs::write(folder.join("cgroup.controllers"), "cpu memory pids\n").unwrap();
            fs::write(folder.join("cgroup.subtree_control"), "\n").unwrap();
            fs::write(folder.join("cgroup.procs"), "1\n").unwrap();
        }
        tree
    }

    #[test]
    fn the_own_group_is_found_also_below_a_mount_that_begins_inside() {
        let mounts = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
        let found = own_group(mounts, "5:pids:/x\n0::/user/own\n").unwrap();
        assert_eq!(found, ("/sys/fs/cgroup".into(), "/sys/fs/cgroup/user/own".into()));
        let mounts = "22 1 0:5 / /proc rw - proc proc rw\n30 23 0:26 /box /cg rw shared:1 - cgroup2 cgroup2 rw\n";
        assert_eq!(own_group(mounts, "0::/box/own\n").unwrap().1, Path::new("/cg/own"));
        assert_eq!(own_group(mounts, "0::/other\n"), None);
        assert_eq!(own_group("", "0::/\n"), None);
    }

    #[test]
    fn a_place_is_where_the_controllers_are_on() {
        let tree = tree();
        let (top, own) = (tree.path(), tree.path().join("user/own"));
        let found = |may_write| place(top, &own, &["memory", "pids"], may_write);
        assert_eq!(found(YES), None, "others are in the own group, and none is divided");
        fs::write(top.join("user/cgroup.subtree_control"), "memory pids\n").unwrap();
        assert_eq!(found(YES), Some(Place { parent: top.join("user"), must_divide: false }));
        assert_eq!(found(&|path| !path.ends_with("user/cgroup.procs")), None, "nobody may be moved there");
        assert_eq!(place(top, &own, &["memory", "rdma"], YES), None);
        fs::write(own.join("cgroup.procs"), format!("{}\n", std::process::id())).unwrap();
        assert_eq!(found(YES), Some(Place { parent: own.clone(), must_divide: true }));
        fs::write(own.join("cgroup.subtree_control"), "cpu memory pids\n").unwrap();
        assert_eq!(found(YES), Some(Place { parent: own.clone(), must_divide: false }));
    }

    #[test]
    fn a_group_has_its_limits() {
        let folder = tempfile::tempdir().unwrap();
        let group = Group { path: folder.path().to_path_buf(), divided: None };
        fs::write(folder.path().join("memory.swap.max"), "max").unwrap();
        group.limit_memory(1 << 30).unwrap();
        group.limit_processes(64).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!([read("memory.max"), read("memory.swap.max"), read("pids.max")], ["1073741824", "0", "64"]);
        assert_eq!(group.kills(), 0);
        fs::write(folder.path().join("memory.events"), "low 0\noom 3\noom_kill 2\noom_group_kill 1\n").unwrap();
        assert_eq!(group.kills(), 2);
    }
}
