//! R in this process and the session that it serves: the ground that all other modules stand on.
//!
//! # How R's jumps are kept harmless
//!
//! An error or an interrupt makes R leave C functions by `longjmp`: the frames in between are gone, their destructors do not
//! run, and what they were to put back stays as it is. Almost everything in R's interface may do that: what allocates, what
//! evaluates, and `Rf_protect` when the protection stack is full. So there is one rule, in four parts:
//!
//! 1. A frame that may be jumped over owns nothing and has nothing to put back. Only two kinds of function may call R so: those
//!    that R calls (callbacks, what `.Call` reaches, the functions in [`crate::signals::interpose`]), and those whose
//!    comment says "May jump", which take and give plain data and are called by the former.
//! 2. Everything else calls R within [`api::at_top_level`], where a jump ends. Its closure has to be `Copy`, so that it cannot
//!    hold what has a destructor; its result too.
//! 3. `at_top_level` itself jumps in one case: it puts three values on the protection stack, and that may be full. So a
//!    function that R calls in the middle of an evaluation first calls [`api::reserve`], while it owns nothing. At R's prompt the
//!    stack is as good as empty.
//! 4. What [`thread::RThread::with`] runs calls nothing of R's. There is no flag of a borrow that a jump could leave set, but
//!    R's allocator runs finalizers, which are code of the user's, and that code may print.
//!
//! What only reads a value of a type that has been checked does not jump: `TYPEOF`, `Rf_xlength`, `VECTOR_ELT`, `STRING_ELT`,
//! `INTEGER`, `R_CHAR`, `Rf_getCharCE`, `Rf_asLogical` and `Rf_asInteger`. Nor does `Rf_install` for a name that R knows already.

pub(crate) mod api;
pub(crate) mod own;
pub(crate) mod session;
pub(crate) mod thread;
pub(crate) mod top;
