//! Numbers as people read them.

/// A number with as many digits as mean something.
pub(super) fn figure(value: f64) -> String {
    if !value.is_finite() {
        return "-".into();
    }
    let size = value.abs();
    let digits = match size {
        _ if size >= 100.0 => 0,
        _ if size >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    let text = if text == "-0" { "0" } else { text };
    grouped(text)
}

/// A number that may be missing.
pub(super) fn figure_or_none(value: Option<f64>) -> String {
    value.map_or("-".into(), figure)
}

/// A count.
pub(super) fn count(value: u64) -> String {
    grouped(&value.to_string())
}

/// Thousands apart, from 10,000 on.
fn grouped(text: &str) -> String {
    let (sign, rest) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = rest.split_once('.').map_or((rest, None), |(whole, fraction)| (whole, Some(fraction)));
    if whole.len() < 5 {
        return text.to_owned();
    }
    let mut told = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            told.push(',');
        }
        told.push(digit);
    }
    if let Some(fraction) = fraction {
        told.push('.');
        told.push_str(fraction);
    }
    told
}

/// A share of one, in percent.
pub(super) fn percent(share: f64) -> String {
    format!("{} %", figure(share * 100.0))
}

/// A time in seconds.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{} s", figure(s)),
        s if s < 7_200.0 => format!("{} min", figure(s / 60.0)),
        s => format!("{} h", figure(s / 3_600.0)),
    }
}

/// Text in HTML and SVG.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() && c != '\n' && c != '\t' => safe.push('\u{FFFD}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_mean_something() {
        let check = |value: f64, told: &str| assert_eq!(figure(value), told);
        check(0.0, "0");
        check(-0.001, "0");
        check(0.123_4, "0.12");
        check(7.0, "7");
        check(12.34, "12.3");
        check(123.4, "123");
        check(1_234.0, "1234");
        check(12_345.6, "12,346");
        check(-1_234_567.0, "-1,234,567");
        check(f64::NAN, "-");
        assert_eq!(count(1_000_000), "1,000,000");
        assert_eq!((percent(0.956), seconds(600.0)), ("95.6 %".into(), "10 min".into()));
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escaped("<b a=\"1\">'&'\u{1}"), "&lt;b a=&quot;1&quot;&gt;&#39;&amp;&#39;\u{FFFD}");
    }
}
