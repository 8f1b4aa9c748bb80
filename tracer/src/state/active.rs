//! Which rows of a table were touched lately.

/// Nanoseconds of a span, as the power of two: 4.3 s.
const SPAN_BITS: u32 = 32;

/// Spans that are kept. Those of the last [`ACTIVE_SECONDS`](super::ACTIVE_SECONDS) begin and end within one.
const SPANS: usize = 6;

const _: () = assert!((SPANS as u64 - 1) << SPAN_BITS >= super::ACTIVE_SECONDS as u64 * 1_000_000_000);

/// A bit for every row and every span of time of the last while: whether it was touched then.
///
/// In a full table most rows are of long ago. Going through the bits of a hundred thousand rows takes some microseconds,
/// and setting one is next to nothing, for they are few lines of the cache.
#[derive(Clone, Debug, Default)]
pub(super) struct Active {
    /// The newest span first.
    spans: [Span; SPANS],
}

/// What was touched from one moment to the next.
#[derive(Clone, Debug, Default)]
struct Span {
    /// Time since boot, in spans.
    number: u64,
    touched: Vec<u64>,
}

impl Active {
    /// The row at a position was touched.
    pub(super) fn mark(&mut self, position: u32, time_ns: u64) {
        let number = time_ns >> SPAN_BITS;
        // What comes late counts as coming now: nothing is left out by that.
        if number > self.spans[0].number {
            self.spans.rotate_right(1);
            let span = &mut self.spans[0];
            span.number = number;
            span.touched.fill(0);
        }
        let touched = &mut self.spans[0].touched;
        let word = position as usize / 64;
        if word >= touched.len() {
            touched.resize(word + 1, 0);
        }
        touched[word] |= 1 << (position % 64);
    }

    /// The positions of all rows that were touched at that time or later, in their order, and perhaps of some that were
    /// touched a span before.
    pub(super) fn since(&self, time_ns: u64) -> Vec<u32> {
        let spans = self.spans.iter().filter(|span| span.number >= time_ns >> SPAN_BITS);
        let words = spans.clone().map(|span| span.touched.len()).max().unwrap_or_default();
        let mut positions = Vec::new();
        for (word, first) in (0..words).zip((0_u32..).step_by(64)) {
            let touched =
                spans.clone().filter_map(|span| span.touched.get(word)).fold(0, |all, one| all | one);
            let mut left = touched;
            while left != 0 {
                positions.push(first + left.trailing_zeros());
                left &= left - 1;
            }
        }
        positions
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.spans.iter().map(|span| size_of_val(&span.touched[..])).sum()
    }
}
