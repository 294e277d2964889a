//! The one error type: every message is a plain sentence that names the place, the problem and the mend.

use std::path::Path;

/// What went wrong, in the words a user reads: `place: problem; mend`.
///
/// The variants differ only in who can mend it, which decides the exit code of the program
/// ([`Error::exit_code`]).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The command line asks for something that does not exist or does not fit together.
    #[error("{place}: {problem}; {mend}")]
    Usage {
        /// The argument or option.
        place: String,
        /// What is wrong with it.
        problem: String,
        /// What to write instead.
        mend: String,
    },
    /// A file, a scenario or a library caller handed over something that cannot be used.
    #[error("{place}: {problem}; {mend}")]
    Input {
        /// The file (with line or byte offset where known), key, layer or argument.
        place: String,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        mend: String,
    },
    /// The adapter, its driver or its memory gave up.
    #[error("{place}: {problem}; {mend}")]
    Gpu {
        /// The adapter or GPU object.
        place: String,
        /// What it could not do.
        problem: String,
        /// What to do about it.
        mend: String,
    },
}

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A mistake on the command line.
    pub fn usage(
        place: impl Into<String>,
        problem: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self::Usage {
            place: place.into(),
            problem: problem.into(),
            mend: mend.into(),
        }
    }

    /// Unusable input; `place` is a file, key, layer or argument.
    pub fn input(
        place: impl Into<String>,
        problem: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self::Input {
            place: place.into(),
            problem: problem.into(),
            mend: mend.into(),
        }
    }

    /// A failure of the adapter or device.
    pub fn gpu(
        place: impl Into<String>,
        problem: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self::Gpu {
            place: place.into(),
            problem: problem.into(),
            mend: mend.into(),
        }
    }

    /// A failed read or write of `path`, with the mend that its cause suggests.
    pub fn io(path: &Path, doing: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        let mend = match error.kind() {
            Kind::NotFound => "check the path",
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
                "choose a place that you may use, or change its permissions"
            }
            Kind::StorageFull | Kind::QuotaExceeded => "free some space or choose another disk",
            Kind::UnexpectedEof => "the file is cut short; fetch it again",
            _ => "check the path and the disk",
        };
        let reason = match error.kind() {
            Kind::NotFound => "it does not exist".to_owned(),
            Kind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        Self::input(
            path.display().to_string(),
            format!("cannot {doing}: {reason}"),
            mend,
        )
    }

    /// What the message begins with: the file, key, layer, argument or adapter.
    pub fn place(&self) -> &str {
        let (Self::Usage { place, .. } | Self::Input { place, .. } | Self::Gpu { place, .. }) =
            self;
        place
    }

    /// The same error within a larger place, such as a line of a file.
    pub(crate) fn within(mut self, outer: &str) -> Self {
        let (Self::Usage { place, .. } | Self::Input { place, .. } | Self::Gpu { place, .. }) =
            &mut self;
        place.insert_str(0, &format!("{outer}, "));
        self
    }

    /// The program's exit code for this error: 2 for wrong usage, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            _ => 1,
        }
    }
}
