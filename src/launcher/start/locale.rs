//! A locale for UTF-8, for the session and what it starts.
#![expect(unsafe_code, reason = "the C library's locales")]

use crate::launcher::variables;
use std::env;
use std::ffi::CStr;

/// What a session with a locale for another character set gets; it is built into glibc.
const UTF8_LOCALE: &str = "C.UTF-8";

/// Names a UTF-8 locale in the environment unless it names one already.
pub fn make_utf8() {
    let setting = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| env::var_os(name).filter(|value| !value.is_empty()).map(|value| (name, value)));
    // This one is known to be UTF-8 without loading it.
    if let Some((_, value)) = &setting
        && value == UTF8_LOCALE
    {
        return;
    }
    if setting.is_some() && locale_charset().as_deref() == Some("UTF-8") {
        return;
    }
    match setting {
        // It overrides the rest, so it is what has to change. In all but the character set this locale is C.
        Some(("LC_ALL", _)) => variables::set("LC_ALL", UTF8_LOCALE),
        _ => variables::set("LC_CTYPE", UTF8_LOCALE),
    }
}

/// The character set of the locale that the environment asks for; None when that locale is not installed.
fn locale_charset() -> Option<String> {
    // SAFETY: the name is an empty C string, the base is null: a new locale from the environment.
    let locale = unsafe { libc::newlocale(libc::LC_CTYPE_MASK, c"".as_ptr(), std::ptr::null_mut()) };
    if locale.is_null() {
        return None;
    }
    // SAFETY: the locale is live; the answer is a C string that lives as long as the locale does.
    let name = unsafe { CStr::from_ptr(libc::nl_langinfo_l(libc::CODESET, locale)) }.to_string_lossy().into_owned();
    // SAFETY: the locale is ours and used no further.
    unsafe { libc::freelocale(locale) };
    Some(name)
}
