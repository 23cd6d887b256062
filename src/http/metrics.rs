//! Prometheus text: RPCs by method and code with latency, VMs, the node, libvirt, operations, the
//! store. Counters live here; gauges are read from the live picture at each scrape.

use std::time::Duration;

use prometheus::{Encoder as _, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};

/// One VM's gauges.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VmGauges {
    pub id: String,
    pub name: String,
    pub project: String,
    /// The wire's word.
    pub state: &'static str,
    pub usage: Option<VmUse>,
}

/// What a running VM uses.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct VmUse {
    pub cpu_seconds: f64,
    pub vcpus: f64,
    pub memory_used_bytes: f64,
    pub memory_allocated_bytes: f64,
    pub disk_read_bytes: f64,
    pub disk_written_bytes: f64,
    pub network_received_bytes: f64,
    pub network_transmitted_bytes: f64,
}

/// All that a scrape shows beside the counters.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    pub vms: Vec<VmGauges>,
    /// Name without prefix, help, value: the node's.
    pub node: Vec<(&'static str, &'static str, f64)>,
    pub libvirt_connected: bool,
    /// Verb and how many of it run.
    pub operations: Vec<(&'static str, f64)>,
    pub store_bytes: f64,
    /// `None`: the state lives in memory.
    pub backup: Option<BackupGauges>,
    /// When the certificate in use ends, in seconds since 1970; `None`: TLS is not spoken.
    pub certificate_ends_seconds: Option<i64>,
}

/// How backups of the state are doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BackupGauges {
    /// When the newest was made, in seconds since 1970; `None`: there is none.
    pub made_at_seconds: Option<i64>,
    /// Whether the last attempt failed.
    pub failing: bool,
}

/// The counters.
pub struct Metrics {
    rpcs: IntCounterVec,
    durations: HistogramVec,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// The options are constants of ours: a test makes them all.
macro_rules! made {
    ($made:expr) => {
        $made.expect("the metric's name and labels are valid constants")
    };
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        Self {
            rpcs: made!(IntCounterVec::new(
                Opts::new("quantixkvm_rpcs_total", "RPCs that ended, by method and Connect code."),
                &["method", "code"]
            )),
            durations: made!(HistogramVec::new(
                HistogramOpts::new("quantixkvm_rpc_duration_seconds", "Time that RPCs took, by method.")
                    .buckets(vec![0.0005, 0.002, 0.005, 0.02, 0.05, 0.2, 0.5, 2.0, 5.0, 20.0, 60.0]),
                &["method"]
            )),
        }
    }

    /// An RPC has ended.
    pub fn rpc_observed(&self, method: &str, code: &str, took: Duration) {
        self.rpcs.with_label_values(&[method, code]).inc();
        self.durations.with_label_values(&[method]).observe(took.as_secs_f64());
    }

    /// The text of a scrape.
    #[must_use]
    pub fn render(&self, now: &Snapshot) -> String {
        let registry = Registry::new();
        let mut gauges: Vec<GaugeVec> = Vec::new();
        let mut gauge = |name: &str, help: &str, labels: &[&str]| {
            let gauge = made!(GaugeVec::new(Opts::new(format!("quantixkvm_{name}"), help), labels));
            gauges.push(gauge.clone());
            gauge
        };
        let info = gauge("build_info", "The version that runs; always 1.", &["version"]);
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        let flag = |set: bool| if set { 1.0 } else { 0.0 };
        gauge("libvirt_connected", "1 while libvirt answers.", &[])
            .with_label_values(&[] as &[&str])
            .set(flag(now.libvirt_connected));
        gauge("store_bytes", "Size of the state file.", &[]).with_label_values(&[] as &[&str]).set(now.store_bytes);
        if let Some(backup) = &now.backup {
            if let Some(at) = backup.made_at_seconds {
                #[allow(clippy::cast_precision_loss, reason = "gauges are floating point")]
                gauge("backup_timestamp_seconds", "When the state was last backed up.", &[])
                    .with_label_values(&[] as &[&str])
                    .set(at as f64);
            }
            gauge("backup_failing", "1 while the last attempt to back the state up failed.", &[])
                .with_label_values(&[] as &[&str])
                .set(flag(backup.failing));
        }
        if let Some(at) = now.certificate_ends_seconds {
            #[allow(clippy::cast_precision_loss, reason = "gauges are floating point")]
            gauge("tls_certificate_expires_timestamp_seconds", "When the certificate in use ends.", &[])
                .with_label_values(&[] as &[&str])
                .set(at as f64);
        }
        let operations = gauge("operations_running", "Operations in flight, by verb.", &["verb"]);
        for (verb, count) in &now.operations {
            operations.with_label_values(&[verb]).set(*count);
        }
        for (name, help, value) in &now.node {
            gauge(&format!("node_{name}"), help, &[]).with_label_values(&[] as &[&str]).set(*value);
        }
        let labels = ["id", "name", "project"];
        let state = gauge("vm_state", "1 for the state that the VM is in.", &["id", "name", "project", "state"]);
        let used = [
            (
                "vm_cpu_seconds",
                "CPU time that the VM has used since its start.",
                (|u: &VmUse| u.cpu_seconds) as fn(&VmUse) -> f64,
            ),
            ("vm_vcpus", "vCPUs online.", |u| u.vcpus),
            ("vm_memory_used_bytes", "Memory that the guest uses.", |u| u.memory_used_bytes),
            ("vm_memory_allocated_bytes", "Memory that the guest was given.", |u| u.memory_allocated_bytes),
            ("vm_disk_read_bytes", "Bytes read from disks since the start.", |u| u.disk_read_bytes),
            ("vm_disk_written_bytes", "Bytes written to disks since the start.", |u| u.disk_written_bytes),
            ("vm_network_received_bytes", "Bytes received since the start.", |u| u.network_received_bytes),
            ("vm_network_transmitted_bytes", "Bytes sent since the start.", |u| u.network_transmitted_bytes),
        ]
        .map(|(name, help, value)| (gauge(name, help, &labels), value));
        for vm in &now.vms {
            let of = [vm.id.as_str(), vm.name.as_str(), vm.project.as_str()];
            state.with_label_values(&[of[0], of[1], of[2], vm.state]).set(1.0);
            if let Some(usage) = &vm.usage {
                for (gauge, value) in &used {
                    gauge.with_label_values(&of).set(value(usage));
                }
            }
        }
        for gauge in gauges {
            made!(registry.register(Box::new(gauge)));
        }
        made!(registry.register(Box::new(self.rpcs.clone())));
        made!(registry.register(Box::new(self.durations.clone())));
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&registry.gather(), &mut text) {
            tracing::error!(%error, "the metrics could not be written");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_holds_everything_and_escapes_names() {
        let metrics = Metrics::new();
        metrics.rpc_observed("VMService/ListVMs", "ok", Duration::from_millis(3));
        let text = metrics.render(&Snapshot {
            vms: vec![VmGauges {
                id: "1".to_owned(),
                name: "a\"b\\c\nd".to_owned(),
                project: "p".to_owned(),
                state: "RUNNING",
                usage: Some(VmUse::default()),
            }],
            node: vec![("cpu_usage_ratio", "CPU in use, 0-1.", 0.5)],
            libvirt_connected: true,
            operations: vec![("start", 2.0)],
            store_bytes: 4096.0,
            backup: Some(BackupGauges { made_at_seconds: Some(1_782_864_000), failing: true }),
            certificate_ends_seconds: Some(1_800_000_000),
        });
        for part in [
            "quantixkvm_rpcs_total{code=\"ok\",method=\"VMService/ListVMs\"} 1",
            "quantixkvm_rpc_duration_seconds_bucket",
            "quantixkvm_vm_state{id=\"1\",name=\"a\\\"b\\\\c\\nd\",project=\"p\",state=\"RUNNING\"} 1",
            "quantixkvm_node_cpu_usage_ratio 0.5",
            "quantixkvm_operations_running{verb=\"start\"} 2",
            "# HELP quantixkvm_store_bytes",
            "quantixkvm_backup_timestamp_seconds 1782864000",
            "quantixkvm_backup_failing 1",
            "quantixkvm_tls_certificate_expires_timestamp_seconds 1800000000",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }
}
