use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::{LockResult, Mutex, MutexGuard, TryLockError, TryLockResult};

/// A mutex that leaks its value if it is locked when it is dropped.
///
/// A mutex can be locked then in a forked child only: a thread of the parent was at work on the value
/// when the process was forked, so the child's copy may be half changed, and dropping it would follow
/// pointers that are not valid.
///
/// ```
/// use wakeful_kernel::process::LeakingMutex;
///
/// let numbers = LeakingMutex::new(vec![1]);
/// numbers.lock().unwrap().push(2);
/// assert_eq!(numbers.into_inner().unwrap(), [1, 2]);
/// ```
pub struct LeakingMutex<T> {
    mutex: ManuallyDrop<Mutex<T>>,
}

impl<T> LeakingMutex<T> {
    /// Creates a mutex around a value.
    pub const fn new(value: T) -> LeakingMutex<T> {
        LeakingMutex { mutex: ManuallyDrop::new(Mutex::new(value)) }
    }

    /// Locks it, as [`Mutex::lock`].
    ///
    /// # Errors
    ///
    /// A thread panicked while it held the lock.
    #[inline]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.mutex.lock()
    }

    /// Locks it unless it is locked, as [`Mutex::try_lock`].
    ///
    /// # Errors
    ///
    /// It is locked, or a thread panicked while it held the lock.
    #[inline]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        self.mutex.try_lock()
    }

    /// Takes the value out.
    ///
    /// In a forked child, find out by [`is_intact`](LeakingMutex::is_intact) first whether it may be
    /// used.
    ///
    /// # Errors
    ///
    /// A thread panicked while it held the lock.
    pub fn into_inner(self) -> LockResult<T> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: it is initialised from `new` on, and taken once: `this` is never dropped, nor used
        // again.
        unsafe { ManuallyDrop::take(&mut this.mutex) }.into_inner()
    }

    /// Returns whether nobody was at work on the value when this process was forked: the lock is free.
    pub fn is_intact(&mut self) -> bool {
        !matches!(self.mutex.try_lock(), Err(TryLockError::WouldBlock))
    }
}

impl<T> Drop for LeakingMutex<T> {
    fn drop(&mut self) {
        if self.is_intact() {
            // SAFETY: it is initialised from `new` on; `into_inner`, the only other place that takes
            // it, keeps this function from running. After it nothing can use the mutex.
            unsafe { ManuallyDrop::drop(&mut self.mutex) };
        }
    }
}

impl<T: Default> Default for LeakingMutex<T> {
    fn default() -> LeakingMutex<T> {
        LeakingMutex::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for LeakingMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mutex.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::LeakingMutex;

    #[test]
    fn a_locked_value_is_leaked() {
        let value = Arc::new(());
        drop(LeakingMutex::new(Arc::clone(&value)));
        assert_eq!(Arc::strong_count(&value), 1);
        let mutex = LeakingMutex::new(Arc::clone(&value));
        std::mem::forget(mutex.lock());
        drop(mutex);
        assert_eq!(Arc::strong_count(&value), 2);
    }
}
