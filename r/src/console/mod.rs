//! R's console callbacks, by which it reads, prints, waits and ends.

pub(crate) mod callbacks;
mod clean_up;
mod input_handlers;
mod output;
mod reads;
mod step;

use crate::runtime::own::Native;

/// What `bootstrap.R` calls of this module.
pub(crate) const NATIVES: [Native; 1] = [(c"hide", reads::hide as *const ())];
