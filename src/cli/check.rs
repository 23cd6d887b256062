//! `check`: what the service needs of this host, as a list or as JSON.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::flags::{PlaceFlags, ServiceFlags};
use crate::config::Config;
use crate::hypervisor::libvirt::{Libvirt, prove};
use crate::hypervisor::{Accelerator, AcceleratorChoice, Hypervisor, Kernel};
use crate::server;
use crate::service::check::{Finding, Reach, RootServes, Settings, Status, is_fit};

/// Below the help.
pub const AFTER_HELP: &str = "\
Settings come from the configuration file, then the environment, then flags, as quantixkvm serve
takes them. Each check is ok, a warning, failed or skipped; warnings and failures come with a remedy.
KVM counts as usable only after a Linux kernel has spoken under it within 10 s.

Exits with 0 where nothing failed, else with 1.";

/// Shorter than what the check waits for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(9);

/// Flags of `check`.
#[derive(clap::Args)]
pub struct CheckFlags {
    #[command(flatten)]
    place: PlaceFlags,
    #[command(flatten)]
    service: ServiceFlags,
    /// Prove KVM with this Linux kernel [default: this host's own, where everybody may read it]
    #[arg(long, value_name = "KERNEL")]
    prove_kvm: Option<PathBuf>,
    /// Initial RAM disk for the kernel
    #[arg(long, value_name = "FILE", requires = "prove_kvm")]
    initrd: Option<PathBuf>,
    /// As JSON: an array of objects with name, status, found and remedy
    #[arg(long)]
    json: bool,
}

/// Look, print, and exit with 0 or 1.
pub fn check(flags: CheckFlags) -> ExitCode {
    let source = flags.place.source();
    // libvirt works in another directory.
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    let initrd = flags.initrd.map(absolute);
    let kernel = flags.prove_kvm.map(|kernel| Kernel { kernel: absolute(kernel), initrd });
    let settings = flags.place.load_with(flags.service).map(|config| settings(config, source, kernel));
    let settings = settings.map(|settings| {
        let reach = reach(&settings.libvirt_uri);
        (settings, reach)
    });
    let findings = crate::service::check::check(match &settings {
        Ok((settings, reach)) => Ok((settings, reach)),
        Err(error) => Err(error.to_string()),
    });
    if flags.json {
        println!("{}", json(&findings));
    } else {
        let colored = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        print!("{}", list(&findings, if colored { Paint::Colors } else { Paint::Plain }));
    }
    if is_fit(&findings) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn settings(config: Config, source: String, kernel: Option<Kernel>) -> Settings {
    Settings {
        source,
        state_file: config.data_dir.join(server::STATE_FILE),
        accelerator: server::choice(config.accelerator),
        data_dir: config.data_dir,
        listen: config.listen,
        libvirt_uri: config.libvirt_uri,
        root: if config.allow_root { RootServes::Yes } else { RootServes::No },
        kernel,
    }
}

/// What libvirt offers is judged by the check, not by the accelerator that was asked for.
fn reach(uri: &str) -> Reach {
    let (connected, proven) = (uri.to_owned(), uri.to_owned());
    Reach {
        connect: Arc::new(move || {
            let libvirt = Libvirt::connected(connected.clone(), AcceleratorChoice::Auto, CONNECT_WITHIN)?;
            Ok(Arc::new(libvirt) as Arc<dyn Hypervisor>)
        }),
        prove: Arc::new(move |kernel, within| prove(&proven, kernel, Accelerator::Kvm, within)),
    }
}

fn json(findings: &[Finding]) -> String {
    let rows: Vec<serde_json::Value> = findings
        .iter()
        .map(|finding| {
            serde_json::json!({
                "name": finding.subject.word(),
                "status": finding.status.word(),
                "found": finding.found,
                "remedy": finding.remedy,
            })
        })
        .collect();
    format!("{:#}", serde_json::Value::Array(rows))
}

/// Whether the list is for a terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Paint {
    Plain,
    Colors,
}

fn list(findings: &[Finding], paint: Paint) -> String {
    let names = findings.iter().map(|finding| finding.subject.word().len()).max().unwrap_or(0);
    let statuses = "skipped".len();
    let mut text = String::new();
    for finding in findings {
        let word = format!("{:statuses$}", finding.status.word());
        let word = match (paint, color(finding.status)) {
            (Paint::Colors, Some(color)) => format!("\x1b[{color}m{word}\x1b[0m"),
            (Paint::Colors, None) | (Paint::Plain, _) => word,
        };
        // One line a check, whatever libvirt says.
        let found = finding.found.replace('\n', " ");
        text.push_str(&format!("{word}  {:names$}  {found}\n", finding.subject.word()));
        if let Some(remedy) = &finding.remedy {
            text.push_str(&format!("{:1$}{remedy}\n", "", statuses + 2 + names + 4));
        }
    }
    let count = |status: Status| findings.iter().filter(|finding| finding.status == status).count();
    let warnings = count(Status::Warning);
    text.push_str(&format!(
        "\n{} ok, {warnings} {}, {} failed, {} skipped\n",
        count(Status::Ok),
        if warnings == 1 { "warning" } else { "warnings" },
        count(Status::Failed),
        count(Status::Skipped)
    ));
    text
}

fn color(status: Status) -> Option<u8> {
    match status {
        Status::Ok => Some(32),
        Status::Skipped => None,
        Status::Warning => Some(33),
        Status::Failed => Some(31),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::check::Subject;

    fn findings() -> [Finding; 2] {
        let finding = |subject, status, found: &str, remedy: Option<&str>| Finding {
            subject,
            status,
            found: found.to_owned(),
            remedy: remedy.map(str::to_owned),
        };
        [
            finding(Subject::Configuration, Status::Ok, "defaults", None),
            finding(Subject::Kvm, Status::Warning, "present,\nnot proven", Some("prove it")),
        ]
    }

    #[test]
    fn the_list_is_aligned_and_plain() {
        let wanted = "ok       configuration  defaults\n\
                      warning  kvm            present, not proven\n                          prove it\n\n\
                      1 ok, 1 warning, 0 failed, 0 skipped\n";
        assert_eq!(list(&findings(), Paint::Plain), wanted);
        assert!(list(&findings(), Paint::Colors).contains("\x1b[33mwarning\x1b[0m"));
    }

    #[test]
    fn the_keys_are_stable() {
        let rows: serde_json::Value = serde_json::from_str(&json(&findings())).expect("it is JSON");
        assert_eq!(
            rows[1],
            serde_json::json!({
                "name": "kvm", "status": "warning", "found": "present,\nnot proven", "remedy": "prove it",
            })
        );
        assert_eq!(rows[0]["remedy"], serde_json::Value::Null);
    }
}
