//! The terminal of somebody who watches: lines that stay, and one that tells what is being waited for.

use std::io::{self, IsTerminal, Write};

/// Standard output.
#[derive(Debug)]
pub(super) struct Terminal {
    /// Somebody sits at it: a line may be written over.
    live: bool,
    /// There is such a line now.
    waiting: bool,
}

impl Terminal {
    pub(super) fn new() -> Self {
        Self { live: io::stdout().is_terminal(), waiting: false }
    }

    /// Somebody sits at it.
    pub(super) const fn is_live(&self) -> bool {
        self.live
    }

    /// A line that stays.
    pub(super) fn line(&mut self, text: impl AsRef<str>) {
        self.clear();
        self.write(&format!("{}\n", text.as_ref()));
    }

    /// What is being waited for. In a file or a pipe every other one would be a line of its own: there it is not told.
    pub(super) fn wait(&mut self, text: impl AsRef<str>) {
        if self.live {
            self.write(&format!("\r\x1b[2K  {}", text.as_ref()));
            self.waiting = true;
        }
    }

    /// Nothing is waited for any more.
    pub(super) fn clear(&mut self) {
        if self.waiting {
            self.write("\r\x1b[2K");
            self.waiting = false;
        }
    }

    fn write(&self, text: &str) {
        let mut out = io::stdout();
        // Whoever closed the pipe does not want to read more.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.clear();
    }
}
