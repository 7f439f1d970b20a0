//! Finds the phrases in the sound: time warping against all templates at once, one column a frame.
//!
//! Each frame of the line is matched to exactly one moment of one template, so the costs of all paths can be compared
//! at any time. A path that reaches the end of a template may fall silent or begin another one: whole utterances are
//! found as strings of phrases. Paths much worse than the best are dropped.

use std::sync::Arc;

use super::{mfcc::Moment, templates::Templates};

/// What a path pays for beginning a phrase; in frames of a bad match.
const PHRASE: f32 = 2.0;
/// And for beginning a unit: or noise would be heard as digits.
const UNIT: f32 = 2.5;
/// For staying at a moment of the template one more frame (the caller speaks slower).
const STAY: f32 = 0.12;
/// For leaving a moment out (the caller speaks faster, or sound was lost).
const SKIP: f32 = 0.12;
/// No frame is worse than this: a click must not hide a phrase.
const WORST: f32 = 3.0;
/// Paths this much worse than the best are dropped.
const BEAM: f32 = 10.0;
/// What a phrase that has not ended pays at the end of the utterance.
const UNFINISHED: f32 = 3.0;

/// An unreachable state.
const NEVER: f32 = f32::INFINITY;
/// The node before everything.
const ROOT: u32 = 0;

/// Paths through the templates, so far.
#[derive(Debug)]
pub struct Search {
    /// The phrases.
    templates: Arc<Templates>,
    /// Cost of the best path to each moment of each template.
    cost: Vec<f32>,
    /// The node from which that path entered the template.
    entry: Vec<u32>,
    /// The first and one past the last reachable moment of each template.
    live: Vec<(usize, usize)>,
    /// Where phrases may begin: one a frame, and the root.
    nodes: Vec<Node>,
    /// The cost of the best path.
    best: f32,
}

/// A point between phrases.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// The template that ended here; none in silence.
    span: Option<usize>,
    /// The node from which it, or the silence, was entered.
    before: u32,
    /// After how many frames.
    at: u32,
    /// Cost of the path.
    cost: f32,
}

/// A phrase, or the beginning of one, in the sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Which phrase.
    pub phrase: usize,
    /// The frame it begins at.
    pub from: u32,
    /// The frame it ends at.
    pub to: u32,
    /// How much of it was heard, 0 to 1.
    pub heard: f32,
    /// Mean distance of its frames: 0 is the template itself, 2 is something else.
    pub distance: f32,
}

impl Search {
    /// A search at the beginning of an utterance.
    pub fn new(templates: Arc<Templates>) -> Self {
        Self {
            cost: vec![NEVER; templates.count()],
            entry: vec![ROOT; templates.count()],
            live: vec![(0, 0); templates.spans.len()],
            nodes: vec![Node { span: None, before: ROOT, at: 0, cost: 0.0 }],
            best: 0.0,
            templates,
        }
    }

    /// How many frames were heard.
    pub fn frames(&self) -> usize {
        self.nodes.len() - 1
    }

    /// Advances every path by one frame. `silence` is what it costs to call this frame silence.
    pub fn hear(&mut self, frame: &Moment, silence: f32) {
        let templates = self.templates.clone();
        let border = (self.nodes.len() - 1) as u32;
        let from = self.nodes[border as usize];
        let mut best = from.cost + silence;
        let mut exit: Option<(usize, f32, u32)> = None;
        // Costs only grow, so the best of the last frame bounds this one's: prune while advancing.
        let bound = self.best + BEAM;
        for (index, span) in templates.spans.iter().enumerate() {
            let begin = from.cost + if span.unit { UNIT } else { PHRASE };
            let (low, high) = self.live[index];
            let begins = begin < bound;
            if !begins && low >= high {
                continue;
            }
            let cost = &mut self.cost[span.first..span.first + span.len];
            let entry = &mut self.entry[span.first..span.first + span.len];
            let moments = &templates.moments[span.first..span.first + span.len];
            let top = (high + 2).min(span.len).max(if begins { 2 } else { 0 });
            let bottom = if begins { 0 } else { low };
            let (mut first, mut last) = (span.len, 0);
            for at in (bottom..top).rev() {
                let (stay, before) = (cost[at] + STAY, if at == 0 { begin } else { cost[at - 1] });
                let skip = SKIP
                    + if at > 1 {
                        cost[at - 2]
                    } else if at == 1 {
                        begin
                    } else {
                        NEVER
                    };
                let reach = stay.min(before).min(skip);
                if reach >= bound {
                    cost[at] = NEVER;
                    continue;
                }
                if reach != stay {
                    let back = if reach == before { 1 } else { 2 };
                    entry[at] = if at < back { border } else { entry[at - back] };
                }
                cost[at] = reach + distance(frame, &moments[at]);
                best = best.min(cost[at]);
                first = at;
                last = last.max(at + 1);
            }
            self.live[index] = if first < last { (first, last) } else { (0, 0) };
            let end = span.len - 1;
            for (at, extra) in [(end, 0.0), (end - 1, SKIP)] {
                if cost[at] + extra < exit.map_or(NEVER, |(_, cost, _)| cost) {
                    exit = Some((index, cost[at] + extra, entry[at]));
                }
            }
        }
        let quiet = Node { span: None, before: border, at: from.at + 1, cost: from.cost + silence };
        self.nodes.push(match exit {
            Some((span, cost, before)) if cost < quiet.cost => Node { span: Some(span), before, at: quiet.at, cost },
            Some(_) | None => quiet,
        });
        self.best = best;
    }

    /// The best unfinished path: template, moment, cost.
    fn unfinished(&self) -> Option<(usize, usize, f32)> {
        let mut best: Option<(usize, usize, f32)> = None;
        for (index, (low, high)) in self.live.iter().copied().enumerate() {
            let span = self.templates.spans[index];
            for at in low..high {
                let cost = self.cost[span.first + at];
                if cost < best.map_or(NEVER, |(_, _, cost)| cost) {
                    best = Some((index, at, cost));
                }
            }
        }
        best
    }

    /// The best string of phrases so far. At the end of an utterance whole phrases are preferred.
    pub fn found(&self, ended: bool) -> Vec<Found> {
        let mut found = Vec::new();
        let border = self.nodes[self.nodes.len() - 1];
        let mut node = (self.nodes.len() - 1) as u32;
        if let Some((index, at, cost)) = self.unfinished()
            && cost + if ended { UNFINISHED } else { 0.0 } < border.cost
        {
            let span = self.templates.spans[index];
            let before = self.entry[span.first + at];
            let heard = (at + 1) as f32 / span.len as f32;
            found.push(self.piece(index, before, border.at, cost, heard));
            node = before;
        }
        while node != ROOT {
            let Node { span, before, at, cost } = self.nodes[node as usize];
            if let Some(span) = span {
                found.push(self.piece(span, before, at, cost, 1.0));
            }
            node = before;
        }
        found.reverse();
        found
    }

    fn piece(&self, span: usize, before: u32, to: u32, cost: f32, heard: f32) -> Found {
        let span = self.templates.spans[span];
        let Node { at: from, cost: paid, .. } = self.nodes[before as usize];
        let begin = if span.unit { UNIT } else { PHRASE };
        let distance = (cost - paid - begin).max(0.0) / (to - from).max(1) as f32;
        Found { phrase: span.phrase, from, to, heard, distance }
    }
}

/// How different two moments are: 0 the same, 2 unrelated. Written out so that a build without optimisation can use it.
fn distance(a: &Moment, b: &Moment) -> f32 {
    let (a, _) = a.as_chunks::<8>();
    let (b, _) = b.as_chunks::<8>();
    let mut sum = 0.0;
    for (a, b) in a.iter().zip(b) {
        let [a0, a1, a2, a3, a4, a5, a6, a7] = *a;
        let [b0, b1, b2, b3, b4, b5, b6, b7] = *b;
        let (d0, d1, d2, d3) = (a0 - b0, a1 - b1, a2 - b2, a3 - b3);
        let (d4, d5, d6, d7) = (a4 - b4, a5 - b5, a6 - b6, a7 - b7);
        sum += d0 * d0 + d1 * d1 + d2 * d2 + d3 * d3 + d4 * d4 + d5 * d5 + d6 * d6 + d7 * d7;
    }
    sum.min(WORST)
}
