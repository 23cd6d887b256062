//! How loaded the host is: measured from one sample to the next.

use std::path::PathBuf;

use procfs::{Current, CurrentSI};

use crate::model::node::NodeLoad;

/// Bytes read from and written to the disks of the machine since its boot. Partitions, and devices
/// that stand on others, would count the same bytes twice.
#[must_use]
pub fn disk_traffic() -> Option<(u64, u64)> {
    /// What the kernel counts in, whatever the disk's own sectors are.
    const SECTOR: u64 = 512;
    let is_disk = |name: &str| std::path::Path::new("/sys/block").join(name).join("device").exists();
    let disks = procfs::diskstats().ok()?;
    Some(disks.iter().filter(|disk| is_disk(&disk.name)).fold((0, 0), |(read, written), disk| {
        (read + disk.sectors_read * SECTOR, written + disk.sectors_written * SECTOR)
    }))
}

/// Keeps the last sample.
pub struct Sampler {
    /// Whose file system counts as the node's storage.
    storage: PathBuf,
    /// Busy and all ticks of all CPUs.
    last: Option<(u64, u64)>,
}

impl Sampler {
    /// Measure the file system of `storage` along with the rest.
    #[must_use]
    pub fn new(storage: PathBuf) -> Self {
        Self { storage, last: None }
    }

    /// One sample; the CPU's use is since the last one. What cannot be read is 0.
    pub fn sample(&mut self) -> NodeLoad {
        let mut load = NodeLoad { cpu_usage_percent: self.cpu_percent(), ..NodeLoad::default() };
        if let Ok(memory) = procfs::Meminfo::current() {
            load.memory_total_bytes = memory.mem_total;
            load.memory_available_bytes = memory.mem_available.unwrap_or(memory.mem_free);
            load.memory_used_bytes = memory.mem_total.saturating_sub(load.memory_available_bytes);
        }
        if let Ok(average) = procfs::LoadAverage::current() {
            load.load_1m = f64::from(average.one);
            load.load_5m = f64::from(average.five);
            load.load_15m = f64::from(average.fifteen);
        }
        if let Ok(devices) = procfs::net::dev_status() {
            // Only what leaves the machine: a bridge and its ports would count the same bytes twice.
            for device in devices
                .values()
                .filter(|device| std::path::Path::new("/sys/class/net").join(&device.name).join("device").exists())
            {
                load.network_rx_bytes += device.recv_bytes;
                load.network_tx_bytes += device.sent_bytes;
                load.network_rx_errors += device.recv_errs;
                load.network_tx_errors += device.sent_errs;
            }
        }
        // The nearest directory that exists: a pool's may not have been made yet.
        let space = self.storage.ancestors().find_map(super::space);
        if let Some((used, total)) = space {
            load.storage_used_bytes = used;
            load.storage_total_bytes = total;
        }
        load
    }

    fn cpu_percent(&mut self) -> f64 {
        let Ok(stat) = procfs::KernelStats::current() else {
            return 0.0;
        };
        let total = stat.total;
        let idle = total.idle + total.iowait.unwrap_or(0);
        let busy = total.user
            + total.nice
            + total.system
            + total.irq.unwrap_or(0)
            + total.softirq.unwrap_or(0)
            + total.steal.unwrap_or(0);
        let all = busy + idle;
        let percent = match self.last {
            Some((old_busy, old_all)) if all > old_all => {
                #[allow(clippy::cast_precision_loss, reason = "a percentage needs no more than 52 bits")]
                let share = busy.saturating_sub(old_busy) as f64 / (all - old_all) as f64;
                share * 100.0
            }
            Some(_) | None => 0.0,
        };
        self.last = Some((busy, all));
        percent.clamp(0.0, 100.0)
    }
}
