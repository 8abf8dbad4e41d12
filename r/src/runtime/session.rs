//! The session that R serves, and how far it has come.

use super::thread::RThread;
use worker_core::engine::Engine;

/// The session, once it is open.
static ENGINE: RThread<Option<Engine>> = RThread::new(None);
static PHASE: RThread<Phase> = RThread::new(Phase::Starting);

/// How far the session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// R comes up; profiles run.
    Starting,
    /// Between cells.
    Idle,
    /// In a cell.
    Running,
}

/// Keeps the session, before R is initialised.
pub(crate) fn open(engine: Engine) {
    ENGINE.with(|place| *place = Some(engine));
}

/// The session. It is open before any callback can run.
pub(crate) fn engine() -> Engine {
    ENGINE.with(|engine| engine.clone()).expect("the session is opened before R is")
}

/// Runs `body` with the session, without a handle of its own.
pub(crate) fn with_engine(body: impl FnOnce(&Engine) -> bool) -> bool {
    ENGINE.with(|engine| engine.as_ref().is_none_or(body))
}

/// How far the session has come.
pub(crate) fn phase() -> Phase {
    PHASE.get()
}

/// It has come so far.
pub(crate) fn set_phase(phase: Phase) {
    PHASE.set(phase);
}

/// The first `ready` has been said.
pub(crate) fn is_started() -> bool {
    phase() != Phase::Starting
}
