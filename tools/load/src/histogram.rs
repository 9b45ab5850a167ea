//! Durations by size, with an error of at most a sixteenth.

/// Buckets of one power of two.
const SPLIT: u64 = 16;

/// Counts durations in microseconds.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Grows to the largest value seen: under a thousand buckets for any.
    buckets: Vec<u64>,
    count: u64,
    max_us: u64,
}

impl Histogram {
    /// Counts one.
    pub fn add(&mut self, us: u64) {
        let bucket = bucket(us);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.max_us = self.max_us.max(us);
    }

    /// Counts all that another has.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (into, from) in self.buckets.iter_mut().zip(&other.buckets) {
            *into += from;
        }
        self.count += other.count;
        self.max_us = self.max_us.max(other.max_us);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest, or zero.
    pub fn max_us(&self) -> u64 {
        self.max_us
    }

    /// The smallest bound that the share `q` of all values do not exceed, if
    /// there is any value.
    pub fn quantile_us(&self, q: f64) -> Option<u64> {
        let rank = ((q * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some(last_of(bucket).min(self.max_us));
            }
        }
        None
    }
}

/// The bucket of a value: exact below [`SPLIT`], then so many for each power
/// of two.
fn bucket(us: u64) -> usize {
    if us < SPLIT {
        return us as usize;
    }
    let shift = us.ilog2() - SPLIT.ilog2();
    (u64::from(shift) * SPLIT + (us >> shift)) as usize
}

/// The largest value of a bucket.
fn last_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SPLIT {
        return bucket;
    }
    let shift = bucket / SPLIT - 1;
    let start = (bucket - shift * SPLIT) << shift;
    start + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_contiguous_and_fine() {
        let mut before = None;
        for bucket_at in 0..900 {
            let last = last_of(bucket_at);
            assert_eq!(bucket(last), bucket_at);
            if let Some(before) = before {
                assert_eq!(bucket(before + 1), bucket_at);
                assert!(last - before <= (last / SPLIT).max(1), "{before} {last}");
            }
            before = Some(last);
        }
        assert!(bucket(u64::MAX) < 1000);
    }

    #[test]
    fn quantiles_of_known_values() {
        let mut all = Histogram::default();
        assert_eq!(all.quantile_us(0.5), None);
        let mut odd = Histogram::default();
        for us in 1..=1000 {
            if us % 2 == 0 { &mut all } else { &mut odd }.add(us);
        }
        all.merge(&odd);
        assert_eq!((all.count(), all.max_us()), (1000, 1000));
        for (q, exact) in [(0.5, 500), (0.95, 950), (0.001, 1), (1.0, 1000)] {
            let found = all.quantile_us(q).unwrap();
            assert!(
                (exact..=exact + exact / 16 + 1).contains(&found),
                "{q}: {found}"
            );
        }
    }
}
