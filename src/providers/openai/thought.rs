//! Hides `<think>...</think>` at the beginning of an answer: reasoning that a local server forgot to take out.

/// Where an answer stands, as its pieces come.
#[derive(Debug, Default)]
pub(super) enum Thought {
    /// It may still begin with the mark.
    #[default]
    Unknown,
    /// The same, with these characters held back.
    Held(String),
    /// Inside; the last few characters, where the end mark may have begun.
    Inside(String),
    /// Behind it: white space is dropped.
    Behind,
    /// There is nothing more to hide.
    None,
}

impl Thought {
    const OPEN: &str = "<think>";
    const CLOSE: &str = "</think>";

    /// What may be spoken of this text.
    pub(super) fn pass(&mut self, text: &str) -> String {
        match std::mem::replace(self, Self::None) {
            Self::None => text.to_string(),
            Self::Unknown => self.begin(text.to_string()),
            Self::Held(held) => self.begin(held + text),
            Self::Inside(tail) => self.inside(tail + text),
            Self::Behind => self.behind(text),
        }
    }

    /// What is held back when the answer ends.
    pub(super) fn end(&mut self) -> String {
        match std::mem::replace(self, Self::None) {
            Self::Held(held) => held,
            Self::Unknown | Self::Inside(_) | Self::Behind | Self::None => String::new(),
        }
    }

    fn begin(&mut self, text: String) -> String {
        let start = text.trim_start();
        if let Some(rest) = start.strip_prefix(Self::OPEN) {
            self.inside(rest.to_string())
        } else if Self::OPEN.starts_with(start) {
            *self = Self::Held(text);
            String::new()
        } else {
            text
        }
    }

    fn inside(&mut self, text: String) -> String {
        if let Some((_, rest)) = text.split_once(Self::CLOSE) {
            return self.behind(rest);
        }
        let keep = text.char_indices().rev().take(Self::CLOSE.len()).last().map_or(0, |(at, _)| at);
        *self = Self::Inside(text[keep..].to_string());
        String::new()
    }

    fn behind(&mut self, text: &str) -> String {
        let rest = text.trim_start();
        *self = if rest.is_empty() { Self::Behind } else { Self::None };
        rest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thought_is_not_spoken_however_it_is_cut() {
        let check = |text: &str, spoken: &str| {
            for piece in 1..=text.len() {
                let mut thought = Thought::default();
                let chars: Vec<char> = text.chars().collect();
                let mut said: String =
                    chars.chunks(piece).map(|piece| thought.pass(&piece.iter().collect::<String>())).collect();
                said.push_str(&thought.end());
                assert_eq!(said, spoken, "pieces of {piece}");
            }
        };
        check("<think>hm, è così</think>\n\nBuongiorno <b>", "Buongiorno <b>");
        check("\n<think></think>Sì", "Sì");
        check("<thin>ks", "<thin>ks");
        check("<th", "<th");
        check("Prima <think> poi", "Prima <think> poi");
        check("<think>senza fine </thin", "");
    }
}
