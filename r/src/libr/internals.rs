//! `Rinternals.h` with `R_ext/Parse.h`, `R_ext/Error.h`, `R_ext/Utils.h` and `R_ext/Rdynload.h`: R's values.

use libc::{c_char, c_int, c_uint, c_void};

/// One of R's values; only pointers to them cross.
#[repr(C)]
pub struct SEXPREC {
    _opaque: [u8; 0],
}

/// A pointer to one of R's values, valid while something protects it from R's garbage collector.
pub type SEXP = *mut SEXPREC;

/// R's truth value without NA, an `int`.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rboolean(c_int);

impl Rboolean {
    /// False.
    pub const FALSE: Rboolean = Rboolean(0);
    /// True.
    pub const TRUE: Rboolean = Rboolean(1);
}

/// The type of a value.
pub type SEXPTYPE = c_uint;
/// A promise.
pub const PROMSXP: SEXPTYPE = 5;
/// A logical vector, the first of the atomic vectors.
pub const LGLSXP: SEXPTYPE = 10;
/// An integer vector.
pub const INTSXP: SEXPTYPE = 13;
/// A character vector.
pub const STRSXP: SEXPTYPE = 16;
/// A list.
pub const VECSXP: SEXPTYPE = 19;

/// How a string is encoded.
pub type cetype_t = c_int;
/// The locale's encoding.
pub const CE_NATIVE: cetype_t = 0;
/// UTF-8.
pub const CE_UTF8: cetype_t = 1;
/// Bytes in no encoding, which R refuses to translate.
pub const CE_BYTES: cetype_t = 3;

/// What the parser says.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseStatus(pub c_int);

impl ParseStatus {
    /// The parser has not run.
    pub const NULL: ParseStatus = ParseStatus(0);
    /// The source is whole.
    pub const OK: ParseStatus = ParseStatus(1);
}

/// A function as R keeps it.
pub type DL_FUNC = Option<unsafe extern "C-unwind" fn() -> *mut c_void>;

unsafe extern "C-unwind" {
    /// R's own values: the user's environment, the empty one, base's, and NULL. Set while R starts, never changed.
    pub static R_GlobalEnv: SEXP;
    pub static R_EmptyEnv: SEXP;
    pub static R_BaseEnv: SEXP;
    pub static R_NilValue: SEXP;

    /// Keeps a value from the garbage collector until it is unprotected. Raises an error when the stack is full.
    pub fn Rf_protect(value: SEXP) -> SEXP;
    /// Takes the last `count` values off the protection stack.
    pub fn Rf_unprotect(count: c_int);
    /// Keeps a value until it is released.
    pub fn R_PreserveObject(value: SEXP);
    pub fn R_ReleaseObject(value: SEXP);

    /// Of a value: type, class, length, elements. An element is read by the function of its type alone.
    pub fn TYPEOF(value: SEXP) -> c_int;
    pub fn Rf_isObject(value: SEXP) -> Rboolean;
    pub fn Rf_isString(value: SEXP) -> Rboolean;
    pub fn Rf_xlength(value: SEXP) -> isize;
    pub fn INTEGER(value: SEXP) -> *mut c_int;
    pub fn STRING_ELT(value: SEXP, index: isize) -> SEXP;
    pub fn VECTOR_ELT(value: SEXP, index: isize) -> SEXP;
    pub fn R_CHAR(chars: SEXP) -> *const c_char;
    pub fn Rf_getCharCE(chars: SEXP) -> cetype_t;
    pub fn Rf_translateCharUTF8(chars: SEXP) -> *const c_char;
    pub fn Rf_getAttrib(value: SEXP, name: SEXP) -> SEXP;
    pub fn Rf_asLogical(value: SEXP) -> c_int;
    pub fn Rf_asInteger(value: SEXP) -> c_int;

    /// Makes values. Each allocates; the arguments that are values are protected by the function itself.
    pub fn Rf_install(name: *const c_char) -> SEXP;
    pub fn Rf_mkCharLenCE(text: *const c_char, length: c_int, encoding: cetype_t) -> SEXP;
    pub fn Rf_ScalarString(chars: SEXP) -> SEXP;
    pub fn Rf_ScalarLogical(value: c_int) -> SEXP;
    pub fn Rf_ScalarInteger(value: c_int) -> SEXP;
    pub fn Rf_ScalarReal(value: f64) -> SEXP;
    pub fn Rf_cons(head: SEXP, tail: SEXP) -> SEXP;
    pub fn Rf_lcons(head: SEXP, tail: SEXP) -> SEXP;
    pub fn Rf_lang1(function: SEXP) -> SEXP;
    pub fn Rf_lang2(function: SEXP, argument: SEXP) -> SEXP;
    pub fn Rf_lang5(function: SEXP, first: SEXP, second: SEXP, third: SEXP, fourth: SEXP) -> SEXP;
    pub fn R_MakeExternalPtrFn(function: DL_FUNC, tag: SEXP, protected: SEXP) -> SEXP;

    /// A new environment: parent, whether it is hashed, the size of the table.
    pub fn R_NewEnv(parent: SEXP, is_hashed: c_int, size: c_int) -> SEXP;
    /// Binds a name in an environment; the caller protects the value.
    pub fn Rf_defineVar(name: SEXP, value: SEXP, env: SEXP);

    /// Parses a character vector: at most `count` expressions, all if negative; `file` gives the srcrefs.
    pub fn R_ParseVector(text: SEXP, count: c_int, status: *mut ParseStatus, file: SEXP) -> SEXP;
    /// Evaluates an expression.
    pub fn Rf_eval(expression: SEXP, env: SEXP) -> SEXP;
    /// Prints a value as the prompt does.
    pub fn Rf_PrintValue(value: SEXP);
    /// Calls `body` with `data` at a top level of its own; false when a jump ended it.
    pub fn R_ToplevelExec(body: unsafe extern "C-unwind" fn(*mut c_void), data: *mut c_void) -> Rboolean;
    /// Raises an interrupt that is pending.
    pub fn R_CheckUserInterrupt();
    /// The text of the last error: R's own buffer.
    pub fn R_curErrorBuf() -> *const c_char;
}
