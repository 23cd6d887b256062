//! Where a path leads, for whoever may name files of certain directories alone; and what else an
//! image makes QEMU open. Links are followed before anything is believed.
//!
//! This service runs behind a view of its own of the file system: a path that it cannot see may be
//! there for QEMU all the same, and is then said to be unseen, never to be inside.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

/// Where a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// To a file of one of the directories, or to a name in one at which nothing is yet.
    Inside,
    /// To a device, a FIFO or a socket in one of them.
    NoFile,
    Outside,
    /// Its directory cannot be seen from here, and its name is one below one of the directories.
    Unseen,
}

/// Where `path` leads, seen from these directories.
#[must_use]
pub fn place(path: &Path, directories: &[PathBuf]) -> Place {
    let is_plain = path.is_absolute() && path.components().all(|part| !matches!(part, Component::ParentDir));
    if !is_plain {
        return Place::Outside;
    }
    let real: Vec<PathBuf> = directories.iter().map(|one| one.canonicalize().unwrap_or_else(|_| one.clone())).collect();
    let below = |path: &Path, all: &[PathBuf]| {
        all.iter().any(|one| one.is_absolute() && path.starts_with(one) && path != one.as_path())
    };
    if let Ok(found) = path.canonicalize() {
        if !below(&found, &real) {
            return Place::Outside;
        }
        return match std::fs::symlink_metadata(&found) {
            // A directory is nobody's secret, and no guest can have one.
            Ok(meta) if meta.is_file() || meta.is_dir() => Place::Inside,
            Ok(_) | Err(_) => Place::NoFile,
        };
    }
    // A link whose end cannot be seen may lead anywhere.
    if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink()) {
        return Place::Outside;
    }
    match path.parent().map(Path::canonicalize) {
        Some(Ok(parent)) if below(&parent.join("x"), &real) => Place::Inside,
        Some(Ok(_)) | None => Place::Outside,
        Some(Err(_)) if below(path, directories) => Place::Unseen,
        Some(Err(_)) => Place::Outside,
    }
}

/// What QEMU opens with an image that is declared to be qcow2, by the image's own header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opens {
    /// This process may not look.
    Hidden,
    /// It is no such image, or none that can be believed.
    NoImage,
    /// Nothing but itself.
    Itself,
    /// What lies under it, as its header writes it.
    Backing(String),
    /// Its data are in another file.
    DataElsewhere,
}

/// Bytes of a name in the header at most, by qcow2's own rule.
const NAME_MAX: u32 = 1023;
/// The bit of the incompatible features that says so.
const DATA_ELSEWHERE: u64 = 1 << 2;

/// Look at the header of an image (QEMU's docs/interop/qcow2.txt).
#[must_use]
pub fn opens(path: &Path) -> Opens {
    let Ok(flags) = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()) else { return Opens::Hidden };
    let Ok(mut file) = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path) else {
        return Opens::Hidden;
    };
    let mut head = [0_u8; 80];
    let Ok(()) = file.read_exact(&mut head) else { return Opens::NoImage };
    let long = |at: usize| head.get(at..at + 8).and_then(|it| it.try_into().ok()).map_or(0, u64::from_be_bytes);
    let short = |at: usize| head.get(at..at + 4).and_then(|it| it.try_into().ok()).map_or(0, u32::from_be_bytes);
    if !head.starts_with(b"QFI\xfb") {
        return Opens::NoImage;
    }
    let (version, at, length) = (short(4), long(8), short(16));
    match version {
        2 => {}
        3 if long(72) & DATA_ELSEWHERE != 0 => return Opens::DataElsewhere,
        3 => {}
        _ => return Opens::NoImage,
    }
    if at == 0 {
        return Opens::Itself;
    }
    if length > NAME_MAX {
        return Opens::NoImage;
    }
    let mut name = Vec::new();
    let read = file.seek(SeekFrom::Start(at)).and_then(|_| file.take(u64::from(length)).read_to_end(&mut name));
    match (read, String::from_utf8(name)) {
        (Ok(_), Ok(name)) if !name.is_empty() => Opens::Backing(name),
        (Ok(_) | Err(_), _) => Opens::NoImage,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_is_where_it_leads_and_not_where_it_is_written() {
        let home = tempfile::tempdir().expect("a directory");
        let at = |name: &str| home.path().join(name);
        for name in ["pool", "pool/sub", "pool-of-others", "outside"] {
            std::fs::create_dir(at(name)).expect("a directory");
        }
        for name in ["pool/a.qcow2", "pool/sub/b.iso", "pool-of-others/c", "outside/secret"] {
            std::fs::write(at(name), "x").expect("a file");
        }
        symlink(at("outside/secret"), at("pool/link")).expect("a link");
        symlink("../outside/secret", at("pool/relative-link")).expect("a link");
        symlink(at("outside"), at("pool/way")).expect("a link");
        symlink(at("nowhere"), at("pool/dangling")).expect("a link");
        symlink("/dev/null", at("pool/null")).expect("a link");
        symlink(at("pool/a.qcow2"), at("outside/into-the-pool")).expect("a link");
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pool/fifo"), rustix::fs::Mode::from_raw_mode(0o600)).expect("a FIFO");
        let _socket = std::os::unix::net::UnixListener::bind(at("pool/socket")).expect("a socket");
        symlink(at("pool"), at("pool-by-link")).expect("a link");
        let rows = [
            ("pool/a.qcow2", Place::Inside),
            ("pool/sub/b.iso", Place::Inside),
            ("pool/sub", Place::Inside),
            ("pool/not-yet", Place::Inside),
            ("pool-by-link/a.qcow2", Place::Inside),
            ("outside/into-the-pool", Place::Inside),
            ("pool/fifo", Place::NoFile),
            ("pool/socket", Place::NoFile),
            ("pool", Place::Outside),
            ("pool/../outside/secret", Place::Outside),
            ("pool/sub/../a.qcow2", Place::Outside),
            ("pool/link", Place::Outside),
            ("pool/relative-link", Place::Outside),
            ("pool/way/secret", Place::Outside),
            ("pool/way/not-yet", Place::Outside),
            ("pool/dangling", Place::Outside),
            ("pool/null", Place::Outside),
            ("pool-of-others/c", Place::Outside),
            ("outside/secret", Place::Outside),
            ("outside/not-yet", Place::Outside),
            ("pool/no/such/directory", Place::Unseen),
            ("nowhere/at/all", Place::Outside),
        ];
        for directories in [vec![at("pool")], vec![at("nothing-here"), at("pool-by-link"), at("pool")]] {
            for (name, place) in rows {
                assert_eq!(super::place(&at(name), &directories), place, "{name} from {directories:?}");
            }
        }
        for path in ["pool/a.qcow2", "", "/dev/null", "/dev/zero", "/etc/passwd", "/proc/self/mem", "/"] {
            assert_eq!(place(Path::new(path), &[at("pool")]), Place::Outside, "{path}");
            assert_eq!(place(Path::new(path), &[]), Place::Outside, "{path}");
        }
        // A pool without a directory is no way to everything.
        assert_eq!(place(Path::new("/etc/passwd"), &[PathBuf::new()]), Place::Outside);
    }

    fn image(name: &[u8], features: u64) -> Vec<u8> {
        let mut bytes = b"QFI\xfb".to_vec();
        bytes.extend(3_u32.to_be_bytes());
        bytes.extend(if name.is_empty() { 0_u64 } else { 104 }.to_be_bytes());
        bytes.extend(u32::try_from(name.len()).expect("short").to_be_bytes());
        bytes.resize(72, 0);
        bytes.extend(features.to_be_bytes());
        bytes.resize(104, 0);
        bytes.extend(name);
        bytes
    }

    #[test]
    fn an_image_says_what_else_is_opened_with_it() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("image");
        let said = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("a file");
            opens(&path)
        };
        assert_eq!(said(&image(b"", 0)), Opens::Itself);
        assert_eq!(said(&image(b"/etc/shadow", 0)), Opens::Backing("/etc/shadow".to_owned()));
        assert_eq!(said(&image(b"json:{}", 0)), Opens::Backing("json:{}".to_owned()));
        assert_eq!(said(&image(b"", DATA_ELSEWHERE)), Opens::DataElsewhere);
        assert_eq!(said(&image(b"/base", DATA_ELSEWHERE)), Opens::DataElsewhere);
        for broken in [&b""[..], b"QFI\xfb", &[0; 512], &image(b"\xff\xfe", 0), &image(&[b'x'; 1024], 0)] {
            assert_eq!(said(broken), Opens::NoImage);
        }
        let mut far = image(b"/etc/shadow", 0);
        far.splice(8..16, u64::MAX.to_be_bytes());
        assert_eq!(said(&far), Opens::NoImage, "what lies past the end is nothing");
        let whole = image(b"/etc/shadow", 0);
        for length in 0..whole.len() {
            let _ = said(&whole[..length]);
        }
        assert_eq!(opens(&home.path().join("nothing")), Opens::Hidden);
    }
}
