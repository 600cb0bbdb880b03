use wakeful::Trigger;

/// How often a source is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PollMode {
    /// Once, until it is modified. The default.
    Oneshot,
    /// By every wait, for as long as it is ready.
    Level,
    /// After every change.
    ///
    /// It is an error where [`Poller::supports_edge`](crate::Poller::supports_edge) says no.
    Edge,
    /// Once after a change, until it is modified.
    ///
    /// It is an error where [`Poller::supports_edge`](crate::Poller::supports_edge) says no.
    EdgeOneshot,
}

impl PollMode {
    pub(crate) fn trigger(self) -> Trigger {
        match self {
            PollMode::Oneshot => Trigger::Oneshot,
            PollMode::Level => Trigger::Level,
            PollMode::Edge => Trigger::Edge,
            PollMode::EdgeOneshot => Trigger::EdgeOneshot,
        }
    }

    pub(crate) fn is_edge(self) -> bool {
        matches!(self, PollMode::Edge | PollMode::EdgeOneshot)
    }
}
