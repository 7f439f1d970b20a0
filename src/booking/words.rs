//! How names are compared: without case, accents or punctuation.

/// A text without case, accents and punctuation, its words parted by one space.
///
/// ```
/// assert_eq!(pronto::booking::words::fold("  Luned\u{ec}, CAMBIO-gomme! "), "lunedi cambio gomme");
/// ```
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars().flat_map(char::to_lowercase).filter(|letter| !is_mark(*letter)).map(plain) {
        if letter.is_alphanumeric() {
            folded.push(letter);
        } else if !folded.is_empty() && !folded.ends_with(' ') {
            folded.push(' ');
        }
    }
    folded.truncate(folded.trim_end().len());
    folded
}

/// Whether `words` occur in `text` as whole words; both are folded.
pub fn contains_words(text: &str, words: &str) -> bool {
    !words.is_empty() && format!(" {text} ").contains(&format!(" {words} "))
}

/// The first `chars_max` characters, without control characters, trimmed.
pub fn bounded(text: &str, chars_max: usize) -> String {
    let kept: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(chars_max.saturating_mul(2)).collect();
    kept.trim().chars().take(chars_max).collect()
}

/// A combining accent, as decomposed text carries them.
fn is_mark(letter: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&letter)
}

fn plain(letter: char) -> char {
    match letter {
        'à' | 'á' | 'â' | 'ä' | 'ã' | 'å' => 'a',
        'è' | 'é' | 'ê' | 'ë' => 'e',
        'ì' | 'í' | 'î' | 'ï' => 'i',
        'ò' | 'ó' | 'ô' | 'ö' | 'õ' => 'o',
        'ù' | 'ú' | 'û' | 'ü' => 'u',
        'ç' => 'c',
        'ñ' => 'n',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decomposed_accents_fold_like_composed_ones() {
        assert_eq!(fold("lunedi\u{300}"), fold("lunedì"));
        assert_eq!(fold("l'auto"), "l auto");
        assert_eq!(fold("!!"), "");
    }

    #[test]
    fn words_are_whole() {
        assert!(contains_words("un cambio gomme estive", "cambio gomme"));
        assert!(!contains_words("un cambio gommeestive", "cambio gomme"));
        assert!(!contains_words("qualcosa", ""));
    }

    #[test]
    fn bounds_keep_whole_characters() {
        assert_eq!(bounded(" è\u{0}tà lunga ", 4), "è tà");
    }
}
