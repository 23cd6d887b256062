use crate::{run, stderr, stdout};

#[test]
fn help_names_defaults_and_the_environment() {
    for (arguments, words) in [
        (
            &["serve", "--help"][..],
            &["/var/lib/quantixkvm", "QUANTIXKVM_LISTEN", "127.0.0.1:8080", "qemu:///system"][..],
        ),
        (&["check", "--help"], &["--prove-kvm", "--initrd", "--json", "Exits with 0", "QUANTIXKVM_DATA_DIR"]),
        (&["recover", "--help"], &["QUANTIXKVM_LIBVIRT_URI", "Move a damaged file away", "Exits with 0"]),
        (&["backup", "--help"], &["--output", "--list", "--json", "newest 10", "Exits with 0", "QUANTIXKVM_DATA_DIR"]),
        (&["restore", "--help"], &["--force", "--json", "must not run", "before-restore", "Exits with 0"]),
        (&["--help"], &["serve", "check", "recover", "backup", "restore", "version", "completions"]),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0));
        let text = stdout(&output).split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(text.contains(word), "\"{word}\" is not in {arguments:?}: {text}");
        }
    }
}

#[test]
fn the_version_is_the_package_s() {
    assert_eq!(stdout(&run(&["version"])), concat!("quantixkvm ", env!("CARGO_PKG_VERSION"), "\n"));
    let json: serde_json::Value = serde_json::from_slice(&run(&["version", "--json"]).stdout).expect("JSON");
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn completions_know_the_subcommands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}: {}", stderr(&output));
        assert!(stdout(&output).contains("recover"), "{shell}");
    }
}
