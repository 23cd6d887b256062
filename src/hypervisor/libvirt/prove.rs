//! Whether KVM is usable: not what the capabilities say, which may lie (there are hosts whose KVM
//! runs firmware and hangs kernels), but a Linux kernel that was started under it and spoke. The
//! guest is transient and ends with the connection that made it, whatever becomes of this process.

use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::Error;
use virt::stream::Stream;
use virt::sys;

use super::{link, xml};
use crate::hypervisor::{Accelerator, Kernel, Proof};

/// How a Linux kernel begins to speak.
const BANNER: &str = "Linux version";
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What a thread needs to say that the time is over.
const GRACE: Duration = Duration::from_secs(1);
/// The guest's end may take as long after its time is over.
const END_WITHIN: Duration = Duration::from_secs(5);
/// What is read of a guest at most.
const MAX_BYTES: usize = 1 << 20;

/// Start the kernel under the accelerator and wait for its first line. Answers within the time, and
/// a little more for the guest's end.
#[must_use]
pub fn prove(uri: &str, kernel: &Kernel, accelerator: Accelerator, within: Duration) -> Proof {
    let (tell, told) = channel();
    let (ended, end) = channel();
    let (uri, kernel) = (uri.to_owned(), kernel.clone());
    let deadline = Instant::now() + within;
    let started = std::thread::Builder::new().name("prove".to_owned()).spawn(move || {
        let proof = run(&uri, &kernel, accelerator, deadline, &|proof| {
            // Nobody listens any more when it took too long.
            let _ = tell.send(proof);
        });
        if let Err(error) = proof {
            let _ = tell.send(Proof::NotStarted(error));
        }
        let _ = ended.send(());
    });
    if let Err(error) = started {
        return Proof::NotStarted(error.to_string());
    }
    let proof = told
        .recv_timeout(within + GRACE)
        .unwrap_or_else(|_| Proof::NotStarted(format!("libvirt did not start it within {} s", within.as_secs())));
    let _ = end.recv_timeout(END_WITHIN);
    proof
}

fn run(
    uri: &str,
    kernel: &Kernel,
    accelerator: Accelerator,
    deadline: Instant,
    tell: &dyn Fn(Proof),
) -> Result<(), String> {
    let said = |error: Error| error.message().to_owned();
    let connect = link::open(uri).map_err(said)?;
    let caps = connect.capabilities().map_err(said)?;
    let path = |path: &PathBuf| path.display().to_string();
    let name = format!("quantixkvm-check-{}", std::process::id());
    let initrd = kernel.initrd.as_ref().map(path);
    let text = xml::write_proof(&name, &path(&kernel.kernel), initrd.as_deref(), accelerator, &caps)
        .map_err(|error| error.to_string())?;
    let flags = sys::VIR_DOMAIN_START_AUTODESTROY | sys::VIR_DOMAIN_START_PAUSED;
    let guest = connect.create_domain_xml(&text, flags).map_err(said)?;
    let proof = listen(&connect, &guest, deadline);
    // Its end is waited for, but not for long; the answer is not held up by it.
    tell(proof.unwrap_or_else(|error| Proof::NotStarted(said(error))));
    // It may have ended by itself.
    let _ = guest.destroy();
    Ok(())
}

/// Paused until somebody listens, so that not a byte is lost.
fn listen(connect: &Connect, guest: &Domain, deadline: Instant) -> Result<Proof, Error> {
    let stream = Stream::new(connect, sys::VIR_STREAM_NONBLOCK)?;
    guest.open_console(None, &stream, 0)?;
    guest.resume()?;
    let mut text = String::new();
    let mut buffer = [0; 4096];
    let proof = loop {
        match stream.recv(&mut buffer) {
            Ok(count) if count > 0 => {
                let read = usize::try_from(count).unwrap_or(0).min(buffer.len());
                text.push_str(&String::from_utf8_lossy(&buffer[..read]));
                if let Some(line) = banner(&text) {
                    break Proof::Spoke(line);
                }
                if text.len() > MAX_BYTES {
                    break Proof::Silent;
                }
                continue;
            }
            // -2: nothing yet.
            Ok(count) if count < 0 => {}
            Ok(_) | Err(_) => break Proof::Silent,
        }
        if Instant::now() >= deadline {
            break Proof::Silent;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    let _ = stream.abort();
    Ok(proof)
}

/// The kernel's first line, once enough of it has come.
fn banner(text: &str) -> Option<String> {
    let words = text.get(text.find(BANNER)?..)?;
    let line = words.lines().next()?;
    let release: Vec<&str> = line.split_whitespace().take(3).collect();
    (release.len() == 3 && line.len() > BANNER.len() + release[2].len() + 1).then(|| release.join(" "))
}

#[cfg(test)]
mod tests {
    use super::banner;

    #[test]
    fn a_kernel_is_told_from_firmware() {
        assert_eq!(banner("SeaBIOS\r\nLinux"), None);
        assert_eq!(banner("[    0.000000] Linux version 6.1"), None, "the release may go on");
        assert_eq!(banner("x\n[    0.000000] Linux version 6.1.0-56 (deb").as_deref(), Some("Linux version 6.1.0-56"));
    }
}
