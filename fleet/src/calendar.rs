//! When each client acts next: one list a span of time, put in order when its span comes, and let go when it is over.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How far into its span, in milliseconds, and which client.
type Entry = (u32, u32);

/// Moments in milliseconds since the run began.
pub struct Calendar {
    span_ms: u64,
    spans: Vec<Vec<Entry>>,
    /// The present span, the latest entry first.
    present: Vec<Entry>,
    place: usize,
    /// What was added to the present span since it came.
    added: BinaryHeap<Reverse<Entry>>,
}

impl Calendar {
    pub fn new(until_ms: u64, span_ms: u64) -> Self {
        Self {
            span_ms,
            spans: vec![Vec::new(); until_ms.div_ceil(span_ms) as usize],
            present: Vec::new(),
            place: 0,
            added: BinaryHeap::new(),
        }
    }

    /// A client acts at this moment; one past the end of the run never comes.
    pub fn add(&mut self, client: u32, moment_ms: u64) {
        let place = (moment_ms / self.span_ms) as usize;
        let entry = ((moment_ms % self.span_ms) as u32, client);
        if place < self.place {
            self.added.push(Reverse(entry));
        } else if let Some(span) = self.spans.get_mut(place) {
            span.push(entry);
        }
    }

    /// Who acts next, and when, if that is before this moment; in the order of time, then of clients.
    pub fn next(&mut self, before_ms: u64) -> Option<(u64, u32)> {
        while self.present.is_empty() && self.added.is_empty() {
            if self.place as u64 * self.span_ms >= before_ms {
                return None;
            }
            self.present = std::mem::take(self.spans.get_mut(self.place)?);
            self.present.sort_unstable_by_key(|entry| Reverse(*entry));
            self.place += 1;
        }
        let (planned, added) = (self.present.last(), self.added.peek());
        let late =
            added.is_some_and(|Reverse(added)| planned.is_none_or(|planned| added < planned));
        let (after, _) = if late {
            added.map(|added| added.0)?
        } else {
            *planned?
        };
        let moment = (self.place as u64 - 1) * self.span_ms + u64::from(after);
        if moment >= before_ms {
            return None;
        }
        let (_, client) = if late {
            self.added.pop()?.0
        } else {
            self.present.pop()?
        };
        Some((moment, client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_come_in_the_order_of_time_also_those_added_late() {
        let mut calendar = Calendar::new(2_000, 1_000);
        for (client, moment) in [(0, 900), (1, 5), (2, 5), (3, 1_000)] {
            calendar.add(client, moment);
        }
        assert_eq!(calendar.next(1_000), Some((5, 1)));
        calendar.add(1, 899);
        assert_eq!(calendar.next(1_000), Some((5, 2)));
        calendar.add(2, 1_500);
        assert_eq!(calendar.next(899), None);
        assert_eq!(calendar.next(1_000), Some((899, 1)));
        assert_eq!(calendar.next(1_000), Some((900, 0)));
        assert_eq!(calendar.next(1_000), None);
        assert_eq!(calendar.next(2_000), Some((1_000, 3)));
        assert_eq!(calendar.next(2_000), Some((1_500, 2)));
        assert_eq!(calendar.next(9_000), None);
    }

    #[test]
    fn what_lies_past_the_end_never_comes() {
        let mut calendar = Calendar::new(1_500, 1_000);
        calendar.add(0, 2_000);
        assert_eq!(calendar.next(u64::MAX), None);
    }
}
