//! The one error type. Every message is a plain sentence that names the context, the problem and a hint.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::text::{printable, shortened};

/// Characters of a sentence at most, and of its parts where it would be longer.
const MAX_SENTENCE: usize = 480;
const MAX_CONTEXT: usize = 140;
const MIN_HINT: usize = 100;

/// The parts of an error as one line of bounded length that a terminal only shows: they may quote what strangers wrote.
fn sentence(context: &str, problem: &str, hint: &str) -> String {
    let whole = format!("{context}: {problem}; {hint}");
    if whole.len() <= MAX_SENTENCE {
        return printable(&whole).into_owned();
    }
    let context = shortened(context, MAX_CONTEXT);
    let room = MAX_SENTENCE - context.chars().count() - ": ; ".len();
    let hint_length = printable(hint).chars().count();
    let problem = shortened(problem, room - hint_length.min(MIN_HINT));
    let hint = shortened(hint, room - problem.chars().count());
    format!("{context}: {problem}; {hint}")
}

/// What went wrong. It is shown as `context: problem; hint`, a sentence for users; programs match its
/// [kind](Error::kind).
///
/// # Examples
/// ```
/// use trainscope::ErrorKind;
/// use trainscope::trace::RunView;
///
/// let error = RunView::open("no/such/run".as_ref()).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert!(error.to_string().starts_with("no/such/run: not a run directory"));
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", sentence(.context, .problem, .hint))]
pub struct Error {
    kind: ErrorKind,
    context: String,
    problem: String,
    hint: String,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    further: Vec<Error>,
}

/// What sort of failure an [`Error`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The command line asks for something that does not exist or does not fit together.
    Usage,
    /// A file, a run, a checkpoint or a scenario that is asked for does not exist.
    NotFound,
    /// A file is damaged, of another format, or of a newer version.
    InvalidFile,
    /// A setting of a scenario cannot work.
    InvalidSetting,
    /// An argument of a function of this library, or what several of them make together, cannot be used.
    InvalidArgument,
    /// A shape does not fit an operation, a parameter or a model.
    Shape,
    /// The adapter or a limit that was set has not enough memory.
    OutOfMemory,
    /// The device was lost, reported an error, or does not answer.
    DeviceLost,
    /// The machine has no suitable adapter, or the adapter cannot do something.
    Adapter,
    /// A file or folder cannot be read or written.
    Io,
    /// Another process is writing the run.
    InUse,
    /// The user has asked to stop.
    Cancelled,
    /// A mistake of this program: something that should never happen did.
    Internal,
}

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of a kind: what it is about, what is wrong, and what to do.
    pub fn new(
        kind: ErrorKind,
        context: impl Into<String>,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            context: context.into(),
            problem: problem.into(),
            hint: hint.into(),
            source: None,
            further: Vec::new(),
        }
    }

    /// An [`ErrorKind::Usage`]; `context` is an argument or an option.
    pub fn usage(
        context: impl Into<String>,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::new(ErrorKind::Usage, context, problem, hint)
    }

    /// An [`ErrorKind::InvalidArgument`]; `context` is the argument or what it belongs to.
    pub fn input(
        context: impl Into<String>,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::new(ErrorKind::InvalidArgument, context, problem, hint)
    }

    /// An [`ErrorKind::InvalidFile`]; `context` is the file, with the line or byte where that is known.
    pub fn file(
        context: impl Into<String>,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::new(ErrorKind::InvalidFile, context, problem, hint)
    }

    /// An [`ErrorKind::Shape`]; `context` is the layer or parameter.
    pub fn shape(
        context: impl Into<String>,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::new(ErrorKind::Shape, context, problem, hint)
    }

    /// An [`ErrorKind::Adapter`]; `context` is the adapter or a GPU object.
    pub fn gpu(
        context: impl Into<String>,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::new(ErrorKind::Adapter, context, problem, hint)
    }

    /// A failed read or write of `path`, with the hint that its cause suggests.
    pub fn io(path: &Path, doing: &str, error: &io::Error) -> Self {
        use io::ErrorKind as Cause;
        let hint = match error.kind() {
            Cause::NotFound if path.starts_with("~") => {
                "write the folder out: only a shell knows what ~ is, and not within quotes"
            }
            Cause::NotFound => "check the path",
            Cause::PermissionDenied | Cause::ReadOnlyFilesystem => {
                "choose a path that you may use, or change its permissions"
            }
            Cause::StorageFull | Cause::QuotaExceeded => "free some space or choose another disk",
            Cause::UnexpectedEof => "the file is cut short; fetch it again",
            _ => "check the path and the disk",
        };
        let reason = match error.kind() {
            Cause::NotFound => "it does not exist".to_owned(),
            Cause::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        let kind = match error.kind() {
            Cause::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        let cause = match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(error.kind(), error.to_string()),
        };
        let problem = format!("cannot {doing}: {reason}");
        Self::new(kind, path.display().to_string(), problem, hint).with_source(cause)
    }

    /// The same error of another kind.
    #[must_use]
    pub fn with_kind(self, kind: ErrorKind) -> Self {
        Self { kind, ..self }
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn with_source(self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            source: Some(Arc::new(source)),
            ..self
        }
    }

    /// The same error with another hint.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: hint.into(),
            ..self
        }
    }

    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What it is about: a file, key, layer, argument or adapter.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// What is wrong.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// What to do about it.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// What else is wrong with the same file, each a sentence of its own: a scenario's faults are found all at once.
    pub fn further(&self) -> &[Error] {
        &self.further
    }

    /// The same error with others of the same file.
    #[must_use]
    pub(crate) fn with_further(self, further: impl Iterator<Item = Error>) -> Self {
        Self {
            further: further.collect(),
            ..self
        }
    }

    /// Whether the adapter, its driver or its memory failed, and not what was asked for.
    pub fn is_gpu(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::OutOfMemory | ErrorKind::DeviceLost | ErrorKind::Adapter
        )
    }

    /// The same error within a larger context, such as a line of a file.
    pub(crate) fn within(mut self, outer: &str) -> Self {
        self.context.insert_str(0, &format!("{outer}, "));
        self
    }

    /// The program's exit code for this error: 2 for wrong usage, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::Usage => 2,
            _ => 1,
        }
    }
}

impl PartialEq for Error {
    /// Errors are equal where their kinds and messages are.
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.context == other.context
            && self.problem == other.problem
            && self.hint == other.hint
    }
}

impl Eq for Error {}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn the_cause_of_a_failed_read_is_kept() {
        let cause = io::Error::from_raw_os_error(28);
        let error = Error::io("run.json".as_ref(), "write it", &cause);
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_eq!(error.hint(), "free some space or choose another disk");
        let source = error.source().expect("it has one").to_string();
        assert_eq!(source, cause.to_string());
        let missing = io::Error::new(io::ErrorKind::NotFound, "gone");
        let error = Error::io("run.json".as_ref(), "read it", &missing);
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.source().is_some() && error.exit_code() == 1);
    }

    #[test]
    fn sentences_are_one_line_of_bounded_length() {
        let long = "x\u{1b}[2J\n".repeat(9000);
        for (context, problem, hint) in [
            (long.as_str(), "bad", "do something"),
            ("file", long.as_str(), "do something"),
            ("file", "bad", long.as_str()),
            (long.as_str(), long.as_str(), long.as_str()),
        ] {
            let text = Error::input(context, problem, hint).to_string();
            assert!(text.chars().count() <= MAX_SENTENCE, "{text}");
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
        let kept = Error::input("file", long.as_str(), "do something").to_string();
        assert!(kept.starts_with("file: ") && kept.ends_with("; do something"));
    }

    #[test]
    fn wrong_usage_has_its_own_exit_code() {
        let error = Error::usage("--steps 0", "nothing to do", "use at least 1");
        assert_eq!(error.exit_code(), 2);
        assert_eq!(
            error.to_string(),
            "--steps 0: nothing to do; use at least 1"
        );
        let within = error.within("line 3");
        assert_eq!(within.context(), "line 3, --steps 0");
        assert!(within.source().is_none());
    }
}
