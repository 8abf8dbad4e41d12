//! R's console, which the session stands for: where R asks, prints, waits and ends.

pub(crate) mod callbacks;
mod clean_up;
mod input_handlers;
mod output;
mod reads;
mod step;

use crate::runtime::own::Native;

/// What `bootstrap.R` calls of this room.
pub(crate) const NATIVES: [Native; 1] = [(c"hide", reads::hide as *const ())];
