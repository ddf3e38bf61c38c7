//! Faults of cotter itself: a panic becomes an error, so that staging directories and locks are
//! given back, other threads end, and the caller gets an exit code of the table.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo};

use crate::error::{Error, ErrorKind, Result};

thread_local! {
    /// What the last panic of this thread said, with its place in the code.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps what a panic says for the error that [`caught`] makes of it, instead of printing it.
pub fn install() {
    std::panic::set_hook(Box::new(|info: &PanicHookInfo| {
        let place = info.location().map(|l| format!("{}:{}: ", l.file(), l.line()));
        let text = info.payload_as_str().unwrap_or("a panic without words");
        let said = format!("{}{text}", place.unwrap_or_default());
        let _ = SAID.try_with(|slot| slot.replace(Some(said)));
    }));
}

/// Runs `work`. A panic in it becomes an error of the kind [`ErrorKind::Internal`].
///
/// # Errors
/// Those of `work`.
pub fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // What `work` has changed is dropped on the way, and nobody uses it after an error.
    std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let said = SAID.try_with(|slot| slot.take()).ok().flatten();
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        let said = said.or(text).unwrap_or_else(|| "a panic without words".to_owned());
        Err(Error::new(ErrorKind::Internal, "cotter has met a fault of its own")
            .because(said)
            .hint("the store is as it was; please report this with the command and its input, as SECURITY.md says"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error() {
        assert_eq!(caught(|| Ok(1)).unwrap(), 1);
        let error = caught::<()>(|| panic!("{} is wrong", "this")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.causes().join(" ").contains("this is wrong"), "{error:?}");
        let error = caught::<()>(|| Err(Error::user("not this"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::User);
    }
}
