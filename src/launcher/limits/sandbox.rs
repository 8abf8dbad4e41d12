//! `--read-only`, `--write-only` and `--no-network`: Landlock for files, seccomp for sockets.
//!
//! Both hold for this process and whatever it starts, cannot be taken back, and need no privileges.

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, PathFdError, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Devices that keep nothing of what is written to them: they stay writable.
const SINKS: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/full"];
/// On x86-64 every system call has a second number, for programs of 32-bit pointers.
const X32: i64 = 0x4000_0000;

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A kernel without Landlock, or with too old a one.
    #[error(
        "--read-only and --write-only need Landlock with control of truncation (Linux 6.2 or newer, `landlock` among the \
         kernel's security modules): {0}"
    )]
    Files(Box<RulesetError>),
    /// A directory that cannot be opened.
    #[error("--write-only: {0}")]
    Folder(#[from] PathFdError),
    /// A directory that is none.
    #[error("--write-only: there is no directory {}", .0.display())]
    NoFolder(PathBuf),
    /// A kernel without seccomp filters, or an architecture that they do not know.
    #[error("--no-network needs seccomp filters: {0}")]
    Network(String),
}

impl From<RulesetError> for SandboxError {
    fn from(error: RulesetError) -> Self {
        SandboxError::Files(Box::new(error))
    }
}

/// Whether the kernel can restrict writing.
pub fn check_files() -> Result<(), SandboxError> {
    files()?;
    Ok(())
}

/// From now on files are changed, made and removed only below these directories.
pub fn restrict_files<'a>(folders: impl Iterator<Item = &'a PathBuf>) -> Result<(), SandboxError> {
    let mut rules = files()?;
    for folder in folders {
        rules = rules.add_rule(PathBeneath::new(PathFd::new(folder)?, writing()))?;
    }
    for sink in SINKS.into_iter().filter(|sink| Path::new(sink).exists()) {
        rules = rules.add_rule(PathBeneath::new(PathFd::new(sink)?, AccessFs::WriteFile | AccessFs::Truncate))?;
    }
    rules.restrict_self()?;
    Ok(())
}

fn writing() -> BitFlags<AccessFs> {
    AccessFs::from_write(ABI::V3)
}

fn files() -> Result<RulesetCreated, SandboxError> {
    Ok(Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(writing())?.create()?)
}

/// Whether the kernel can forbid sockets.
pub fn check_network() -> Result<(), SandboxError> {
    let actions = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail")
        .map_err(|error| SandboxError::Network(format!("/proc/sys/kernel/seccomp/actions_avail: {error}")))?;
    if !actions.split_ascii_whitespace().any(|action| action == "errno") {
        return Err(SandboxError::Network("this kernel cannot refuse a system call".into()));
    }
    filter().map(drop)
}

/// From now on no socket can be made but a Unix one. What is open stays.
pub fn forbid_network() -> Result<(), SandboxError> {
    // It sets no_new_privs too, without which an unprivileged process may not install it.
    seccompiler::apply_filter(&filter()?).map_err(refused)
}

fn filter() -> Result<BpfProgram, SandboxError> {
    let is_other = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, libc::AF_UNIX as u64);
    let other_family = SeccompRule::new(vec![is_other.map_err(refused)?]).map_err(refused)?;
    let mut rules = BTreeMap::new();
    for call in both(libc::SYS_socket) {
        rules.insert(call, vec![other_family.clone()]);
    }
    // Its queues make sockets without that call.
    for call in both(libc::SYS_io_uring_setup) {
        rules.insert(call, Vec::new());
    }
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let machine = std::env::consts::ARCH.try_into().map_err(refused)?;
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, machine).and_then(BpfProgram::try_from).map_err(refused)
}

fn both(call: libc::c_long) -> impl Iterator<Item = i64> {
    let second = cfg!(target_arch = "x86_64").then_some(call | X32);
    [call].into_iter().chain(second)
}

fn refused(error: impl std::fmt::Display) -> SandboxError {
    SandboxError::Network(error.to_string())
}
