//! Plots as SVG inside a page: no script, no font of their own, colours from the page's style. Each has a title and a
//! description for those who cannot see it, and never more points than a screen could show.

use std::fmt::Write as _;

use super::told::{escaped, figure};

/// More points of a line are drawn as the highest of each stretch.
const POINTS_MAX: usize = 400;
/// The most ticks of an axis.
const TICKS_MAX: usize = 12;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 46.0;

/// One axis.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    /// What it shows, with the unit.
    label: String,
    from: f64,
    to: f64,
    /// The shares of a distribution, so that each further nine has the same room.
    nines: bool,
    ticks: Vec<(f64, String)>,
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Line,
    Stairs,
    Dots,
}

/// One series.
#[derive(Debug, Clone)]
pub(super) struct Series {
    /// In the legend.
    pub(super) name: String,
    /// Which of the page's colours, from 1.
    pub(super) colour: usize,
    pub(super) style: Style,
    /// `None` where nothing was measured: the line is not drawn across it.
    pub(super) points: Vec<Option<(f64, f64)>>,
}

/// A bar of a list.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    pub(super) name: String,
    /// Where it begins.
    pub(super) from: f64,
    pub(super) length: f64,
    /// What is written behind it.
    pub(super) told: String,
    pub(super) colour: usize,
}

impl Axis {
    /// An even one, from zero, that holds these values.
    pub(super) fn even(label: &str, values: impl Iterator<Item = f64>) -> Self {
        let most = values.filter(|value| value.is_finite()).fold(0.0, f64::max).min(1e15);
        let most = if most <= 0.0 { 1.0 } else { most };
        let step = step(most / 5.0);
        let to = (most / step).ceil() * step;
        let ticks = (0..TICKS_MAX).map(|at| at as f64 * step).take_while(|at| *at <= to + step / 2.0);
        Self { label: label.into(), from: 0.0, to, nines: false, ticks: ticks.map(|at| (at, figure(at))).collect() }
    }

    /// From zero to exactly the most of these values, as time passes.
    pub(super) fn time(label: &str, values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<_> = values.filter(|value| value.is_finite()).collect();
        let mut axis = Self::even(label, values.iter().copied());
        let most = values.into_iter().fold(0.0, f64::max);
        if most > 0.0 && most < axis.to {
            axis.to = most;
            axis.ticks.retain(|(at, _)| *at <= most);
        }
        axis
    }

    /// The same as an even one, but it begins near the least of the values.
    pub(super) fn around(label: &str, values: impl Iterator<Item = f64> + Clone) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let (least, most) = (finite.clone().fold(f64::MAX, f64::min), finite.fold(0.0, f64::max).min(1e15));
        if !(least > 0.0 && least < most) || least < most * 0.4 {
            return Self::even(label, std::iter::once(most));
        }
        let step = step((most - least) / 5.0);
        let (from, to) = ((least / step).floor() * step, (most / step).ceil() * step);
        let ticks = (0..TICKS_MAX).map(|at| from + at as f64 * step).take_while(|at| *at <= to + step / 2.0);
        Self { label: label.into(), from, to, nines: false, ticks: ticks.map(|at| (at, figure(at))).collect() }
    }

    /// Shares of a distribution of so many: 0, 50, 90, 99, 99.9 ... percent as far as they mean something.
    pub(super) fn nines(label: &str, n: u64) -> Self {
        let known = [
            (0.0, "0"),
            (0.5, "50"),
            (0.9, "90"),
            (0.99, "99"),
            (0.999, "99.9"),
            (0.9999, "99.99"),
            (0.99999, "99.999"),
        ];
        let most = 1.0 - 1.0 / (n.max(10) as f64);
        let ticks = known.iter().filter(|(share, _)| *share <= most + 1e-9);
        let ticks = ticks.map(|(share, told)| (*share, (*told).to_owned())).collect();
        Self { label: label.into(), from: 0.0, to: most.min(0.999_99), nines: true, ticks }
    }

    /// Where a value lies, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let (value, from, to) =
            if self.nines { (nines(value.min(self.to)), 0.0, nines(self.to)) } else { (value, self.from, self.to) };
        if to > from { ((value - from) / (to - from)).clamp(0.0, 1.0) } else { 0.0 }
    }
}

fn nines(share: f64) -> f64 {
    -(1.0 - share.clamp(0.0, 0.999_999)).log10()
}

/// 1, 2 or 5 of a power of ten, at least so much.
fn step(least: f64) -> f64 {
    let power = 10f64.powf(least.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|times| times * power)
        .find(|step| *step >= least * 0.999)
        .unwrap_or(power * 10.0)
}

/// A plot with its title and legend, as a figure.
pub(super) fn chart(title: &str, note: &str, x: &Axis, y: &Axis, series: &[Series]) -> String {
    let mut svg = open(title, note, HEIGHT);
    axes(&mut svg, x, y);
    for one in series {
        draw(&mut svg, x, y, one);
    }
    svg.push_str("</svg>");
    figure_of(title, note, &legend(series), &svg)
}

/// Bars under one another.
pub(super) fn bars(title: &str, note: &str, unit: &str, rows: &[Bar]) -> String {
    const ROW: f64 = 30.0;
    const NAMES: f64 = 218.0;
    const TOLD: f64 = 96.0;
    let most = rows.iter().map(|row| row.from + row.length).filter(|end| end.is_finite()).fold(0.0, f64::max).max(1e-9);
    let width = WIDTH - NAMES - TOLD;
    let height = rows.len() as f64 * ROW + 34.0;
    let mut svg = open(title, note, height);
    for (at, row) in rows.iter().enumerate() {
        let top = at as f64 * ROW + 6.0;
        let scale = |value: f64| (value / most).clamp(0.0, 1.0) * width;
        let (from, length) = (NAMES + scale(row.from), scale(row.length).max(1.5));
        let (middle, name) = (top + 14.0, escaped(&short(&row.name, 36)));
        let told = format!("{} {unit}", row.told);
        let _ = write!(
            svg,
            "<g><title>{}: {}</title><text x=\"{:.1}\" y=\"{middle:.1}\" class=\"name\">{name}</text>\
             <rect x=\"{from:.1}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"19\" rx=\"2\" class=\"b{}\"/>\
             <text x=\"{:.1}\" y=\"{middle:.1}\" class=\"told\">{}</text></g>",
            escaped(&row.name),
            escaped(&told),
            NAMES - 10.0,
            row.colour,
            from + length + 7.0,
            escaped(&told),
        );
    }
    let base = rows.len() as f64 * ROW + 8.0;
    let _ = write!(svg, "<path class=\"axis\" d=\"M{NAMES:.1} 0V{base:.1}\"/></svg>");
    figure_of(title, note, "", &svg)
}

fn open(title: &str, note: &str, height: f64) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\"><title>{}</title><desc>{}</desc>",
        escaped(title),
        escaped(note)
    )
}

fn figure_of(title: &str, note: &str, legend: &str, svg: &str) -> String {
    let note = if note.is_empty() { String::new() } else { format!("<p class=\"note\">{}</p>", escaped(note)) };
    format!("<figure><figcaption><h3>{}</h3>{note}{legend}</figcaption>{svg}</figure>\n", escaped(title))
}

fn legend(series: &[Series]) -> String {
    if series.len() < 2 {
        return String::new();
    }
    let item = |one: &Series| {
        let mark = match one.style {
            Style::Dots => format!("<circle class=\"d{}\" cx=\"12\" cy=\"5\" r=\"4\"/>", one.colour),
            Style::Line | Style::Stairs => format!("<path class=\"s{}\" d=\"M0 5H24\"/>", one.colour),
        };
        format!(
            "<li><svg class=\"key\" viewBox=\"0 0 24 10\" aria-hidden=\"true\">{mark}</svg>{}</li>",
            escaped(&one.name)
        )
    };
    format!("<ul class=\"legend\">{}</ul>", series.iter().map(item).collect::<String>())
}

fn axes(svg: &mut String, x: &Axis, y: &Axis) {
    let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let floor = TOP + height;
    for (value, told) in &y.ticks {
        let at = floor - y.place(*value) * height;
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{:.1}\"/><text class=\"y\" x=\"{:.1}\" y=\"{:.1}\">{told}</text>",
            LEFT + width,
            LEFT - 8.0,
            at + 4.0,
        );
    }
    for (value, told) in &x.ticks {
        let at = LEFT + x.place(*value) * width;
        let _ = write!(
            svg,
            "<path class=\"tick\" d=\"M{at:.1} {floor:.1}v5\"/><text class=\"x\" x=\"{at:.1}\" y=\"{:.1}\">{told}</text>",
            floor + 19.0
        );
    }
    let _ = write!(
        svg,
        "<path class=\"axis\" d=\"M{LEFT} {floor:.1}H{:.1}\"/>\
         <text class=\"x label\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\
         <text class=\"x label\" transform=\"translate(14 {:.1}) rotate(-90)\">{}</text>",
        LEFT + width,
        LEFT + width / 2.0,
        HEIGHT - 6.0,
        escaped(&x.label),
        TOP + height / 2.0,
        escaped(&y.label),
    );
}

fn draw(svg: &mut String, x: &Axis, y: &Axis, series: &Series) {
    let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let place = |(at, value): (f64, f64)| (LEFT + x.place(at) * width, TOP + height - y.place(value) * height);
    let finite = |point: &Option<(f64, f64)>| point.filter(|(at, value)| at.is_finite() && value.is_finite());
    let points: Vec<_> = thin(&series.points).iter().map(finite).collect();
    if series.style == Style::Dots {
        for (at, value) in points.into_iter().flatten().map(place) {
            let _ = write!(svg, "<circle class=\"d{}\" cx=\"{at:.1}\" cy=\"{value:.1}\" r=\"3.5\"/>", series.colour);
        }
        return;
    }
    let mut path = String::new();
    for (at, point) in points.iter().enumerate() {
        let Some(place) = point.map(place) else { continue };
        let before = at.checked_sub(1).and_then(|before| points[before]).is_some();
        let after = points.get(at + 1).is_some_and(Option::is_some);
        let _ = match (before, series.style) {
            (true, Style::Stairs) => write!(path, "H{:.1}V{:.1}", place.0, place.1),
            (true, Style::Line | Style::Dots) => write!(path, "L{:.1} {:.1}", place.0, place.1),
            (false, _) => write!(path, "M{:.1} {:.1}", place.0, place.1),
        };
        // A point by itself would be invisible.
        if !before && !after {
            let _ = write!(
                svg,
                "<circle class=\"d{}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>",
                series.colour, place.0, place.1
            );
        }
    }
    let _ = write!(svg, "<path class=\"s{}\" d=\"{path}\"/>", series.colour);
}

/// At most [`POINTS_MAX`] points: of each stretch the highest, so that no peak is lost.
fn thin(points: &[Option<(f64, f64)>]) -> Vec<Option<(f64, f64)>> {
    let stretch = points.len().div_ceil(POINTS_MAX).max(1);
    let highest = |some: &[Option<(f64, f64)>]| some.iter().flatten().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    points.chunks(stretch).map(highest).collect()
}

/// The beginning of a long text.
fn short(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        let told =
            |most: f64| Axis::even("ms", [most].into_iter()).ticks.into_iter().map(|it| it.1).collect::<Vec<_>>();
        assert_eq!(told(47.0), ["0", "10", "20", "30", "40", "50"]);
        assert_eq!(told(0.9), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(told(0.0), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        for most in [1e-12, 3.3, 1e9, 1e300, f64::INFINITY, f64::NAN, -4.0] {
            assert!((2..=TICKS_MAX).contains(&told(most).len()), "{most}: {:?}", told(most));
        }
        let around = Axis::around("ms", [1_040.0, 1_130.0].into_iter());
        assert_eq!((around.from, around.to), (1_040.0, 1_140.0));
    }

    #[test]
    fn each_nine_has_the_same_room() {
        let axis = Axis::nines("%", 10_000);
        assert_eq!(axis.ticks.len(), 6);
        let steps = [0.9, 0.99, 0.999, 0.9999].map(|share| axis.place(share));
        for (at, place) in steps.iter().enumerate() {
            assert!((place - (at + 1) as f64 / 4.0).abs() < 1e-6, "{steps:?}");
        }
        assert_eq!(Axis::nines("%", 20).ticks.len(), 3, "of twenty nothing is known about the hundredth");
    }

    #[test]
    fn peaks_survive_and_holes_stay_holes() {
        let mut points: Vec<_> = (0..10_000).map(|at| Some((f64::from(at), 1.0))).collect();
        points[5_001] = Some((5_001.0, 99.0));
        let thinned = thin(&points);
        assert!(thinned.len() <= POINTS_MAX && thinned.contains(&Some((5_001.0, 99.0))));
        let (x, y) = (Axis::even("s", [4.0].into_iter()), Axis::even("ms", [9.0].into_iter()));
        let series = Series {
            name: "p50".into(),
            colour: 1,
            style: Style::Line,
            points: vec![Some((0.0, 1.0)), Some((1.0, 2.0)), None, Some((3.0, 4.0)), None],
        };
        let svg = chart("a <title>", "", &x, &y, &[series]);
        assert!(svg.contains("a &lt;title&gt;") && !svg.contains("NaN") && !svg.contains("inf"));
        assert_eq!(svg.matches("<circle").count(), 1, "the point by itself is seen");
    }
}
