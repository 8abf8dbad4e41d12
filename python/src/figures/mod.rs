//! Pictures: the matplotlib backend of a session, and when its figures are shown.

pub(crate) mod backend;
