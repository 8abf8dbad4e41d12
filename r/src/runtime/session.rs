//! The session that R serves, and the phase it is in.

use super::thread::RThread;
use worker_core::engine::Engine;

/// The session, once it is open.
static ENGINE: RThread<Option<Engine>> = RThread::new(None);
/// The phase it is in.
static PHASE: RThread<Phase> = RThread::new(Phase::Starting);

/// The phase of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// R starts; profiles run.
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

/// A handle on the session, which is opened before any callback can run. It has a destructor: hold it only where nothing jumps.
pub(crate) fn engine() -> Engine {
    ENGINE.with(|engine| engine.clone()).expect("the session is opened before R is")
}

/// Runs `body`, which calls nothing of R's, with the session and gives its result; true when none is open.
pub(crate) fn with_engine(body: impl FnOnce(&Engine) -> bool) -> bool {
    ENGINE.with(|engine| engine.as_ref().is_none_or(body))
}

/// The phase that the session is in.
pub(crate) fn phase() -> Phase {
    PHASE.get()
}

/// The session enters a phase.
pub(crate) fn set_phase(phase: Phase) {
    PHASE.set(phase);
}

/// The first `ready` has been said.
pub(crate) fn is_started() -> bool {
    phase() != Phase::Starting
}
