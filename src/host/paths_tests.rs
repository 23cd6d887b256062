use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// A user that owns nothing of the test's.
fn stranger(handing: Handing) -> Opener {
    Opener { name: "libvirt-qemu".to_owned(), uid: 4_000_000, gids: vec![4_000_001, 4_000_002], handing }
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

/// A directory that everybody may pass, whatever the one above it says.
struct Place {
    home: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { home: tempfile::Builder::new().tempdir_in("/tmp").expect("a temporary directory") };
        mode(place.home.path(), 0o755);
        place
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(&path, bytes).expect("a file");
        path
    }
}

fn list(entries: &[(u16, u16, u32)]) -> Acl {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, bits, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(bits.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    Acl::read(&bytes).expect("a list")
}

#[test]
fn a_closed_directory_is_named_with_its_remedy() {
    let place = Place::new();
    let file = place.file("a b/c/disk.qcow2", b"x");
    let closed = place.home.path().join("a b");
    let opener = stranger(Handing::GivenOver);
    assert_eq!(opener.look(&file, Kind::FileOrDevice, Access::ReadWrite), Ok(Look::Fine));
    mode(&closed, 0o700);
    let found = opener.look(&file, Kind::FileOrDevice, Access::ReadWrite).expect_err("it is closed");
    assert!(found.why.contains("libvirt-qemu") && found.why.ends_with(&closed.display().to_string()), "{found:?}");
    assert!(found.remedy.contains(&format!("setfacl -m u:libvirt-qemu:x '{}'", closed.display())), "{found:?}");
    // By a link from an open place it is as closed.
    let link = place.home.path().join("link.qcow2");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    assert!(opener.look(&link, Kind::FileOrDevice, Access::Read).is_err());
    // Root passes everywhere; so does who owns it.
    let owner = std::fs::metadata(&closed).expect("a directory").uid();
    for uid in [0, owner] {
        let other = Opener { uid, ..opener.clone() };
        assert_eq!(other.look(&file, Kind::FileOrDevice, Access::ReadWrite), Ok(Look::Fine), "{uid}");
    }
}

#[test]
fn the_file_itself_counts_where_it_is_not_handed_over() {
    let place = Place::new();
    let file = place.file("disk.raw", b"x");
    mode(&file, 0o640);
    assert_eq!(stranger(Handing::GivenOver).look(&file, Kind::File, Access::ReadWrite), Ok(Look::Fine));
    let found = stranger(Handing::AsItIs).look(&file, Kind::File, Access::ReadWrite).expect_err("it is closed");
    assert!(found.remedy.contains("setfacl -m u:libvirt-qemu:rw "), "{found:?}");
    mode(&file, 0o644);
    assert_eq!(stranger(Handing::AsItIs).look(&file, Kind::File, Access::Read), Ok(Look::Fine));
    assert!(stranger(Handing::AsItIs).look(&file, Kind::File, Access::ReadWrite).is_err());
    let group = std::fs::metadata(&file).expect("a file").gid();
    mode(&file, 0o660);
    let member = Opener { gids: vec![group], ..stranger(Handing::AsItIs) };
    assert_eq!(member.look(&file, Kind::File, Access::ReadWrite), Ok(Look::Fine));
}

#[test]
fn what_is_not_there_or_is_something_else_is_told() {
    let place = Place::new();
    let file = place.file("dir/disk.raw", b"x");
    let opener = stranger(Handing::GivenOver);
    let look = |path: &Path| opener.look(path, Kind::File, Access::Read).expect_err("it cannot be opened").why;
    let directory = place.home.path().join("dir");
    assert!(look(&directory).ends_with("is a directory"));
    assert!(look(&directory.join("none.raw")).ends_with("none.raw does not exist"));
    let above = place.home.path().join("nowhere");
    assert!(look(&above.join("x")).ends_with(&format!("there is no {}", above.display())));
    assert!(look(&file.join("x")).ends_with("is no directory"));
    assert!(look(Path::new("/dev/null")).ends_with("is neither a file nor a block device"));
}

#[test]
fn access_control_lists_are_read_as_the_kernel_does() {
    let me = stranger(Handing::AsItIs);
    let permits =
        |entries: &[(u16, u16, u32)], wanted: u32| list(entries).permits(&me, 77, |bits| bits & wanted == wanted);
    let none = u32::MAX;
    // user::rwx user:me:--x group::--- mask::--x other::---
    let named = [(1, 7, none), (2, 1, me.uid), (4, 0, none), (16, 1, none), (32, 0, none)];
    assert!(permits(&named, SEARCH) && !permits(&named, READ));
    // The mask takes away; another's entry gives nothing.
    assert!(!permits(&[(2, 7, me.uid), (16, 4, none), (32, 7, none)], SEARCH));
    assert!(!permits(&[(2, 7, 1), (4, 0, none), (16, 7, none), (32, 0, none)], SEARCH));
    // Any of its groups; and one that matches shuts the last entry out.
    assert!(permits(&[(4, 0, none), (8, 5, me.gids[1]), (16, 7, none), (32, 0, none)], READ | SEARCH));
    assert!(!permits(&[(4, 0, none), (8, 0, me.gids[1]), (16, 7, none), (32, 7, none)], READ));
    assert!(permits(&[(4, 0, none), (32, 4, none)], READ));
    assert!(Acl::read(b"").is_none() && Acl::read(&[1, 0, 0, 0]).is_none());
}

#[test]
fn the_first_bytes_tell_what_a_file_is() {
    let place = Place::new();
    let mut qcow2 = b"QFI\xfb\0\0\0\x03".to_vec();
    qcow2.resize(24, 0);
    qcow2.extend((10_u64 << 30).to_be_bytes());
    let mut iso = vec![0_u8; 0x8001];
    iso.extend(b"CD001\x01");
    for (name, bytes, is) in [
        ("a.qcow2", qcow2, Content::Qcow2 { virtual_bytes: 10 << 30 }),
        ("short.qcow2", b"QFI\xfb".to_vec(), Content::Qcow2 { virtual_bytes: 0 }),
        ("a.iso", iso, Content::Iso),
        ("a.raw", vec![7; 512], Content::Other),
        ("empty", Vec::new(), Content::Other),
    ] {
        assert_eq!(content(&place.file(name, &bytes)), Some(is), "{name}");
    }
    assert_eq!(content(&place.home.path().join("none")), None);
}
