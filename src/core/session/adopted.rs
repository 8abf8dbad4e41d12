//! Which cell a background thread belongs to: the one that started it.

use crate::session::CellRef;
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    static ADOPTED: RefCell<Option<Arc<CellRef>>> = const { RefCell::new(None) };
}

/// Names the cell that the calling thread, not the main one, belongs to: the one that started it.
pub fn adopt_cell(cell: Option<Arc<CellRef>>) {
    ADOPTED.set(cell);
}

/// The cell that was named for the calling thread.
pub(crate) fn adopted_cell() -> Option<Arc<CellRef>> {
    ADOPTED.with_borrow(Option::clone)
}
