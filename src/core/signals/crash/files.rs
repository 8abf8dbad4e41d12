//! The session's files, which its last words remove.

#![expect(unsafe_code, reason = "system calls of a process that dies")]

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use worker_protocol::config::{Config, SocketFile};

/// Their paths, as system calls want them.
pub(super) struct Files {
    /// The session's temporary directory.
    temp_dir: Option<CString>,
    /// The socket file of `--listen`.
    socket_file: Option<(CString, SocketFile)>,
}

impl Files {
    /// Those that the session's configuration names.
    pub fn of(config: &Config) -> Files {
        let to_c = |path: &Path| CString::new(path.as_os_str().as_bytes()).ok();
        let socket_file = config.socket_file.clone().and_then(|file| Some((to_c(&file.path)?, file)));
        Files { temp_dir: config.temp_dir.as_deref().and_then(to_c), socket_file }
    }

    /// Removes the session's temporary directory by a program of its own: doing it here would allocate. On the output thread.
    pub fn remove_temp_dir(&self) {
        let Some(dir) = &self.temp_dir else { return };
        let program = c"/bin/rm";
        let argv =
            [program.as_ptr().cast_mut(), c"-rf".as_ptr().cast_mut(), dir.as_ptr().cast_mut(), std::ptr::null_mut()];
        let environment = [std::ptr::null_mut()];
        let mut pid = 0;
        // SAFETY: the vectors are null-terminated and live across the call; posix_spawn does not use the heap.
        unsafe {
            libc::posix_spawn(
                &mut pid,
                program.as_ptr(),
                std::ptr::null(),
                std::ptr::null(),
                argv.as_ptr(),
                environment.as_ptr(),
            )
        };
    }

    /// Removes the socket file of `--listen` unless another has come to its place.
    ///
    /// Safe in a signal handler: `lstat` and `unlink`, of a path that was made before.
    pub fn signal_safe_remove_socket_file(&self) {
        let Some((path, file)) = &self.socket_file else { return };
        // SAFETY: a C string, and a structure that the call fills before it is read.
        unsafe {
            let mut found: libc::stat = std::mem::zeroed();
            if libc::lstat(path.as_ptr(), &mut found) == 0 && (found.st_dev, found.st_ino) == (file.device, file.inode)
            {
                libc::unlink(path.as_ptr());
            }
        }
    }
}
