//! P11: how soon the list's first row is there in a browser, what is drawn and what is sent: measured by
//! the browser's own tests, with this program.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::report::Report;
use crate::support::BINARY;

pub fn measure(report: &mut Report) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    if !tests.join("node_modules").is_dir() {
        println!("P11    not measured: the browser's tests are not installed; tests/run.sh bench installs them");
        return;
    }
    let ran = Command::new("node")
        .arg("p11.mjs")
        .current_dir(&tests)
        .env("QKVM_PROGRAM", BINARY)
        .stderr(Stdio::inherit())
        .output()
        .expect("node runs");
    assert!(ran.status.success(), "p11.mjs failed: {}", String::from_utf8_lossy(&ran.stdout));
    let told: Value = serde_json::from_slice(&ran.stdout).expect("figures");
    let figure = |name: &str| told[name].as_f64().unwrap_or_else(|| panic!("{name} is missing: {told}"));
    let millis = |name: &str| Duration::from_secs_f64(figure(name) / 1000.0);
    let kib = |name: &str| figure(name) / 1024.0;
    report.tell("P11", "first row of the list, 10 VMs", &format!("{:.0} ms", figure("few")));
    report.within("P11", "first row of the list, 1,000 VMs", millis("many"), millis("firstRowLimit"));
    report.at_most("P11", "DOM nodes at 1,000 VMs", figure("nodes"), figure("nodesLimit"), "");
    report.at_most("P11", "first load, compressed", kib("firstLoad"), kib("firstLoadLimit"), "KiB");
    report.at_most("P11", "data of a list of 1,000, compressed", kib("listData"), kib("listDataLimit"), "KiB");
}
