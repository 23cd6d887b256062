//! `recover`: a lost state file, made again from libvirt.

use std::process::ExitCode;
use std::time::Duration;

use crate::config::Config;
use crate::hypervisor::libvirt::Libvirt;
use crate::hypervisor::{AcceleratorChoice, Hypervisor as _, HypervisorError};
use crate::server::{self, ServeError};
use crate::service::error::ServiceError;
use crate::service::rebuild::{Rebuilt, rebuild};
use crate::store::{OpenError, Store};

/// Below the help.
pub const AFTER_HELP: &str = "\
Every VM that quantixkvm made carries in libvirt what only the state file knew. Move a damaged file
away first; one that is there is never touched. Operations, events and the settings of nodes begin
anew. Run as root, the file is given to the owner of its directory.

Exits with 0 where the file was rebuilt, 1 where not (no file is left behind then), 78 where the
configuration is wrong.";

/// How long libvirt may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Why nothing was rebuilt.
#[derive(Debug, thiserror::Error)]
enum RecoverError {
    #[error(transparent)]
    Directory(#[from] ServeError),
    #[error(transparent)]
    File(#[from] OpenError),
    #[error("{0}; see what is wrong with: quantixkvm check --libvirt-uri {1}")]
    Libvirt(HypervisorError, String),
    #[error("{0}")]
    Rebuild(#[from] ServiceError),
}

/// Rebuild, say what, and exit with 0 or 1.
pub fn recover(config: &Config) -> ExitCode {
    match attempt(config) {
        Ok(report) => {
            print!("{}", told(&report));
            println!("The state file is {}.", config.data_dir.join(server::STATE_FILE).display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("quantixkvm: {error}");
            ExitCode::FAILURE
        }
    }
}

/// libvirt before the directory: a host that does not answer finds nothing changed.
fn attempt(config: &Config) -> Result<Rebuilt, RecoverError> {
    let path = config.data_dir.join(server::STATE_FILE);
    Store::absent(&path)?;
    let uri = config.libvirt_uri.clone();
    let libvirt = Libvirt::connected(uri.clone(), AcceleratorChoice::Auto, ANSWER_WITHIN)
        .map_err(|error| RecoverError::Libvirt(error, uri))?;
    server::prepare_data_dir(&config.data_dir)?;
    let report = Store::make(&path, |store| rebuild(&libvirt, store).map_err(RecoverError::from));
    libvirt.close();
    report
}

fn told(report: &Rebuilt) -> String {
    let count = |n: usize| if n == 1 { "1 VM".to_owned() } else { format!("{n} VMs") };
    let mut text = match report.node_id {
        Some(node) => format!("Rebuilt {} of node {node}:\n", count(report.vms.len())),
        None => "No VM of this host carries metadata of quantixkvm: the state file is a fresh one.\n".to_owned(),
    };
    for (id, name) in &report.vms {
        text.push_str(&format!("  {id}  {name}\n"));
    }
    if !report.skipped.is_empty() {
        text.push_str(&format!("Skipped {}, which the server finds as the host's own:\n", count(report.skipped.len())));
    }
    for skipped in &report.skipped {
        text.push_str(&format!("  {}  {}: {}\n", skipped.id, skipped.name, skipped.why));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::rebuild::Skipped;

    #[test]
    fn the_report_names_each_vm() {
        let id = |n: u32| format!("10000000-0000-4000-8000-{n:012}").parse().expect("an id");
        let skipped = Skipped { id: id(2), name: "vm-2".to_owned(), why: "it carries no metadata".to_owned() };
        let report = Rebuilt {
            node_id: Some("20000000-0000-4000-8000-000000000001".parse().expect("an id")),
            vms: vec![(id(1), "web-1".to_owned())],
            skipped: vec![skipped],
        };
        let text = told(&report);
        for words in ["Rebuilt 1 VM of node 20000000", "web-1", "Skipped 1 VM,", "vm-2: it carries no metadata"] {
            assert!(text.contains(words), "\"{words}\" is not in: {text}");
        }
        assert!(told(&Rebuilt::default()).contains("a fresh one"));
    }
}
