//! Names and values as they stand in a query or a form.

/// The decoded pairs, in order. What is not valid UTF-8 becomes replacement characters.
pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

/// The first value of a name.
pub(super) fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (b'+', ..) => {
                out.push(b' ');
                at += 1;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned())
}

/// Reads arbitrary bytes as a query: nothing panics, and nothing grows.
#[cfg(feature = "fuzz")]
pub fn fuzz(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let read = pairs(&text);
    let out: usize = read.iter().map(|(name, value)| name.len() + value.len()).sum();
    // A broken escape becomes a replacement character of three bytes at most.
    assert!(out <= 3 * text.len(), "{out} bytes from {}", text.len());
    for (name, _) in &read {
        assert!(value(&read, name).is_some(), "a name that was read is found");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_whatever_is_broken_in_them() {
        let read = pairs("From=%2B393331234567&Name=Officina+%C3%88+Qui&&x&y=%zz%4&z=%ff");
        assert_eq!(value(&read, "From"), Some("+393331234567"));
        assert_eq!(value(&read, "Name"), Some("Officina È Qui"));
        assert_eq!(value(&read, "x"), Some(""));
        assert_eq!(value(&read, "y"), Some("%zz%4"));
        assert_eq!(value(&read, "z"), Some("\u{fffd}"));
        assert_eq!(value(&read, "w"), None);
    }
}
