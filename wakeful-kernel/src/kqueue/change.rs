//! What is to be changed, built so that it makes sense.

use std::fmt;
use std::io;

use super::filter::{Description, Subject};
use super::{BuildError, ChangeError, Event, Filter, System};
use crate::sys::kqueue as sys;

/// How often an event is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// By every wait for as long as it is true.
    Level,
    /// `EV_CLEAR`—When something new happens.
    Clear,
    /// `EV_ONESHOT`—Once, and then it is deleted.
    Oneshot,
    /// `EV_DISPATCH`—Once, and then it is disabled.
    Dispatch,
    /// `EV_CLEAR | EV_DISPATCH`—When something new happens, and then it is disabled.
    ClearDispatch,
}

/// What becomes of the flags of a [`User`](super::filter::User) event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlagOperation {
    /// `NOTE_FFNOP`—Nothing.
    Keep,
    /// `NOTE_FFAND`—They are ANDed with these, the lower 24 bits.
    And(u32),
    /// `NOTE_FFOR`—They are ORed with these.
    Or(u32),
    /// `NOTE_FFCOPY`—They are replaced by these.
    Copy(u32),
}

/// `struct kevent`—One thing to change in a [`Kqueue`](super::Kqueue).
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Change(sys::kevent);

impl Change {
    pub(super) const NOTHING: Change = Change(sys::NOTHING);

    /// `EV_ADD | EV_ENABLE`—Waits for something from now on; `user_data` comes back with each event of it.
    ///
    /// What is waited for already is enabled, its user data replaced, and what of it is waited for. Its mode stays on
    /// most systems: delete it first to change that.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: this system has not got that.
    #[doc(alias = "EV_ADD")]
    pub fn add(subject: impl Subject, mode: Mode, user_data: usize) -> Result<Change, BuildError> {
        // Of an event that is there, EV_ADD alone enables nothing, whatever the manuals say.
        Change::add_with(subject, mode, sys::EV_ENABLE, user_data)
    }

    fn add_with(
        subject: impl Subject,
        mode: Mode,
        more: u32,
        user_data: usize,
    ) -> Result<Change, BuildError> {
        let description = subject.describe(System::CURRENT)?;
        let mode = match mode {
            Mode::Level => 0,
            Mode::Clear => sys::EV_CLEAR,
            Mode::Oneshot => sys::EV_ONESHOT,
            Mode::Dispatch => sys::EV_DISPATCH,
            Mode::ClearDispatch => sys::EV_CLEAR | sys::EV_DISPATCH,
        };
        let once = if description.is_once { sys::EV_ONESHOT } else { 0 };
        Ok(Change::new(&description, sys::EV_ADD | mode | once | more, user_data))
    }

    /// `EV_ADD | EV_DISABLE`—As [`add`](Change::add), silent until it is enabled.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn add_disabled(
        subject: impl Subject,
        mode: Mode,
        user_data: usize,
    ) -> Result<Change, BuildError> {
        Change::add_with(subject, mode, sys::EV_DISABLE, user_data)
    }

    /// `EV_DELETE`—Waits for it no more. What has not been reported is not.
    ///
    /// # Errors
    ///
    /// As [`add`](Change::add).
    #[doc(alias = "EV_DELETE")]
    pub fn delete(subject: impl Subject) -> Result<Change, BuildError> {
        let description = subject.describe(System::CURRENT)?;
        Ok(Change::new(&description, sys::EV_DELETE, 0))
    }

    /// `EV_ENABLE`—Reports it from now on, with this user data, and what has happened while it was disabled.
    ///
    /// # Errors
    ///
    /// As [`add`](Change::add).
    #[doc(alias = "EV_ENABLE")]
    pub fn enable(subject: impl Subject, user_data: usize) -> Result<Change, BuildError> {
        let description = subject.describe(System::CURRENT)?;
        Ok(Change::new(&description, sys::EV_ENABLE, user_data))
    }

    /// `EV_DISABLE`—Does not report it until it is enabled.
    ///
    /// # Errors
    ///
    /// As [`add`](Change::add).
    #[doc(alias = "EV_DISABLE")]
    pub fn disable(subject: impl Subject, user_data: usize) -> Result<Change, BuildError> {
        let description = subject.describe(System::CURRENT)?;
        Ok(Change::new(&description, sys::EV_DISABLE, user_data))
    }

    /// No flag at all—Finds out whether it is waited for: `ENOENT` if not. Only its user data is replaced.
    ///
    /// # Errors
    ///
    /// As [`add`](Change::add).
    pub fn probe(subject: impl Subject, user_data: usize) -> Result<Change, BuildError> {
        let description = subject.describe(System::CURRENT)?;
        Ok(Change::new(&description, 0, user_data))
    }

    /// `NOTE_TRIGGER`—Makes a [`User`](super::filter::User) event true.
    ///
    /// Its user data is replaced, too.
    ///
    /// # Errors
    ///
    /// As [`add`](Change::add).
    #[doc(alias = "NOTE_TRIGGER")]
    pub fn trigger(
        id: usize,
        operation: FlagOperation,
        user_data: usize,
    ) -> Result<Change, BuildError> {
        let mut description = super::filter::User::new(id).describe(System::CURRENT)?;
        let (control, flags) = match operation {
            FlagOperation::Keep => (sys::NOTE_FFNOP, 0),
            FlagOperation::And(flags) => (sys::NOTE_FFAND, flags),
            FlagOperation::Or(flags) => (sys::NOTE_FFOR, flags),
            FlagOperation::Copy(flags) => (sys::NOTE_FFCOPY, flags),
        };
        description.fflags = sys::NOTE_TRIGGER | control | flags & sys::NOTE_FFLAGSMASK;
        Ok(Change::new(&description, 0, user_data))
    }

    fn new(description: &Description, flags: u32, user_data: usize) -> Change {
        Change(sys::event(
            description.ident,
            description.filter,
            flags,
            description.fflags,
            description.data,
            user_data,
        ))
    }

    fn with(self, flags: u32) -> Change {
        Change(sys::with_flags(self.0, flags))
    }

    pub(super) fn with_receipt(self) -> Change {
        self.with(sys::EV_RECEIPT)
    }

    pub(super) fn as_event(&self) -> Event {
        Event(self.0)
    }

    pub(super) fn error(&self, index: usize, source: io::Error) -> ChangeError {
        let event = self.as_event();
        ChangeError { index, ident: event.ident(), filter: event.filter(), source }
    }

    /// What it is about.
    pub fn ident(&self) -> usize {
        self.as_event().ident()
    }

    /// Its filter.
    pub fn filter(&self) -> Option<Filter> {
        self.as_event().filter()
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_event().fmt_as("Change", f)
    }
}

// SAFETY: the pointer inside is a number of the caller's, which nobody follows.
unsafe impl Send for Change {}
// SAFETY: as above.
unsafe impl Sync for Change {}
