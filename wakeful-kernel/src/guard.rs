//! A value that is given a last word before it is dropped, and can be taken out without it.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

/// What a [`Guard`] does to its value just before dropping it.
pub trait LastWord {
    /// Called once, and not if the value is taken out.
    fn last_word(&mut self);
}

/// Owns a value, calls its [`LastWord`] on drop, and gives it back on request.
///
/// A type with a `Drop` of its own cannot be taken apart. This is the one place where that is got
/// round, at no cost: a guard is as large as its value, and has the same niches.
///
/// ```
/// use wakeful_kernel::guard::{Guard, LastWord};
///
/// struct Farewell(&'static str);
///
/// impl LastWord for Farewell {
///     fn last_word(&mut self) {
///         println!("{} goes", self.0);
///     }
/// }
///
/// drop(Guard::new(Farewell("this one"))); // says so
/// let Farewell(name) = Guard::into_inner(Guard::new(Farewell("that one"))); // does not
/// assert_eq!(name, "that one");
/// ```
#[repr(transparent)]
pub struct Guard<T: LastWord> {
    value: ManuallyDrop<T>,
}

impl<T: LastWord> Guard<T> {
    /// Guards a value.
    #[inline]
    pub fn new(value: T) -> Guard<T> {
        Guard { value: ManuallyDrop::new(value) }
    }

    /// Gives the value back without its last word.
    #[inline]
    pub fn into_inner(guard: Guard<T>) -> T {
        let mut guard = ManuallyDrop::new(guard);
        // SAFETY: the value is initialised from `new` on. It is taken once: the guard around it is
        // never dropped, nor used again.
        unsafe { ManuallyDrop::take(&mut guard.value) }
    }
}

impl<T: LastWord> Deref for Guard<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: LastWord> DerefMut for Guard<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: LastWord> Drop for Guard<T> {
    #[inline]
    fn drop(&mut self) {
        self.value.last_word();
        // SAFETY: the value is initialised from `new` on, and `into_inner`, the only other place that
        // takes it, keeps this function from running. After it nothing can use the guard.
        unsafe { ManuallyDrop::drop(&mut self.value) };
    }
}

impl<T: LastWord + fmt::Debug> fmt::Debug for Guard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
