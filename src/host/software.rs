//! Programs and firmware that guests need, by where packages put them.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{HostRoot, names, read};

/// The program of this name, on the path or where system programs are.
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

/// Names of installed UEFI firmware for x86-64 guests: of the descriptors that QEMU's packages and
/// administrators lay down, those whose file is there.
#[must_use]
pub fn uefi(root: &HostRoot, shared: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for directory in [root.etc.join("qemu/firmware"), shared.join("qemu/firmware")] {
        for name in names(&directory) {
            let Ok(descriptor) = serde_json::from_str::<Descriptor>(&read(directory.join(&name))) else { continue };
            if descriptor.is_uefi() && descriptor.file().is_some_and(|file| Path::new(file).is_file()) {
                found.push(name);
            }
        }
    }
    found
}

/// What is read of a descriptor: docs/interop/firmware.json of QEMU.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Descriptor {
    interface_types: Vec<String>,
    mapping: Mapping,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Mapping {
    /// Of device `memory`.
    filename: Option<String>,
    /// Of device `flash`.
    executable: Option<Executable>,
}

#[derive(Deserialize)]
struct Executable {
    filename: String,
}

#[derive(Deserialize)]
struct Target {
    architecture: String,
}

impl Descriptor {
    fn is_uefi(&self) -> bool {
        self.interface_types.iter().any(|kind| kind == "uefi")
            && self.targets.iter().any(|target| target.architecture == "x86_64")
    }

    fn file(&self) -> Option<&str> {
        self.mapping.executable.as_ref().map(|file| file.filename.as_str()).or(self.mapping.filename.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_counts_where_its_file_is_there() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let root = HostRoot { etc: dir.path().join("etc"), ..HostRoot::default() };
        let at = dir.path().join("qemu/firmware");
        std::fs::create_dir_all(&at).expect("a directory");
        let image = dir.path().join("code.fd");
        let descriptor = |kind: &str, architecture: &str| {
            serde_json::json!({
                "interface-types": [kind],
                "mapping": { "device": "flash", "executable": { "filename": image, "format": "raw" } },
                "targets": [{ "architecture": architecture, "machines": ["pc-q35-*"] }],
            })
            .to_string()
        };
        std::fs::write(at.join("1.json"), descriptor("uefi", "x86_64")).expect("a file");
        std::fs::write(at.join("2.json"), descriptor("bios", "x86_64")).expect("a file");
        std::fs::write(at.join("3.json"), descriptor("uefi", "aarch64")).expect("a file");
        std::fs::write(at.join("4.json"), "{").expect("a file");
        assert_eq!(uefi(&root, dir.path()), Vec::<String>::new(), "the image is away");
        std::fs::write(&image, "code").expect("a file");
        assert_eq!(uefi(&root, dir.path()), ["1.json"]);
    }

    #[test]
    fn programs_are_found() {
        assert!(program("sh").is_some());
        assert_eq!(program("no-such-program-at-all"), None);
    }
}
