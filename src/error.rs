//! What stops the reading of one input: it cannot be opened, read or recognised.
//!
//! Odd packets and odd lines are no errors: they are counted as skips where they are met, and the rest
//! is analysed. Every error names its input, and says what was found and what was expected.

use std::io;

/// Why an input gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused to open or read it.
    #[error("{input}: cannot {action}: {source}")]
    Io {
        /// The input as the user named it; members as `archive!member`.
        input: String,
        /// What was tried: `open`, `read`, `list`.
        action: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// Nothing that this program reads was recognised in it.
    #[error("{input}: {found}; expected {expected}")]
    Unrecognised {
        /// The input as the user named it.
        input: String,
        /// What its first bytes look like.
        found: String,
        /// What would have been read.
        expected: &'static str,
    },
    /// Rows, or a part of evidence, that cannot be used.
    #[error("{input}: {why}")]
    Rows {
        /// The input as the user named it.
        input: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Error {
    /// Wraps an I/O error with the input's name and what was tried.
    pub fn io(input: impl Into<String>, action: &'static str, source: io::Error) -> Self {
        Self::Io { input: input.into(), action, source }
    }

    /// The input that it is about.
    #[must_use]
    pub fn input(&self) -> &str {
        match self {
            Self::Io { input, .. } | Self::Unrecognised { input, .. } | Self::Rows { input, .. } => input,
        }
    }
}
