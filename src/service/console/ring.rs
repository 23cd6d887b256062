//! What a serial port said last: bounded, and every byte under its position in all that it ever said.

use std::collections::VecDeque;

use bytes::Bytes;

/// Bytes that are kept: some thousand lines.
pub(super) const KEPT: usize = 256 << 10;

/// The last bytes of a port.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// Grows as the port speaks: a port that never did costs nothing.
    bytes: VecDeque<u8>,
    /// Position after the last byte.
    end: u64,
}

impl Ring {
    /// Empty, at this position.
    pub fn at(end: u64) -> Self {
        Self { bytes: VecDeque::new(), end }
    }

    pub fn end(&self) -> u64 {
        self.end
    }

    /// Position of the oldest byte that is kept.
    pub fn start(&self) -> u64 {
        self.end - self.bytes.len() as u64
    }

    /// What the port says goes behind the rest, whose oldest bytes are forgotten.
    pub fn push(&mut self, said: &[u8]) {
        self.end += said.len() as u64;
        let said = said.get(said.len().saturating_sub(KEPT)..).unwrap_or_default();
        let over = (self.bytes.len() + said.len()).saturating_sub(KEPT);
        self.bytes.drain(..over);
        self.bytes.extend(said);
    }

    /// At most `most` bytes from a position on; `None`: those are forgotten, or not yet said.
    pub fn read(&self, from: u64, most: usize) -> Option<Bytes> {
        if from > self.end {
            return None;
        }
        let skipped = usize::try_from(from.checked_sub(self.start())?).ok()?;
        let length = (self.bytes.len() - skipped).min(most);
        let (left, right) = self.bytes.as_slices();
        let mut read = Vec::with_capacity(length);
        for part in [left.get(skipped..).unwrap_or_default(), right.get(skipped.saturating_sub(left.len())..).unwrap_or_default()] {
            read.extend_from_slice(part.get(..(length - read.len()).min(part.len())).unwrap_or_default());
        }
        Some(read.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is said in whatever pieces, what is read is what was said at that place.
        #[test]
        fn what_is_read_is_what_was_said(
            base in 0..10_u64,
            pieces in proptest::collection::vec(1..120_000_usize, 1..8),
            reads in proptest::collection::vec((0..600_000_u64, 1..70_000_usize), 8),
        ) {
            let byte = |position: u64| (position % 251) as u8;
            let mut ring = Ring::at(base);
            for length in pieces {
                let from = ring.end();
                let said: Vec<u8> = (from..from + length as u64).map(byte).collect();
                ring.push(&said);
                prop_assert!(ring.end() - ring.start() <= KEPT as u64);
                prop_assert!(ring.start() == base || ring.end() - ring.start() == KEPT as u64);
                for (from, most) in &reads {
                    match ring.read(*from, *most) {
                        None => prop_assert!(*from < ring.start() || *from > ring.end()),
                        Some(read) => {
                            let expected = (ring.end() - from).min(*most as u64);
                            prop_assert_eq!(read.len() as u64, expected);
                            prop_assert!(read.iter().zip(*from..).all(|(read, at)| *read == byte(at)));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_silent_port_costs_nothing() {
        let ring = Ring::at(7);
        assert_eq!((ring.start(), ring.end(), ring.bytes.capacity()), (7, 7, 0));
        assert_eq!(ring.read(7, 10), Some(Bytes::new()));
        assert_eq!(ring.read(8, 10), None);
    }
}
