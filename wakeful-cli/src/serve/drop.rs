use wakeful::net::TcpStream;

use super::service::{Context, Drive, Service};

/// Closes what is accepted.
pub(super) struct Drop;

impl Service for Drop {
    type State = ();

    fn open(&mut self) {}

    fn drive(&mut self, _: &TcpStream, (): &mut (), _: &mut Context<'_>) -> Drive {
        Drive::Close
    }
}
