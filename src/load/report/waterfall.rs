//! Where the time of a turn goes, from the caller's last sound to the first of the answer. In means: they are the only
//! figures that add up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Distribution;

/// One part of a turn.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Part {
    /// Of what.
    pub name: String,
    /// Its mean, in milliseconds.
    pub ms: f64,
    /// It is the target's own and not somebody else's, or asked for.
    pub own: bool,
}

/// The parts of a turn, in the order in which they pass. `target` is what its metrics page says; without one only what
/// the waits of a rig are known to be is told apart.
pub(super) fn of(
    latency: &BTreeMap<String, Distribution>,
    target: &BTreeMap<String, Distribution>,
    expected_ms: Option<f64>,
) -> Vec<Part> {
    let part = |name: &str, ms: f64, own| Part { name: name.into(), ms: super::distribution::tidy(ms.max(0.0)), own };
    let Some(heard) = latency.get("turn_ms").map(|turn| turn.mean) else { return vec![] };
    let theirs = |name: &str| target.get(name).map(|spread| spread.mean);
    let (Some(turn), Some(own)) = (theirs("turn_ms"), theirs("own_ms")) else {
        let Some(expected) = expected_ms else { return vec![part("the whole turn", heard, false)] };
        return vec![part("silence and engines", expected.min(heard), false), part("gateway", heard - expected, true)];
    };
    let [stt, llm, tts] = ["stt_ms", "llm_ms", "tts_ms"].map(|name| theirs(name).unwrap_or(0.0));
    let mut parts = vec![
        part("silence (endpointing) and tools", turn - own - stt - llm - tts, false),
        part("recogniser", stt, false),
        part("model", llm, false),
        part("voice", tts, false),
        part("gateway", own, true),
    ];
    // What callers hear later than the target believes: the way to the ear, and where each of them heard the end.
    if heard > turn {
        parts.push(part("to the caller's ear", heard - turn, true));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spreads(means: &[(&str, f64)]) -> BTreeMap<String, Distribution> {
        let of = |(name, mean): &(&str, f64)| ((*name).to_owned(), Distribution::of_samples(vec![*mean]).unwrap());
        means.iter().map(of).collect()
    }

    #[test]
    fn the_parts_add_up_to_what_was_heard() {
        let target =
            spreads(&[("turn_ms", 1_100.0), ("own_ms", 10.0), ("stt_ms", 40.0), ("llm_ms", 250.0), ("tts_ms", 100.0)]);
        let parts = of(&spreads(&[("turn_ms", 1_112.0)]), &target, Some(1_090.0));
        let told: Vec<_> = parts.iter().map(|part| (part.name.as_str(), part.ms)).collect();
        assert_eq!(
            told,
            [
                ("silence (endpointing) and tools", 700.0),
                ("recogniser", 40.0),
                ("model", 250.0),
                ("voice", 100.0),
                ("gateway", 10.0),
                ("to the caller's ear", 12.0)
            ]
        );
    }

    #[test]
    fn without_a_metrics_page_it_is_told_from_the_waits() {
        let parts = of(&spreads(&[("turn_ms", 1_112.0)]), &BTreeMap::new(), Some(1_100.0));
        assert_eq!(parts.iter().map(|part| part.ms).collect::<Vec<_>>(), [1_100.0, 12.0]);
        assert_eq!(of(&spreads(&[("turn_ms", 5.0)]), &BTreeMap::new(), None).len(), 1);
        assert!(of(&BTreeMap::new(), &BTreeMap::new(), None).is_empty());
    }
}
