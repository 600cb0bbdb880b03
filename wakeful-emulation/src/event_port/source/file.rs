//! `PORT_SOURCE_FILE`: what inotify says of a file and of its name in its directory, told apart by statx(2).

use std::ffi::{CStr, CString, OsStr, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Subject;
use crate::event_port::port::Port;
use crate::event_port::state::{self, Pending, State};
use crate::event_port::{
    FILE_ACCESS, FILE_ASKED, FILE_ATTRIB, FILE_DELETE, FILE_EXCEPTION, FILE_MODIFIED,
    FILE_NOFOLLOW, FILE_RENAME_FROM, FILE_RENAME_TO, FILE_TRUNC, PORT_SOURCE_FILE, UNMOUNTED,
    file_obj,
};
use crate::files::{ENTRIES, Heard, Role};
use crate::linux::{self, Errno, Identity, Result, Times};

/// What a file object says, copied.
#[derive(Debug)]
pub(in crate::event_port) struct Wanted {
    path: CString,
    times: Times,
}

impl Wanted {
    /// # Errors
    ///
    /// `EFAULT`: there is no object, or no name in it.
    ///
    /// # Safety
    ///
    /// The object must be null or the address of a struct whose name is null or a string that ends with a zero.
    pub(in crate::event_port) unsafe fn read(object: usize) -> Result<Wanted> {
        // SAFETY: as the caller promises.
        let object = unsafe { (object as *const file_obj).as_ref() };
        let object = object.filter(|it| !it.fo_name.is_null()).ok_or(Errno(libc::EFAULT))?;
        // SAFETY: as the caller promises.
        let path = unsafe { CStr::from_ptr(object.fo_name) }.to_owned();
        let times = Times {
            access: time(object.fo_atime),
            modification: time(object.fo_mtime),
            change: time(object.fo_ctime),
        };
        Ok(Wanted { path, times })
    }
}

#[allow(clippy::useless_conversion)]
fn time(time: libc::timespec) -> (i64, i64) {
    (time.tv_sec.into(), time.tv_nsec.into())
}

#[derive(Debug)]
pub(in crate::event_port) struct FileWatch {
    /// By which inotify tells of it, and which no other association has.
    pub(in crate::event_port) number: u64,
    pub(in crate::event_port) user: usize,
    asked: c_int,
    /// It was associated, and nothing has happened since.
    is_active: bool,
    pub(in crate::event_port) found: c_int,
    /// Where its event stands in the queue.
    pub(in crate::event_port) queued: Option<u64>,
    place: PlaceOfFile,
    identity: Identity,
    times: Times,
}

/// Where a file was when it was associated. The caller's path may lead elsewhere by now.
#[derive(Debug)]
struct PlaceOfFile {
    /// As the caller gave it, and how to look it up.
    given: (CString, c_int),
    /// Without links, so that it is looked up without following any.
    path: CString,
    /// What it is called in the directory that it is in.
    name: Vec<u8>,
    /// That directory, which may be moved itself; unknown if nobody may look there.
    parent: Option<(CString, Identity)>,
}

impl PlaceOfFile {
    /// The same file, if it is there still.
    fn look(&self, file: &Identity) -> Result<Option<(Identity, Times)>> {
        let (given, flags) = &self.given;
        for (path, flags) in [(given, *flags), (&self.path, libc::AT_SYMLINK_NOFOLLOW)] {
            let found = found(path, flags)?;
            if let Some((identity, times)) = found {
                if file.is(&identity) && identity.links > 0 {
                    return Ok(Some((identity, times)));
                }
            }
        }
        Ok(None)
    }

    /// Whether the directory is where it was, so that the file is not if it is not found.
    fn is_known(&self) -> Result<bool> {
        let Some((path, directory)) = &self.parent else {
            return Ok(true);
        };
        let found = found(path, libc::AT_SYMLINK_NOFOLLOW)?;
        Ok(found.is_some_and(|(identity, _)| directory.is(&identity)))
    }
}

/// What a path means now, if anything.
///
/// # Errors
///
/// What says nothing of the path.
fn found(path: &CStr, flags: c_int) -> Result<Option<(Identity, Times)>> {
    match linux::status(path, flags) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_passing() => Err(error),
        Err(_) => Ok(None),
    }
}

impl Port {
    /// # Errors
    ///
    /// As port_associate(3C).
    pub(in crate::event_port) fn associate_file(
        &self,
        object: usize,
        file: Result<Wanted>,
        events: c_int,
        user: usize,
    ) -> Result<()> {
        if events & !FILE_ASKED != 0 {
            return Err(Errno(libc::EINVAL));
        }
        let Wanted { path, times: known } = file?;
        linux::status(&path, at_flags(events))?;
        self.with(|state| {
            if !state.files.contains_key(&object) {
                state.take_slot(self.sources())?;
            }
            state.open_inotify(self.sources())?;
            // What others did to the name before belongs to other associations.
            state.hear()?;
            state.forget_file(object);
            let number = state.number();
            let watched = state.watch(&path, number, events);
            // After that, so that what happens from here on is heard.
            let status =
                watched.and_then(|place| Ok((place, linux::status(&path, at_flags(events))?)));
            let (place, (identity, times)) = match status {
                Ok(status) => status,
                Err(error) => {
                    state.inotify.forget(number);
                    return Err(error);
                }
            };
            let found = match identity.kind {
                libc::S_IFIFO => 0,
                _ => changed(&known, &times) & events,
            };
            let queued = (found != 0).then(|| state.queue(Pending::File(object)));
            let watch = FileWatch {
                number,
                user,
                asked: events,
                is_active: queued.is_none(),
                found,
                queued,
                place,
                identity,
                times,
            };
            state.subjects.insert(number, Subject::File(object));
            state.files.insert(object, watch);
            Ok(())
        })
    }

    /// # Errors
    ///
    /// As port_dissociate(3C).
    pub(in crate::event_port) fn dissociate_file(&self, object: usize) -> Result<()> {
        self.with(|state| {
            if !state.inotify.is_open() {
                return Err(Errno(libc::EINVAL));
            }
            state.hear()?;
            match state.forget_file(object) {
                Some(watch) if watch.is_active || watch.queued.is_some() => Ok(()),
                _ => Err(Errno(libc::ENOENT)),
            }
        })
    }
}

impl State {
    fn forget_file(&mut self, object: usize) -> Option<FileWatch> {
        let watch = self.files.remove(&object)?;
        self.drop_event(watch.queued);
        self.inotify.forget(watch.number);
        self.subjects.remove(&watch.number);
        Some(watch)
    }

    /// Hears of a file, and of its name in its directory.
    fn watch(&mut self, given: &CStr, number: u64, events: c_int) -> Result<PlaceOfFile> {
        let is_followed = events & FILE_NOFOLLOW == 0;
        let flag = if is_followed { 0 } else { libc::IN_DONT_FOLLOW };
        let path = Path::new(OsStr::from_bytes(given.to_bytes()));
        self.inotify.watch(path, number, Role::File, mask(events) | flag).map_err(|error| {
            match error {
                // No more can be watched.
                Errno(libc::ENOSPC) => Errno(libc::EAGAIN),
                error => error,
            }
        })?;
        let real = real(path, is_followed);
        let mut place = PlaceOfFile {
            given: (given.to_owned(), at_flags(events)),
            path: real.as_deref().and_then(c_path).unwrap_or_else(|| given.to_owned()),
            name: Vec::new(),
            parent: None,
        };
        let Some((parent, name)) = real.as_deref().and_then(|it| it.parent().zip(it.file_name()))
        else {
            return Ok(place);
        };
        place.name = name.as_bytes().to_vec();
        let mask = libc::IN_DELETE | libc::IN_MOVED_FROM | libc::IN_MOVED_TO | libc::IN_ONLYDIR;
        match self.inotify.watch(parent, number, Role::Parent, mask) {
            Ok(()) => {}
            Err(error) if error.is_passing() => return Err(error),
            // There is less to tell: the program may not look there.
            Err(_) => return Ok(place),
        }
        if let Some(path) = c_path(parent) {
            place.parent = found(&path, 0)?.map(|(identity, _)| (path, identity));
        }
        Ok(place)
    }

    /// Takes in what has happened to files.
    ///
    /// # Errors
    ///
    /// Those of the calls that find out. What is not taken in is kept for the next time.
    pub(in crate::event_port) fn hear(&mut self) -> Result<()> {
        if self.unheard.is_empty() {
            self.unheard.extend(self.inotify.hear()?);
        }
        while let Some(heard) = self.unheard.front() {
            let subject = self.subjects.get(&heard.number).copied();
            let Some(Subject::File(object)) = subject else {
                self.unheard.pop_front();
                continue;
            };
            let Some(watch) = self.files.get_mut(&object) else {
                self.unheard.pop_front();
                continue;
            };
            let events = watch.hear(heard)?;
            self.unheard.pop_front();
            if events & FILE_EXCEPTION != 0 {
                self.end(object, events);
            } else if watch.is_active && events & watch.asked != 0 {
                watch.is_active = false;
                watch.found = events & watch.asked;
                let place = self.queue(Pending::File(object));
                if let Some(watch) = self.files.get_mut(&object) {
                    watch.queued = Some(place);
                }
            }
        }
        Ok(())
    }

    /// An exception: it replaces what was queued, and the file is not associated any more.
    fn end(&mut self, object: usize, events: c_int) {
        let Some(watch) = self.forget_file(object) else {
            return;
        };
        // One whose event was retrieved is not told of anything.
        if watch.is_active || watch.queued.is_some() {
            let events = events & FILE_EXCEPTION;
            let event = state::event(PORT_SOURCE_FILE, events, object, watch.user);
            self.queue(Pending::Whole { event, has_slot: false });
        }
    }
}

impl FileWatch {
    /// What one thing that was heard means.
    fn hear(&mut self, heard: &Heard) -> Result<c_int> {
        let has = |mask| heard.mask & mask != 0;
        if heard.role == Role::Parent && has(libc::IN_Q_OVERFLOW) {
            // The file itself is told of it as well.
            return Ok(0);
        }
        if heard.role == Role::Parent {
            return Ok(match heard.name == self.place.name {
                true if has(libc::IN_MOVED_FROM) => FILE_RENAME_FROM,
                true if has(libc::IN_MOVED_TO) => FILE_RENAME_TO,
                true if has(libc::IN_DELETE) => FILE_DELETE,
                _ => 0,
            });
        }
        let has_lost = has(libc::IN_Q_OVERFLOW);
        if has(libc::IN_UNMOUNT) && !has_lost {
            return Ok(UNMOUNTED);
        }
        if has(libc::IN_DELETE_SELF) && !has_lost {
            return Ok(FILE_DELETE);
        }
        let now = self.place.look(&self.identity)?;
        if has_lost {
            // Whatever it was, it shows by what has changed.
            let Some((identity, times)) = now else {
                return Ok(if self.place.is_known()? { FILE_DELETE } else { FILE_ATTRIB });
            };
            let mut events = changed(&self.times, &times);
            if identity.size < self.identity.size {
                events |= FILE_TRUNC;
            }
            (self.identity, self.times) = (identity, times);
            return Ok(events);
        }
        let Some((identity, times)) = now else {
            // Its name went, which its directory will say, if that can be asked; or a directory was moved.
            return Ok(match () {
                () if has(libc::IN_MOVE_SELF) => FILE_RENAME_FROM,
                () if has(libc::IN_ATTRIB) && !self.place.is_known()? => FILE_ATTRIB,
                () if has(libc::IN_ATTRIB) => FILE_DELETE,
                () if has(libc::IN_MODIFY | ENTRIES) => FILE_MODIFIED | FILE_ATTRIB,
                () if has(libc::IN_ACCESS) => FILE_ACCESS,
                () => 0,
            });
        };
        let mut events = 0;
        if has(libc::IN_ACCESS) {
            events |= FILE_ACCESS;
            // utimes(2) of this time alone, which reading does not do.
            events |= changed(&self.times, &times) & FILE_ATTRIB;
        }
        if has(libc::IN_MOVE_SELF) {
            // Another of its names was changed.
            events |= FILE_ATTRIB;
        }
        if has(ENTRIES) {
            events |= FILE_MODIFIED | FILE_ATTRIB;
        }
        if has(libc::IN_MODIFY) {
            events |= FILE_MODIFIED | FILE_ATTRIB;
            // Truncating and writing are the same to inotify. Nothing that was written is empty.
            if identity.size < self.identity.size || identity.size == 0 {
                events |= FILE_TRUNC;
            }
        }
        if has(libc::IN_ATTRIB) {
            // utimes(2) is the same as chmod(2).
            events |= FILE_ATTRIB | changed(&self.times, &times);
        }
        (self.identity, self.times) = (identity, times);
        Ok(events)
    }
}

fn c_path(path: &Path) -> Option<CString> {
    CString::new(path.as_os_str().as_bytes()).ok()
}

/// Which times differ, of those that are known.
fn changed(known: &Times, now: &Times) -> c_int {
    let differs = |known: (i64, i64), now, event| match known {
        (0, 0) => 0,
        known if known == now => 0,
        _ => event,
    };
    differs(known.access, now.access, FILE_ACCESS)
        | differs(known.modification, now.modification, FILE_MODIFIED)
        | differs(known.change, now.change, FILE_ATTRIB)
}

/// What of the file has to be heard of.
fn mask(events: c_int) -> u32 {
    let mut mask = libc::IN_ATTRIB | libc::IN_MOVE_SELF | libc::IN_DELETE_SELF;
    if events & FILE_ACCESS != 0 {
        mask |= libc::IN_ACCESS;
    }
    if events & (FILE_MODIFIED | FILE_ATTRIB | FILE_TRUNC) != 0 {
        mask |= libc::IN_MODIFY | ENTRIES;
    }
    mask
}

fn at_flags(events: c_int) -> c_int {
    if events & FILE_NOFOLLOW != 0 { libc::AT_SYMLINK_NOFOLLOW } else { 0 }
}

/// The path without links, but for the last part if that is not to be followed.
fn real(path: &Path, is_followed: bool) -> Option<PathBuf> {
    if is_followed {
        return path.canonicalize().ok();
    }
    let parent = path.parent()?;
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    Some(parent.canonicalize().ok()?.join(path.file_name()?))
}
