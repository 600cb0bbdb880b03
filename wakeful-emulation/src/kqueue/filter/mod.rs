//! The filters: when an event is true, and what there is to say of it.

mod descriptor;
mod process;
mod timer;
mod user;

pub(super) use descriptor::Descriptor;
pub(super) use process::Process;
pub(super) use timer::Timer;
pub(super) use user::User;
