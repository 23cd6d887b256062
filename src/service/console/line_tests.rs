use std::sync::atomic::AtomicBool;

use super::*;
use crate::service::console::ring::KEPT;

type Sinks = Arc<Mutex<Vec<SerialSink>>>;

/// A port that says what the test says: the seam at which a host's port is put in.
#[derive(Default)]
struct Script {
    sinks: Sinks,
    typed: Arc<Mutex<Vec<u8>>>,
    /// What the next openings come to; empty: they succeed.
    refusals: Mutex<Vec<HypervisorError>>,
    is_off: AtomicBool,
    /// A guest that does not read.
    is_deaf: Arc<AtomicBool>,
}

struct ScriptPort {
    typed: Arc<Mutex<Vec<u8>>>,
    is_deaf: Arc<AtomicBool>,
}

impl SerialPort for ScriptPort {
    fn write(&self, bytes: &[u8]) -> hypervisor::Result<()> {
        while self.is_deaf.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.typed.lock().expect("a lock").extend_from_slice(bytes);
        Ok(())
    }
}

impl Source for Script {
    fn open(&self, _: SerialHold, sink: SerialSink) -> hypervisor::Result<Box<dyn SerialPort>> {
        if let Some(refusal) = self.refusals.lock().expect("a lock").pop() {
            return Err(refusal);
        }
        self.sinks.lock().expect("a lock").push(sink);
        Ok(Box::new(ScriptPort { typed: Arc::clone(&self.typed), is_deaf: Arc::clone(&self.is_deaf) }))
    }

    fn state(&self) -> hypervisor::Result<Option<PowerState>> {
        let is_off = self.is_off.load(Ordering::Acquire);
        Ok(Some(if is_off { PowerState::Stopped } else { PowerState::Running }))
    }

    fn name(&self) -> String {
        "VM \"web-1\"".to_owned()
    }
}

impl Script {
    /// By the port that was opened last.
    fn say(&self, said: SerialSaid<'_>) {
        self.sinks.lock().expect("a lock").last().expect("a port")(said);
    }

    fn text(&self, said: &str) {
        self.say(SerialSaid::Bytes(said.as_bytes()));
    }
}

async fn opened() -> (Arc<Script>, Arc<Line>, Driver) {
    let script = Arc::new(Script::default());
    let source: Arc<dyn Source> = Arc::<Script>::clone(&script);
    let (line, driver) = open(source, SerialHold::IfFree, 0).await.expect("it opens");
    (script, line, driver)
}

async fn read(viewer: &mut Viewer, count: usize) -> String {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend_from_slice(&viewer.read().await.expect("it goes on"));
    }
    String::from_utf8(all).expect("text")
}

#[tokio::test(start_paused = true)]
async fn viewers_share_what_was_said_and_resume_where_they_were() {
    let (script, line, _driver) = opened().await;
    script.text("hello ");
    let mut first = line.viewer(None);
    let mut second = line.viewer(None);
    assert_eq!((first.from(), read(&mut first, 6).await), (0, "hello ".to_owned()));
    script.text("world");
    assert_eq!(read(&mut first, 5).await, "world");
    assert_eq!(read(&mut second, 11).await, "hello world");
    assert_eq!(read(&mut line.viewer(Some(6)), 5).await, "world");
    // What is not known any more, or not yet: all that there is.
    assert_eq!(line.viewer(Some(12)).from(), 0);
    assert_eq!(line.viewer(Some(11)).from(), 11);
    let much = vec![b'x'; KEPT];
    script.say(SerialSaid::Bytes(&much));
    assert_eq!(line.viewer(Some(3)).from(), 11);
    // A viewer that fell behind is told so; one that did not is not.
    assert_eq!(read(&mut first, KEPT).await.len(), KEPT);
    script.text("!");
    assert_eq!(second.read().await.map(|bytes| bytes.len()), Err(Over::TooSlow));
    assert_eq!(read(&mut first, 1).await, "!");
}

#[tokio::test(start_paused = true)]
async fn a_port_stays_for_a_while_after_its_last_viewer() {
    let (script, line, mut driver) = opened().await;
    let stop = CancellationToken::new();
    let begun = Instant::now();
    let viewer = line.viewer(None);
    let leaving = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(viewer);
    });
    assert_eq!(driver.run(&stop).await, Returned::Unwatched);
    assert_eq!(begun.elapsed(), Duration::from_secs(60) + LINGER);
    leaving.await.expect("it left");
    assert!(!line.is_watched());
    // Somebody who was promised it comes later.
    line.keep(Duration::from_secs(40));
    assert!(line.is_watched());
    script.text("late");
    assert_eq!(read(&mut line.viewer(None), 4).await, "late");
    stop.cancel();
    assert_eq!(driver.run(&stop).await, Returned::Over(Over::ServerStops));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_stream_is_explained_by_what_comes_of_opening_it_again() {
    let (script, line, mut driver) = opened().await;
    let stop = CancellationToken::new();
    let mut viewer = line.viewer(None);
    // It opens: nothing has happened, but once more or twice.
    script.text("a");
    script.say(SerialSaid::Ended("a hiccup".to_owned()));
    let goes_on = async {
        while script.sinks.lock().expect("a lock").len() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        script.text("b");
        read(&mut viewer, 2).await
    };
    tokio::select! {
        returned = driver.run(&stop) => panic!("{returned:?}"),
        said = goes_on => assert_eq!(said, "ab"),
    }
    // A late word of the first opening is not the second's.
    script.sinks.lock().expect("a lock")[0](SerialSaid::Ended("late".to_owned()));
    let taken = HypervisorError::InUse("Active console session exists".to_owned());
    script.refusals.lock().expect("a lock").push(taken);
    script.say(SerialSaid::Ended(String::new()));
    let Returned::Over(Over::TakenOver(why)) = driver.run(&stop).await else { panic!("it was taken") };
    assert!(why.contains("web-1"), "{why}");

    let (script, _line, mut driver) = opened().await;
    script.is_off.store(true, Ordering::Release);
    script.say(SerialSaid::Ended(String::new()));
    assert_eq!(driver.run(&stop).await, Returned::Over(Over::Stopped("VM \"web-1\" is STOPPED".to_owned())));

    // A libvirt that does not come back is waited for no longer than is promised.
    let (script, line, mut driver) = opened().await;
    let gone = HypervisorError::Unreachable("the socket is closed".to_owned());
    script.refusals.lock().expect("a lock").extend(std::iter::repeat_n(gone, 1000));
    script.text("last words");
    let begun = Instant::now();
    script.say(SerialSaid::Ended(String::new()));
    let Returned::Over(over) = driver.run(&stop).await else { panic!("it is over") };
    assert!(matches!(&over, Over::Lost(why) if why.contains("the socket is closed")), "{over:?}");
    assert!(begun.elapsed() < Duration::from_secs(1));
    let mut viewer = line.viewer(None);
    line.tell_over(over.clone());
    assert!(line.is_over());
    assert_eq!(read(&mut viewer, 10).await, "last words", "what was said before the end comes before it");
    assert_eq!(viewer.read().await, Err(over));
}

#[tokio::test]
async fn a_guest_that_does_not_read_holds_those_who_type_and_nobody_else() {
    let (script, line, mut driver) = opened().await;
    script.is_deaf.store(true, Ordering::Release);
    let stop = CancellationToken::new();
    let mut viewer = line.viewer(None);
    let typing = viewer.typing();
    let ended = {
        let stop = stop.clone();
        tokio::spawn(async move { driver.run(&stop).await })
    };
    let full = tokio::spawn({
        let typing = typing.clone();
        async move {
            for _ in 0..TYPED * 2 {
                typing.send(Bytes::from_static(b"x")).await.expect("it is open");
            }
        }
    });
    // One piece is being written, the queue is full, the rest waits; what is said is read all the same.
    while typing.capacity() > 0 {
        tokio::task::yield_now().await;
    }
    script.text("said");
    assert_eq!(read(&mut viewer, 4).await, "said");
    assert!(!full.is_finished());
    script.is_deaf.store(false, Ordering::Release);
    full.await.expect("all is typed");
    let arrived = async {
        while script.typed.lock().expect("a lock").len() < TYPED * 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), arrived).await.expect("all arrives");
    stop.cancel();
    assert_eq!(ended.await.expect("it ended"), Returned::Over(Over::ServerStops));
}
