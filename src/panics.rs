//! Panics of libraries as errors.
//!
//! wgpu panics where a driver refuses what it does not expect to be refused, and decoders panic on some damaged files. The
//! edges of a program, and a run that has files to close, catch that here, so that a user reads a sentence.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};

use crate::text::shortened;
use crate::{Error, ErrorKind, Result};

/// The most characters of a panic's message that are shown.
const MAX_MESSAGE: usize = 300;

/// What Rust puts before an error that a library did not expect.
const UNWRAPPED: &str = "called `Result::unwrap()` on an `Err` value: ";

/// Libraries whose panics are failures of the adapter or its driver.
const GRAPHICS: [&str; 5] = ["/wgpu", "/naga", "/ash-", "/gpu-alloc", "/metal"];

thread_local! {
    /// The panic that unwinds on this thread, where [`silence`] was called.
    static UNWINDING: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// What is known of a panic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Panic {
    /// Its message on one line.
    pub message: String,
    /// Its file and line, where [`silence`] was called.
    location: Option<String>,
}

impl Panic {
    fn new(payload: &(dyn Any + Send), location: Option<String>) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("no reason is given");
        let text = text.strip_prefix(UNWRAPPED).unwrap_or(text);
        let words: Vec<&str> = text.split_whitespace().collect();
        Self {
            message: shortened(&words.join(" "), MAX_MESSAGE),
            location,
        }
    }
}

impl From<Panic> for Error {
    fn from(panic: Panic) -> Self {
        let Panic { message, location } = panic;
        let location = location.unwrap_or_default();
        if GRAPHICS.iter().any(|library| location.contains(library)) {
            let problem = format!("its driver failed: {message}");
            let hint = "try again, or choose another adapter with --adapter";
            return Self::gpu("adapter", problem, hint).with_kind(ErrorKind::DeviceLost);
        }
        // The folders of the machine that built the program are nobody's business.
        let file = location.rsplit_once("/src/").map(|(_, file)| file);
        let at = match file.unwrap_or(&location) {
            "" => String::new(),
            file => format!(" ({file})"),
        };
        Self::new(
            ErrorKind::Internal,
            "trainscope",
            format!("an internal error: {message}{at}"),
            "please report it as a bug, with the command",
        )
    }
}

/// Keeps panics off stderr, for programs that turn them into errors with [`caught`]. A panic while another one unwinds would
/// abort the program: `last_words` is given the first one then, and ends the program.
pub fn silence(last_words: fn(&Error)) {
    panic::set_hook(Box::new(move |info| {
        let location = info
            .location()
            .map(|at| format!("{}:{}", at.file(), at.line()));
        let first = UNWINDING.with_borrow_mut(|unwinding| {
            let first = unwinding.clone();
            unwinding.get_or_insert_with(|| Panic::new(info.payload(), location));
            first
        });
        if let Some(first) = first {
            last_words(&first.into());
        }
    }));
}

/// Runs `work`, and turns a panic within it into an error of kind [`ErrorKind::DeviceLost`], if it comes from the graphics
/// libraries, or [`ErrorKind::Internal`].
///
/// # Errors
/// That of `work`, or its panic.
pub fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch(work)?
}

/// Runs `work`; a panic within it is an error.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> std::result::Result<T, Panic> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let known = UNWINDING.with_borrow_mut(Option::take);
        known.unwrap_or_else(|| Panic::new(payload.as_ref(), None))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(message: &str, location: Option<&str>) -> Error {
        Panic::new(&message.to_owned(), location.map(str::to_owned)).into()
    }

    #[test]
    fn a_panic_is_one_sentence() {
        let error = error_of(
            "called `Result::unwrap()` on an `Err` value: out of\n  memory",
            Some("/home/x/.cargo/registry/src/index/wgpu-hal-30.0.1/src/vulkan/command.rs:76"),
        );
        assert_eq!(error.kind(), ErrorKind::DeviceLost);
        let text = error.to_string();
        assert!(text.contains("its driver failed: out of memory; try"));
        assert!(!text.contains("/home"), "{text}");
    }

    #[test]
    fn a_mistake_of_our_own_is_called_one() {
        let error = error_of("a buffer cannot grow", Some("src/gpu/buffer.rs:7"));
        assert_eq!(error.kind(), ErrorKind::Internal);
        let text = error.to_string();
        assert!(text.contains("an internal error: a buffer cannot grow (src/gpu/buffer.rs:7)"));
        let elsewhere = error_of(
            "no",
            Some("/home/x/registry/src/index/parquet-1/src/a.rs:1"),
        );
        assert!(!elsewhere.to_string().contains("/home"));
        let long = error_of(&"many words ".repeat(500), None).to_string();
        assert!(long.len() < 500 && long.contains("many words"), "{long}");
    }

    #[test]
    fn work_that_panics_is_caught() {
        assert_eq!(caught(|| Ok(3)), Ok(3));
        let refused = Error::usage("--steps 0", "nothing to do", "use at least 1");
        assert_eq!(caught(|| Err::<(), _>(refused.clone())), Err(refused));
        let panicked = caught(|| -> Result<()> { panic!("on {}", "purpose") });
        let error = panicked.expect_err("it panics");
        assert!(error.problem().contains("on purpose"), "{error}");
    }
}
