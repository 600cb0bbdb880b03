//! The filters: when an event is true, and what there is to say of it.

mod descriptor;
mod empty;
mod operation;
mod process;
mod signal;
mod timer;
mod user;
mod vnode;

pub(super) use descriptor::Descriptor;
pub(super) use empty::Empty;
pub(super) use operation::Operation;
pub(super) use process::Process;
pub(super) use signal::Signal;
pub(super) use timer::Timer;
pub(super) use user::User;
pub(super) use vnode::Vnode;
