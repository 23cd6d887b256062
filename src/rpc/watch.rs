//! Watches: the present first, then SYNCED, then changes, and a sign of life every 15 s.
//!
//! The reader pulls. What happens meanwhile waits in the picture's bounded channel; several
//! changes of one thing are told as one, with its newest state. A reader that lets the channel
//! overflow is told to begin again, and the stream ends: it never makes anyone wait.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use connectrpc::ConnectError;
use futures::Stream;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_util::sync::CancellationToken;

/// Between two signs of life.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);

/// What a message of a watch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Added,
    Modified,
    Deleted,
    Synced,
    Resync,
    Heartbeat,
}

/// One message of a watch.
#[derive(Debug)]
pub(super) struct Frame<T> {
    pub kind: Kind,
    pub item: Option<Arc<T>>,
    /// Grows from message to message; a sign of life repeats the last.
    pub version: u64,
}

/// A change, as a watch must know it.
pub(super) enum Told<T> {
    Is(Arc<T>),
    Gone(Arc<T>),
    /// It happened: there is nothing that could change or go later.
    Once(Arc<T>),
}

/// What is watched.
pub(super) struct Watched<K, T, C> {
    /// All that matches now.
    pub present: Vec<(K, Arc<T>)>,
    pub changes: broadcast::Receiver<C>,
    /// What a change says, and of what.
    pub read: fn(C) -> (K, Told<T>),
    /// Whether this watch wants to know of it.
    pub wants: Box<dyn Fn(&T) -> bool + Send + Sync>,
    pub stop: CancellationToken,
}

/// The messages of a watch, until it must begin again or the server stops.
pub(super) fn stream<K, T, C>(watched: Watched<K, T, C>) -> impl Stream<Item = Result<Frame<T>, ConnectError>> + Send
where
    K: Eq + Hash + Copy + Send + 'static,
    T: Send + Sync + 'static,
    C: Clone + Send + 'static,
{
    let state = State {
        shown: watched.present.iter().map(|(key, _)| *key).collect(),
        opening: watched.present.into_iter().map(|(_, item)| item).collect(),
        changes: watched.changes,
        read: watched.read,
        wants: watched.wants,
        stop: watched.stop,
        order: VecDeque::new(),
        waiting: HashMap::new(),
        version: 0,
        phase: Phase::Opening,
    };
    futures::stream::unfold(state, |mut state| async move {
        let next = state.next().await?;
        Some((next, state))
    })
}

enum Phase {
    Opening,
    Following,
    Ended,
}

struct State<K, T, C> {
    opening: VecDeque<Arc<T>>,
    /// What the reader was shown and not yet told to be gone.
    shown: HashSet<K>,
    changes: broadcast::Receiver<C>,
    read: fn(C) -> (K, Told<T>),
    wants: Box<dyn Fn(&T) -> bool + Send + Sync>,
    stop: CancellationToken,
    /// Things that changed, in the order in which they first did.
    order: VecDeque<K>,
    waiting: HashMap<K, Told<T>>,
    version: u64,
    phase: Phase,
}

impl<K, T, C> State<K, T, C>
where
    K: Eq + Hash + Copy,
    C: Clone,
{
    fn frame(&mut self, kind: Kind, item: Option<Arc<T>>) -> Frame<T> {
        self.version += 1;
        Frame { kind, item, version: self.version }
    }

    async fn next(&mut self) -> Option<Result<Frame<T>, ConnectError>> {
        match self.phase {
            Phase::Ended => None,
            Phase::Opening => Some(Ok(match self.opening.pop_front() {
                Some(item) => self.frame(Kind::Added, Some(item)),
                None => {
                    self.phase = Phase::Following;
                    self.frame(Kind::Synced, None)
                }
            })),
            Phase::Following => Some(self.follow().await),
        }
    }

    async fn follow(&mut self) -> Result<Frame<T>, ConnectError> {
        loop {
            if self.drain().is_err() {
                return Ok(self.resync());
            }
            if let Some(frame) = self.pop() {
                return Ok(frame);
            }
            tokio::select! {
                change = self.changes.recv() => match change {
                    Ok(change) => self.note(change),
                    Err(RecvError::Lagged(_)) => return Ok(self.resync()),
                    Err(RecvError::Closed) => return Err(self.stopping()),
                },
                () = tokio::time::sleep(HEARTBEAT) => {
                    return Ok(Frame { kind: Kind::Heartbeat, item: None, version: self.version });
                }
                () = self.stop.cancelled() => return Err(self.stopping()),
            }
        }
    }

    fn resync(&mut self) -> Frame<T> {
        self.phase = Phase::Ended;
        self.frame(Kind::Resync, None)
    }

    fn stopping(&mut self) -> ConnectError {
        self.phase = Phase::Ended;
        stopping()
    }

    /// Take all that has happened; an error where too much has.
    fn drain(&mut self) -> Result<(), ()> {
        loop {
            match self.changes.try_recv() {
                Ok(change) => self.note(change),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return Ok(()),
                Err(TryRecvError::Lagged(_)) => return Err(()),
            }
        }
    }

    fn note(&mut self, change: C) {
        let (key, told) = (self.read)(change);
        if self.waiting.insert(key, told).is_none() {
            self.order.push_back(key);
        }
    }

    /// The next change that this reader must hear of.
    fn pop(&mut self) -> Option<Frame<T>> {
        while let Some(key) = self.order.pop_front() {
            let Some(told) = self.waiting.remove(&key) else { continue };
            let (kind, item) = match told {
                Told::Is(item) if (self.wants)(&item) => {
                    (if self.shown.insert(key) { Kind::Added } else { Kind::Modified }, item)
                }
                Told::Is(item) | Told::Gone(item) if self.shown.remove(&key) => (Kind::Deleted, item),
                Told::Once(item) if (self.wants)(&item) => (Kind::Added, item),
                Told::Is(_) | Told::Gone(_) | Told::Once(_) => continue,
            };
            return Some(self.frame(kind, Some(item)));
        }
        None
    }
}

/// What a stream ends with when the server does.
pub(super) fn stopping() -> ConnectError {
    ConnectError::unavailable("the server is stopping; watch again in a moment")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;

    /// Things are (id, value); negative values are not wanted.
    type Thing = (u32, i32);

    type Sender = broadcast::Sender<(Thing, bool)>;
    type Answer = Result<Frame<Thing>, ConnectError>;

    fn watch(present: &[Thing], room: usize) -> (Sender, CancellationToken, impl Stream<Item = Answer>) {
        let (sender, changes) = broadcast::channel(room);
        let stop = CancellationToken::new();
        let watched = Watched {
            present: present.iter().map(|thing| (thing.0, Arc::new(*thing))).collect(),
            changes,
            read: |(thing, gone): (Thing, bool)| {
                let item = Arc::new(thing);
                (thing.0, if gone { Told::Gone(item) } else { Told::Is(item) })
            },
            wants: Box::new(|thing: &Thing| thing.1 >= 0),
            stop: stop.clone(),
        };
        (sender, stop, stream(watched))
    }

    async fn take(stream: &mut (impl Stream<Item = Result<Frame<Thing>, ConnectError>> + Unpin)) -> (Kind, i32, u64) {
        let frame = stream.next().await.expect("a frame").expect("no error");
        (frame.kind, frame.item.map_or(0, |thing| thing.1), frame.version)
    }

    #[tokio::test]
    async fn the_present_then_synced_then_changes_merged_to_the_newest() {
        let (sender, _stop, stream) = watch(&[(1, 10), (2, 20)], 64);
        let mut stream = Box::pin(stream);
        for value in 11..14 {
            sender.send(((1, value), false)).expect("a watcher");
        }
        sender.send(((3, -1), false)).expect("a watcher");
        sender.send(((2, -5), false)).expect("a watcher");
        sender.send(((4, 40), false)).expect("a watcher");
        assert_eq!(take(&mut stream).await, (Kind::Added, 10, 1));
        assert_eq!(take(&mut stream).await, (Kind::Added, 20, 2));
        assert_eq!(take(&mut stream).await, (Kind::Synced, 0, 3));
        assert_eq!(take(&mut stream).await, (Kind::Modified, 13, 4));
        assert_eq!(take(&mut stream).await, (Kind::Deleted, -5, 5));
        assert_eq!(take(&mut stream).await, (Kind::Added, 40, 6));
        sender.send(((4, 41), true)).expect("a watcher");
        assert_eq!(take(&mut stream).await, (Kind::Deleted, 41, 7));
    }

    #[tokio::test]
    async fn a_reader_that_falls_behind_begins_again() {
        let (sender, _stop, stream) = watch(&[], 4);
        let mut stream = Box::pin(stream);
        for id in 0..100 {
            sender.send(((id, 1), false)).expect("a watcher");
        }
        assert_eq!(take(&mut stream).await.0, Kind::Synced);
        assert_eq!(take(&mut stream).await.0, Kind::Resync);
        assert!(stream.next().await.is_none(), "it goes on after RESYNC");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_broken_every_fifteen_seconds_until_the_server_stops() {
        let (_sender, stop, stream) = watch(&[], 4);
        let mut stream = Box::pin(stream);
        assert_eq!(take(&mut stream).await, (Kind::Synced, 0, 1));
        assert_eq!(take(&mut stream).await, (Kind::Heartbeat, 0, 1));
        stop.cancel();
        assert!(matches!(stream.next().await, Some(Err(_))));
        assert!(stream.next().await.is_none());
    }
}
