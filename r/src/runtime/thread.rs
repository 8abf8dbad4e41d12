//! State that belongs to the main thread, where R and all its callbacks run.

#![expect(unsafe_code, reason = "a static that one thread owns")]

use std::cell::UnsafeCell;

/// A static for the main thread alone.
///
/// There is no borrow flag to leave behind when R jumps out of a frame, and so one rule: what [`RThread::with`] runs calls
/// nothing of R's and no `with` of the same cell.
pub(crate) struct RThread<T>(UnsafeCell<T>);

// SAFETY: every function of this crate that reaches a RThread is called by R or by the entry point, on R's one thread.
unsafe impl<T> Sync for RThread<T> {}

impl<T> RThread<T> {
    /// A static with this value.
    pub(crate) const fn new(value: T) -> RThread<T> {
        RThread(UnsafeCell::new(value))
    }

    /// Runs `body`, which calls nothing of R's, on the value.
    pub(crate) fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: one thread, and by the rule above no second `with` of this cell while this one lasts.
        body(unsafe { &mut *self.0.get() })
    }
}

impl<T: Copy> RThread<T> {
    /// A copy of the value.
    pub(crate) fn get(&self) -> T {
        self.with(|value| *value)
    }

    /// Replaces the value.
    pub(crate) fn set(&self, value: T) {
        self.with(|place| *place = value);
    }
}
