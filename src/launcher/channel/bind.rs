//! Binding a Unix socket: in the place of one that nobody listens on, never in that of another worker's.

use crate::launcher::channel::listen_error::ListenError;
use nix::sys::stat::{Mode, umask};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;

/// Binds a Unix socket that only this user can connect to, in the place of one that nobody listens on.
pub fn bind_unix(path: &Path) -> Result<UnixListener, ListenError> {
    let refused = |error| ListenError::Bind { address: path.display().to_string(), error };
    // Two workers that find the same stale file must not remove each other's new one. A folder that cannot be read
    // cannot be locked, and then it is as likely as anywhere else.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = File::open(parent).map_err(refused)?;
    let _ = folder.lock();
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(refused(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(ListenError::NotASocket(path.to_path_buf())),
        Ok(_) if is_live(path).map_err(refused)? => return Err(ListenError::Live(path.to_path_buf())),
        Ok(_) => std::fs::remove_file(path).map_err(refused)?,
    }
    // The file belongs to this user alone.
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = UnixListener::bind(path);
    umask(before);
    bound.map_err(refused)
}

/// Whether a process has the socket open. Asked with a socket of another type, which the kernel turns away before it
/// becomes a connection: that would be the other worker's supervisor.
fn is_live(path: &Path) -> io::Result<bool> {
    match UnixDatagram::unbound()?.connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
        Err(error) if error.raw_os_error() == Some(libc::EPROTOTYPE) => Ok(true),
        Err(error) => Err(error),
        Ok(()) => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not_disturbed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let first = bind_unix(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(bind_unix(&path), Err(ListenError::Live(_))));
        // No connection has come there.
        first.set_nonblocking(true).unwrap();
        assert_eq!(first.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(first);
        assert!(path.exists());
        let second = bind_unix(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        drop(second);

        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(bind_unix(&path), Err(ListenError::NotASocket(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        assert!(matches!(bind_unix(&folder.path().join("no/such")), Err(ListenError::Bind { .. })));
        assert!(matches!(bind_unix(&folder.path().join("x".repeat(200))), Err(ListenError::Bind { .. })));
    }
}
