//! The one error type: every message is a plain sentence that names the context, the problem and the hint.

use std::path::Path;

/// What went wrong, in the words a user reads: `context: problem; hint`.
///
/// The variants differ only in who can hint it, which decides the exit code of the program
/// ([`Error::exit_code`]).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The command line asks for something that does not exist or does not fit together.
    #[error("{context}: {problem}; {hint}")]
    Usage {
        /// The argument or option.
        context: String,
        /// What is wrong with it.
        problem: String,
        /// What to write instead.
        hint: String,
    },
    /// A file, a scenario or a library caller handed over something that cannot be used.
    #[error("{context}: {problem}; {hint}")]
    Input {
        /// The file (with line or byte offset where known), key, layer or argument.
        context: String,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        hint: String,
    },
    /// The adapter, its driver or its memory gave up.
    #[error("{context}: {problem}; {hint}")]
    Gpu {
        /// The adapter or GPU object.
        context: String,
        /// What it could not do.
        problem: String,
        /// What to do about it.
        hint: String,
    },
}

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A mistake on the command line.
    pub fn usage(
        context: impl Into<String>,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Usage {
            context: context.into(),
            problem: problem.into(),
            hint: hint.into(),
        }
    }

    /// Unusable input; `context` is a file, key, layer or argument.
    pub fn input(
        context: impl Into<String>,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Input {
            context: context.into(),
            problem: problem.into(),
            hint: hint.into(),
        }
    }

    /// A failure of the adapter or device.
    pub fn gpu(
        context: impl Into<String>,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Gpu {
            context: context.into(),
            problem: problem.into(),
            hint: hint.into(),
        }
    }

    /// A failed read or write of `path`, with the hint that its cause suggests.
    pub fn io(path: &Path, doing: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        let hint = match error.kind() {
            Kind::NotFound => "check the path",
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
                "choose a context that you may use, or change its permissions"
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
            hint,
        )
    }

    /// What the message begins with: the file, key, layer, argument or adapter.
    pub fn context(&self) -> &str {
        let (Self::Usage { context, .. } | Self::Input { context, .. } | Self::Gpu { context, .. }) =
            self;
        context
    }

    /// The same error within a larger context, such as a line of a file.
    pub(crate) fn within(mut self, outer: &str) -> Self {
        let (Self::Usage { context, .. } | Self::Input { context, .. } | Self::Gpu { context, .. }) =
            &mut self;
        context.insert_str(0, &format!("{outer}, "));
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
