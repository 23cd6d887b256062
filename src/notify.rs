//! What the service manager is told, by sd_notify(3): that the addresses are taken, that this
//! process lives, that it ends. Nothing where nobody asked, which is wherever no unit of type
//! `notify` started it.
//!
//! A sign of life is earned, not timed: the runtime has turned and the store has answered a read. A
//! store that refuses writes still answers, since a restart would mend nothing; libvirt is not
//! asked at all, since its trouble is its own and guests run on.
//!
//! Turned down: the `sd-notify` crate. One datagram in the terms of `std` is less than to keep it.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram as StdDatagram};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixDatagram;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::service::core::LinkState;

/// A store that has not answered by then is taken to hang.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Whether what must answer does; called where it may block.
pub type Alive = Arc<dyn Fn() -> bool + Send + Sync>;

/// The service manager, as this process was told of it.
#[derive(Debug)]
pub struct Supervisor {
    socket: UnixDatagram,
    /// How often it wants a sign of life; `None`: it wants none.
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// From the environment; `None`: nobody listens.
    #[must_use]
    pub fn of_environment() -> Option<Self> {
        let address = std::env::var_os("NOTIFY_SOCKET")?;
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let pid = number("WATCHDOG_PID");
        let watchdog = number("WATCHDOG_USEC")
            .filter(|usec| *usec > 0 && pid.is_none_or(|pid| pid == u64::from(std::process::id())))
            .map(Duration::from_micros);
        match Self::at(&address, watchdog) {
            Ok(supervisor) => Some(supervisor),
            Err(error) => {
                tracing::warn!(%error, ?address, "the service manager's socket cannot be used; it is told nothing");
                None
            }
        }
    }

    /// A path, or a name without one, which begins with `@`.
    fn at(address: &OsStr, watchdog: Option<Duration>) -> std::io::Result<Self> {
        let address = match address.as_bytes().strip_prefix(b"@") {
            Some(name) => UnixAddress::from_abstract_name(name)?,
            None => UnixAddress::from_pathname(address)?,
        };
        let socket = StdDatagram::unbound()?;
        socket.connect_addr(&address)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket: UnixDatagram::from_std(socket)?, watchdog })
    }

    async fn tell(&self, words: &str) {
        if let Err(error) = self.socket.send(words.as_bytes()).await {
            tracing::warn!(%error, words, "the service manager could not be told");
        }
    }

    /// Tell it that `addresses` are taken, then how things stand, until `stop`.
    pub async fn inform(
        self,
        addresses: Vec<SocketAddr>,
        alive: Alive,
        mut link: watch::Receiver<LinkState>,
        stop: CancellationToken,
    ) {
        let serving = addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ");
        let words = status(&serving, &link.borrow_and_update());
        self.tell(&format!("READY=1\nSTATUS={words}")).await;
        // Twice in the time asked for, as sd_watchdog_enabled(3) wants it.
        let mut ticks = interval(self.watchdog.map_or(Duration::from_secs(3600), |within| within / 2));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick(), if self.watchdog.is_some() => {
                    if lives(&alive).await {
                        self.tell("WATCHDOG=1").await;
                    } else {
                        tracing::error!("the state file does not answer; the service manager gets no sign of life");
                    }
                }
                Ok(()) = link.changed() => {
                    let words = status(&serving, &link.borrow_and_update());
                    self.tell(&format!("STATUS={words}")).await;
                }
            }
        }
        self.tell("STOPPING=1\nSTATUS=Finishing; guests run on").await;
    }
}

async fn lives(alive: &Alive) -> bool {
    let alive = Arc::clone(alive);
    let asked = tokio::task::spawn_blocking(move || alive());
    matches!(timeout(ANSWER_WITHIN, asked).await, Ok(Ok(true)))
}

/// One line, whatever libvirt says.
fn status(serving: &str, link: &LinkState) -> String {
    match link {
        LinkState::Up => format!("Serving on {serving}"),
        LinkState::Down(why) => {
            let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
            format!("Serving on {serving}; libvirt does not answer: {why}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manager(dir: &tempfile::TempDir) -> (StdDatagram, std::path::PathBuf) {
        let path = dir.path().join("notify");
        let socket = StdDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a deadline");
        (socket, path)
    }

    fn hear(socket: &StdDatagram) -> String {
        let mut buffer = [0_u8; 512];
        let length = socket.recv(&mut buffer).expect("a word within the deadline");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_store_that_does_not_answer_gives_no_sign_of_life() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (socket, path) = manager(&dir);
        let supervisor = Supervisor::at(path.as_os_str(), Some(Duration::from_millis(2))).expect("a supervisor");
        let (asked, answers) = std::sync::mpsc::channel();
        let alive: Alive = Arc::new(move || {
            let _ = asked.send(());
            false
        });
        let (down, link) = watch::channel(LinkState::Up);
        let stop = CancellationToken::new();
        let task =
            tokio::spawn(supervisor.inform(vec![SocketAddr::from(([127, 0, 0, 1], 8080))], alive, link, stop.clone()));
        assert_eq!(hear(&socket), "READY=1\nSTATUS=Serving on 127.0.0.1:8080");
        for _ in 0..3 {
            answers.recv_timeout(Duration::from_secs(30)).expect("the store is asked");
        }
        down.send_replace(LinkState::Down("no\nsocket".to_owned()));
        assert_eq!(hear(&socket), "STATUS=Serving on 127.0.0.1:8080; libvirt does not answer: no socket");
        stop.cancel();
        assert_eq!(hear(&socket), "STOPPING=1\nSTATUS=Finishing; guests run on");
        task.await.expect("it ends");
    }

    #[tokio::test]
    async fn a_name_without_a_path_is_reached() {
        let name = format!("quantixkvm-notify-{}", std::process::id());
        let address = UnixAddress::from_abstract_name(name.as_bytes()).expect("an address");
        let socket = StdDatagram::bind_addr(&address).expect("a socket");
        let supervisor = Supervisor::at(OsStr::new(&format!("@{name}")), None).expect("a supervisor");
        supervisor.tell("READY=1").await;
        assert_eq!(hear(&socket), "READY=1");
        assert!(Supervisor::at(OsStr::new("/nowhere/at/all"), None).is_err());
    }
}
