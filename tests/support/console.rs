//! A VM's serial console, through libvirt's stream.

use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use virt::connect::Connect;
use virt::stream::Stream;

/// Reads all the time; what was read is kept.
pub struct Console {
    text: Arc<Mutex<String>>,
    input: std::sync::mpsc::Sender<Vec<u8>>,
}

impl Console {
    /// Open the first serial port, taking it from whoever has it.
    pub fn open(uri: &str, uuid: &str) -> Self {
        run_events();
        let connection = Connect::open(Some(uri)).expect("libvirt answers");
        let domain = connection.lookup_domain_by_uuid_string(uuid).expect("the VM is defined");
        let stream = Stream::new(&connection, virt::sys::VIR_STREAM_NONBLOCK).expect("a stream");
        domain.open_console(None, &stream, virt::sys::VIR_DOMAIN_CONSOLE_FORCE).expect("the console opens");
        let text = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&text);
        let (input, keys) = std::sync::mpsc::channel::<Vec<u8>>();
        std::thread::spawn(move || {
            // Keeps the connection for as long as the stream is read.
            let _connection = connection;
            let mut buffer = [0; 4096];
            loop {
                match read(&stream, &mut buffer) {
                    Some(0) => break,
                    Some(count) => {
                        let mut text = written.lock().expect("the text");
                        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
                    }
                    None => match keys.recv_timeout(Duration::from_millis(10)) {
                        Ok(typed) => {
                            if stream.send(&typed).is_err() {
                                break;
                            }
                        }
                        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
                        Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                    },
                }
            }
        });
        Self { text, input }
    }

    pub fn text(&self) -> String {
        self.text.lock().expect("the text").clone()
    }

    /// Type a line.
    pub fn line(&self, line: &str) {
        self.input.send(format!("{line}\n").into_bytes()).expect("the console is open");
    }

    /// Until the guest is up, however late the console was opened; answers how much was read.
    pub async fn booted(&self, within: Duration) -> usize {
        let deadline = Instant::now() + within;
        loop {
            let text = self.text();
            if text.contains("TINY-UP") || text.contains("login:") {
                return text.len();
            }
            assert!(Instant::now() < deadline, "waited {within:?} for the guest, whose console said:\n{text}");
            // A login prompt that was written before there was a reader is written again.
            self.line("");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Until this was read, counting from `since` bytes; answers how much was read by then.
    pub async fn until(&self, wanted: &str, since: usize, within: Duration) -> usize {
        let deadline = Instant::now() + within;
        loop {
            let text = self.text();
            if let Some(at) = text.get(since..).and_then(|text| text.find(wanted)) {
                return since + at + wanted.len();
            }
            assert!(Instant::now() < deadline, "waited {within:?} for {wanted:?} on the console, which said:\n{text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// libvirt's own event loop, which fills the streams.
fn run_events() {
    static RUNNING: Once = Once::new();
    RUNNING.call_once(|| {
        virt::event::event_register_default_impl().expect("libvirt's event loop");
        std::thread::spawn(|| {
            loop {
                virt::event::event_run_default_impl().expect("libvirt's event loop runs");
            }
        });
    });
}

/// Bytes read, 0 at the end, `None` where there are none now.
fn read(stream: &Stream, buffer: &mut [u8]) -> Option<usize> {
    match stream.recv(buffer) {
        Ok(count) => usize::try_from(count).ok(),
        Err(_) => Some(0),
    }
}
