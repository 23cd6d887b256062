//! Cutting the connections to a hung libvirtd. libvirt's own keepalive lets go of one call of a
//! connection; with more of them in flight the others wait on (seen with 9.0: whoever takes over the
//! polling does not look whether the connection was given up). A socket that is shut down ends them all.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::net::{Shutdown, shutdown, sockopt};

use super::ffi;

/// Where the daemon behind a local URI may listen.
fn paths(uri: &str) -> Vec<PathBuf> {
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    if let Some(path) = query.split('&').find_map(|part| part.strip_prefix("socket=")) {
        return vec![PathBuf::from(path)];
    }
    let folder = if uri.contains(":///session") {
        std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).unwrap_or_default()
    } else {
        PathBuf::from("/run")
    };
    ["libvirt-sock", "virtqemud-sock"].map(|name| folder.join("libvirt").join(name)).to_vec()
}

/// Process at the other end of a unix socket.
fn peer(socket: impl AsFd) -> Option<u32> {
    let peer = sockopt::socket_peercred(socket).ok()?;
    u32::try_from(peer.pid.as_raw_nonzero().get()).ok()
}

/// Shut every connection of this process to the daemon of this URI: calls on them fail at once.
pub(super) fn cut(uri: &str) {
    // The kernel takes a connection for a daemon that hangs, and knows whose it is.
    let daemons: Vec<u32> =
        paths(uri).iter().filter_map(|path| UnixStream::connect(path).ok()).filter_map(peer).collect();
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    for entry in entries.flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A duplicate is ours alone: the number may be another file's by now, the duplicate is not.
        let Some(socket): Option<OwnedFd> = ffi::duplicate(number) else { continue };
        if peer(&socket).is_some_and(|pid| daemons.contains(&pid)) {
            let _ = shutdown(&socket, Shutdown::Both);
        }
    }
}
