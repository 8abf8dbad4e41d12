//! Finding the Python or the R that a session is to host, by looking at files and without running them where that will do.

pub mod elf;
pub mod ldpaths;
pub mod probe;
pub mod pyenv;
pub mod python;
pub mod python_choice;
pub mod python_error;
pub mod r;
pub mod search;
pub mod version;
