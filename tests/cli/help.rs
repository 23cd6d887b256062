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
        (
            &["user", "--help"],
            &[
                "add",
                "passwd",
                "role",
                "quota",
                "disable",
                "Examples:",
                "quantixkvm-admin",
                "0 where",
                "2 where",
                "78 where",
            ],
        ),
        (
            &["user", "add", "--help"],
            &["--role", "--vms", "--memory-mib", "--json", "standard input", "QUANTIXKVM_SOCKET"],
        ),
        (&["token", "--help"], &["add", "revoke", "TOKEN=$(", "Exits with 0"]),
        (&["session", "--help"], &["list", "revoke", "Exits with 0"]),
        (&["setup-code", "--help"], &["first administrator", "Exits with 0"]),
        (&["audit", "--help"], &["--user", "--method", "--since", "--limit", "--json", "7days", "Exits with 0"]),
        (&["cert", "--help"], &["show", "renew", "fingerprint", "tls_certificate", "Exits with 0"]),
        (
            &["--help"],
            &[
                "user",
                "token",
                "session",
                "setup-code",
                "audit",
                "cert",
                "serve",
                "check",
                "recover",
                "backup",
                "restore",
                "version",
                "completions",
            ],
        ),
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
        for word in ["recover", "setup-code", "passwd", "memory-mib", "revoke"] {
            assert!(stdout(&output).contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn every_subcommand_has_a_man_page() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().to_str().expect("a path in UTF-8");
    let output = run(&["man", path]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let page = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
    for (name, words) in [
        ("quantixkvm.1", &["quantixkvm\\-serve(1)", "config.toml", "78", "quantixkvm\\-admin"][..]),
        ("quantixkvm-serve.1", &["QUANTIXKVM_LISTEN", "accelerator"]),
        ("quantixkvm-check.1", &["json"]),
        ("quantixkvm-recover.1", &["QUANTIXKVM_DATA_DIR"]),
        ("quantixkvm-user.1", &["quantixkvm\\-user\\-add(1)", "Examples"]),
        ("quantixkvm-user-add.1", &["quantixkvm user add", "memory"]),
        ("quantixkvm-token-revoke.1", &["quantixkvm token revoke"]),
        ("quantixkvm-setup-code.1", &["administrator"]),
        ("quantixkvm-audit.1", &["since"]),
        ("quantixkvm-cert-renew.1", &["quantixkvm cert renew"]),
    ] {
        for word in words {
            assert!(page(name).contains(word), "\"{word}\" is not in {name}: {}", page(name));
        }
    }
    assert!(page("quantixkvm-man.1").is_empty(), "the page of what is hidden");
    let nowhere = run(&["man", "/nowhere/at/all"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(stderr(&nowhere).contains("/nowhere/at/all"), "{}", stderr(&nowhere));
}
