//! A metrics page in the text format of Prometheus, read for its histograms: what the target itself says of the turns
//! that callers measured.
//!
//! A histogram only knows how many were at most each of its bounds. A percentile is taken inside its bucket, as if those
//! in it lay evenly: it is wrong by less than the width of that bucket. The gateway's buckets for turns are 20 ms wide
//! where turns are ([`TURN_BUCKETS`](crate::gateway::metrics::TURN_BUCKETS)), so the page, a call's own report and
//! what callers hear can be held against one another to 20 ms.

use super::Distribution;

/// The longest page that is read.
pub const BYTES_MAX: usize = 4 << 20;
/// The most buckets of one histogram.
const BUCKETS_MAX: usize = 1_000;

/// A metrics page.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Exposition {
    /// Each line: name, labels as they stand, value.
    lines: Vec<(String, String, f64)>,
}

/// A histogram of a page, in the unit of the page.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    /// Upper bounds with how many were at most that; ascending in both.
    buckets: Vec<(f64, u64)>,
    /// The sum of all.
    sum: f64,
    /// How many.
    count: u64,
}

impl Exposition {
    /// Reads a page; what is no line of the format is left out.
    pub fn parse(page: &str) -> Self {
        let lines = page.lines().filter(|line| !line.starts_with('#')).filter_map(line).collect();
        Self { lines }
    }

    /// A number by its name, summed over its labels.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.lines.iter().filter(|(known, ..)| known == name).map(|(.., value)| *value).reduce(|sum, one| sum + one)
    }

    /// A histogram by its name, of the series that have this label.
    pub fn histogram(&self, name: &str, label: Option<(&str, &str)>) -> Option<Histogram> {
        let wanted = label.map(|(key, value)| format!("{key}=\"{value}\""));
        let of = |part: &str| {
            let full = format!("{name}_{part}");
            let wanted = wanted.clone();
            self.lines.iter().filter(move |(name, labels, _)| {
                *name == full && wanted.as_ref().is_none_or(|wanted| labels.split(',').any(|label| label == wanted))
            })
        };
        let mut buckets: Vec<(f64, u64)> = of("bucket")
            .filter_map(|(_, labels, value)| {
                let bound = labels.split(',').find_map(|label| label.strip_prefix("le=\"")?.strip_suffix('"'))?;
                let bound: f64 = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
                (!bound.is_nan()).then_some((bound, whole(*value)))
            })
            .take(BUCKETS_MAX)
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let count = of("count").map(|(.., value)| whole(*value)).fold(0, u64::saturating_add);
        let sum = of("sum").map(|(.., value)| *value).sum();
        (!buckets.is_empty()).then_some(Histogram { buckets, sum, count })
    }
}

impl Histogram {
    /// What was added since an earlier page.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |bound: f64| {
            let same = earlier.buckets.iter().find(|(other, _)| other.total_cmp(&bound).is_eq());
            same.map_or(0, |(_, count)| *count)
        };
        Self {
            buckets: self.buckets.iter().map(|(bound, count)| (*bound, count.saturating_sub(before(*bound)))).collect(),
            sum: self.sum - earlier.sum,
            count: self.count.saturating_sub(earlier.count),
        }
    }

    /// How many.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The mean: exact, unlike the percentiles.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    /// A percentile, as if those of a bucket lay evenly in it.
    pub fn quantile(&self, share: f64) -> f64 {
        let rank = share * self.count as f64;
        let (mut from, mut below) = (0.0, 0);
        for (bound, count) in &self.buckets {
            let inside = count.saturating_sub(below);
            if inside > 0 && *count as f64 >= rank {
                // Beyond the last bound nothing is known but that it was passed.
                let to = if bound.is_finite() { *bound } else { return from };
                return from + (to - from) * ((rank - below as f64) / inside as f64).clamp(0.0, 1.0);
            }
            below = below.max(*count);
            from = if bound.is_finite() { *bound } else { from };
        }
        from
    }

    /// As a report keeps it: seconds become milliseconds.
    pub fn distribution(&self) -> Option<Distribution> {
        Distribution::of(self.count, self.mean() * 1_000.0, |share| self.quantile(share) * 1_000.0)
    }
}

/// `name{labels} value`; timestamps and exemplars behind the value are left out.
fn line(line: &str) -> Option<(String, String, f64)> {
    let (name, labels, rest) = match line.split_once('{') {
        Some((name, rest)) => {
            let (labels, rest) = rest.rsplit_once('}')?;
            (name, labels, rest)
        }
        None => {
            let (name, rest) = line.split_once(' ')?;
            (name, "", rest)
        }
    };
    let value: f64 = rest.split_ascii_whitespace().next()?.parse().ok()?;
    let known =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'));
    (known && value.is_finite()).then(|| (name.to_owned(), labels.to_owned(), value))
}

/// Counts are whole numbers, written as any number.
fn whole(value: f64) -> u64 {
    value.max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# HELP turn_seconds A turn
# TYPE turn_seconds histogram
turn_seconds_bucket{le=\"0.1\"} 10
turn_seconds_bucket{le=\"0.2\"} 30
turn_seconds_bucket{le=\"0.5\"} 40
turn_seconds_bucket{le=\"+Inf\"} 40
turn_seconds_sum 6
turn_seconds_count 40
wait_bucket{engine=\"stt\",le=\"1\"} 2
wait_bucket{engine=\"stt\",le=\"+Inf\"} 3
wait_sum{engine=\"stt\"} 4
wait_count{engine=\"stt\"} 3
wait_bucket{engine=\"llm\",le=\"1\"} 7
wait_bucket{engine=\"llm\",le=\"+Inf\"} 7
wait_sum{engine=\"llm\"} 1
wait_count{engine=\"llm\"} 7
refused_total{reason=\"full\"} 3
refused_total{reason=\"no_tenant\"} 1
not a line
}{ 1
";

    #[test]
    fn percentiles_lie_inside_their_bucket() {
        let turn = Exposition::parse(PAGE).histogram("turn_seconds", None).unwrap();
        let near = |share, value: f64| assert!((turn.quantile(share) - value).abs() < 1e-9, "{}", turn.quantile(share));
        near(0.0, 0.0);
        near(0.25, 0.1);
        near(0.5, 0.15);
        near(0.75, 0.2);
        near(0.875, 0.35);
        near(1.0, 0.5);
        assert!((turn.mean() - 0.15).abs() < 1e-9);
        let spread = turn.distribution().unwrap();
        assert_eq!((spread.n, spread.p50, spread.max), (40, 150.0, 500.0));
    }

    #[test]
    fn a_label_chooses_the_series() {
        let page = Exposition::parse(PAGE);
        let stt = page.histogram("wait", Some(("engine", "stt"))).unwrap();
        assert_eq!((stt.count(), stt.buckets.len()), (3, 2));
        assert!((stt.quantile(1.0) - 1.0).abs() < 1e-9, "beyond the last bound it is at least that");
        assert_eq!(page.histogram("wait", Some(("engine", "tts"))), None);
        assert_eq!(page.histogram("nothing", None), None);
        assert_eq!(page.number("refused_total"), Some(4.0));
    }

    #[test]
    fn only_what_came_since_counts() {
        let later = PAGE.replace("{le=\"0.5\"} 40", "{le=\"0.5\"} 50").replace("\"+Inf\"} 40", "\"+Inf\"} 50");
        let later = later.replace("turn_seconds_count 40", "turn_seconds_count 50").replace("_sum 6", "_sum 10");
        let [before, after] =
            [PAGE, later.as_str()].map(|page| Exposition::parse(page).histogram("turn_seconds", None).unwrap());
        let since = after.since(&before);
        assert_eq!(since.count(), 10);
        assert!((since.mean() - 0.4).abs() < 1e-9);
        assert!(since.quantile(0.01) > 0.2 && since.quantile(1.0) <= 0.5);
        assert_eq!(before.since(&after).count(), 0);
    }
}
