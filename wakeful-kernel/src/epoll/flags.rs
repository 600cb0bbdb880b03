bitflags::bitflags! {
    /// `EPOLL*`—What to wait for, and how to be told. Unknown bits are kept.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Flags: u32 {
        /// `EPOLLIN`: reading will not block.
        const IN = 0x001;
        /// `EPOLLPRI`: priority data, or another exceptional condition of the file.
        const PRI = 0x002;
        /// `EPOLLOUT`: writing will not block.
        const OUT = 0x004;
        /// `EPOLLERR`: always reported, whether asked for or not.
        const ERR = 0x008;
        /// `EPOLLHUP`: always reported, whether asked for or not.
        const HUP = 0x010;
        /// `EPOLLRDNORM`: as `IN`, reported as a bit of its own by files that set it (sockets, pipes).
        const RDNORM = 0x040;
        /// `EPOLLRDBAND`: priority band data.
        const RDBAND = 0x080;
        /// `EPOLLWRNORM`: as `OUT`, reported as a bit of its own by files that set it.
        const WRNORM = 0x100;
        /// `EPOLLWRBAND`: priority data may be written.
        const WRBAND = 0x200;
        /// `EPOLLMSG`: defined, never reported.
        const MSG = 0x400;
        /// `EPOLLRDHUP` (Linux 2.6.17): the peer shut down its writing half.
        const RDHUP = 0x2000;
        /// `EPOLLEXCLUSIVE` (Linux 4.5): of several epolls with this descriptor, wake at least one
        /// rather than all. For `add` only, beside `IN`, `OUT`, `ERR`, `HUP`, `WAKEUP` and `EDGE` only.
        const EXCLUSIVE = 1 << 28;
        /// `EPOLLWAKEUP` (Linux 3.5): no suspend while an event is being handled. Needs
        /// CAP_BLOCK_SUSPEND, without which it is ignored.
        const WAKEUP = 1 << 29;
        /// `EPOLLONESHOT`: report once, then be silent until `modify`.
        const ONESHOT = 1 << 30;
        /// `EPOLLET`: report when something new happens, not for as long as it is ready.
        const EDGE = 1 << 31;
        const _ = !0;
    }
}
