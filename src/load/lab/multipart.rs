//! Reads a `multipart/form-data` body.

/// One field of a form.
#[derive(Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name.
    pub name: String,
    /// The file name, for a file.
    pub file: Option<String>,
    /// What it holds.
    pub value: &'a [u8],
}

/// Fields read at most.
const FIELDS_MAX: usize = 64;

/// The fields of a form; none when it is no form.
pub fn fields<'a>(content_type: &str, body: &'a [u8]) -> Option<Vec<Field<'a>>> {
    let boundary = parameter(content_type.strip_prefix("multipart/form-data")?, "boundary")?;
    let mark = format!("--{boundary}");
    let mut rest = &body[find(body, mark.as_bytes())? + mark.len()..];
    let next = format!("\r\n{mark}");
    let mut fields = Vec::new();
    while fields.len() < FIELDS_MAX && !rest.starts_with(b"--") {
        rest = rest.strip_prefix(b"\r\n")?;
        let head = find(rest, b"\r\n\r\n")?;
        let end = find(rest, next.as_bytes())?;
        let value = rest.get(head + 4..end)?;
        let head = String::from_utf8_lossy(&rest[..head]).into_owned();
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
        fields.push(Field { name: parameter(line, "name")?, file: parameter(line, "filename"), value });
        rest = &rest[end + next.len()..];
    }
    Some(fields)
}

/// A `; name="value"` of a header.
fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').find_map(|part| {
        let value = part.trim().strip_prefix(name)?.strip_prefix('=')?;
        Some(value.trim_matches('"').to_string())
    })
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    let first = *part.first()?;
    (0..=text.len().checked_sub(part.len())?).find(|at| text[*at] == first && text[*at..].starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read() {
        let body =
            b"--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--x\r\ncontent-disposition: \
            form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\nRI\r\nFF\r\n--x--\r\n";
        let fields = fields("multipart/form-data; boundary=\"x\"", body).unwrap();
        assert_eq!((fields[0].name.as_str(), fields[0].value), ("model", &b"whisper-1"[..]));
        assert_eq!((fields[1].file.as_deref(), fields[1].value), (Some("a.wav"), &b"RI\r\nFF"[..]));
    }

    #[test]
    fn what_is_cut_off_anywhere_is_no_form_and_no_panic() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--x--";
        for end in 0..body.len() - 4 {
            assert_eq!(fields("multipart/form-data; boundary=x", &body[..end]), None, "cut at {end}");
        }
        assert_eq!(fields("application/json", body), None);
    }
}
