//! A cell on its way through R: its source, its value, and how it ends.

pub(crate) mod autoprint;
pub(crate) mod conditions;
pub(crate) mod direct_eval;
pub(crate) mod handler;
pub(crate) mod source;
pub(crate) mod srcref;

use crate::runtime::own::Native;

/// What `bootstrap.R` calls of this module.
pub(crate) const NATIVES: [Native; 3] = [
    (c"record", conditions::record as *const ()),
    (c"record_interrupt", conditions::record_interrupt as *const ()),
    (c"announce", conditions::announce as *const ()),
];
