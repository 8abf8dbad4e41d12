//! `Rinternals.h` with `R_ext/Parse.h`, `R_ext/Error.h`, `R_ext/Utils.h` and `R_ext/Rdynload.h`: R's values.

use libc::{c_char, c_int, c_uint, c_void};

/// One of R's values; only pointers to them cross.
#[repr(C)]
pub struct SEXPREC {
    _opaque: [u8; 0],
}

pub type SEXP = *mut SEXPREC;

/// R's truth value without NA, an `int`.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rboolean(c_int);

impl Rboolean {
    pub const FALSE: Rboolean = Rboolean(0);
    pub const TRUE: Rboolean = Rboolean(1);
}

/// The type of a value.
pub type SEXPTYPE = c_uint;
pub const PROMSXP: SEXPTYPE = 5;
pub const LGLSXP: SEXPTYPE = 10;
pub const INTSXP: SEXPTYPE = 13;
pub const STRSXP: SEXPTYPE = 16;
pub const VECSXP: SEXPTYPE = 19;

/// How a string is encoded.
pub type cetype_t = c_int;
pub const CE_NATIVE: cetype_t = 0;
pub const CE_UTF8: cetype_t = 1;
pub const CE_BYTES: cetype_t = 3;

/// What the parser says.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseStatus(pub c_int);

impl ParseStatus {
    pub const NULL: ParseStatus = ParseStatus(0);
    pub const OK: ParseStatus = ParseStatus(1);
}

/// A function as R keeps it.
pub type DL_FUNC = Option<unsafe extern "C-unwind" fn() -> *mut c_void>;

unsafe extern "C-unwind" {
    pub static R_GlobalEnv: SEXP;
    pub static R_EmptyEnv: SEXP;
    pub static R_BaseEnv: SEXP;
    pub static R_NilValue: SEXP;

    pub fn Rf_protect(value: SEXP) -> SEXP;
    pub fn Rf_unprotect(count: c_int);
    pub fn R_PreserveObject(value: SEXP);
    pub fn R_ReleaseObject(value: SEXP);

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

    pub fn R_NewEnv(parent: SEXP, is_hashed: c_int, size: c_int) -> SEXP;
    pub fn Rf_defineVar(name: SEXP, value: SEXP, env: SEXP);

    pub fn R_ParseVector(text: SEXP, count: c_int, status: *mut ParseStatus, file: SEXP) -> SEXP;
    pub fn Rf_eval(expression: SEXP, env: SEXP) -> SEXP;
    pub fn Rf_PrintValue(value: SEXP);
    pub fn R_ToplevelExec(body: unsafe extern "C-unwind" fn(*mut c_void), data: *mut c_void) -> Rboolean;
    pub fn R_CheckUserInterrupt();
    pub fn R_curErrorBuf() -> *const c_char;
}
