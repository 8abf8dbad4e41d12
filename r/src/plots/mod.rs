//! Pictures: the session's own graphics device, its pages, and when they are shown.

pub(crate) mod device;
pub(crate) mod pages;
pub(crate) mod show;

use crate::runtime::own::Native;

/// What `bootstrap.R` calls of this module.
pub(crate) const NATIVES: [Native; 2] =
    [(c"adopt", device::adopt as *const ()), (c"next_file", pages::next_file as *const ())];
