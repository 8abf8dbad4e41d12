//! What R does not document as API: looked up by name when the engine starts, since a newer R may hide it.
//!
//! Each has another way, or a loss that its comment states; an R without any of them runs. The test
//! `r1_an_r_that_hides_all_but_its_api_runs` proves that.

use super::{Context, Rboolean, SEXP};
use libc::{c_int, c_void};
use std::ffi::CStr;
use std::mem::transmute_copy;
use std::ptr::{NonNull, null_mut};
use std::sync::OnceLock;

/// What of R was found.
pub(crate) struct Names {
    /// R's flag that an interrupt has come. Without it: one of ours, which acts where R prints or asks, so that a computation that
    /// does neither is not interrupted.
    interrupts_pending: NonNull<c_int>,
    /// R's switch that suspends interrupts. Without it: one of ours that R does not know, so an interrupt may end a request or
    /// the making of a picture.
    interrupts_suspended: NonNull<Rboolean>,
    /// R's innermost context. Without it the calls are counted by R code, which makes each piece of output slower.
    context: Option<NonNull<*mut Context>>,
    /// Whether R collects garbage (hidden since R 4.5). Without it: R is taken not to. R calls nobody meanwhile; a copy of a
    /// process that crashed there may crash as well, and the report of the crash has no calls.
    gc_running: Option<unsafe extern "C-unwind" fn() -> c_int>,
    /// What a name is bound to in one environment, promises unforced. Without it: [`Names::get_var`].
    find_var_in_frame: Option<unsafe extern "C-unwind" fn(SEXP, SEXP) -> SEXP>,
    /// What that gives for a name that is not bound.
    unbound: Option<NonNull<SEXP>>,
    /// What a name is bound to, with a default; API since R 4.5.
    get_var: Option<unsafe extern "C-unwind" fn(SEXP, SEXP, Rboolean, SEXP) -> SEXP>,
    /// What kind of binding a name has; API since R 4.6. Without it: `find_var_in_frame` and `promise_value`.
    binding_type: Option<unsafe extern "C-unwind" fn(SEXP, SEXP) -> c_int>,
    /// The marker of a missing argument. Without it and `binding_type`: a name that is bound to it is not recognised.
    missing_arg: Option<NonNull<SEXP>>,
    /// A promise's value. Without it and `binding_type`: no promise is taken to have one, and `variables` shows it as such.
    promise_value: Option<unsafe extern "C-unwind" fn(SEXP) -> SEXP>,
    /// Raises the error that the parser noted. Without it: R code raises one, with less of a text.
    parse_error: Option<unsafe extern "C-unwind" fn(SEXP, c_int)>,
    /// Whether a value is to be printed. Without it: that of a large expression is printed also where it was to stay invisible.
    visible: Option<NonNull<c_int>>,
    /// The former limit of the C stack while R deals with an overflow. Without it: such an error's text has no role.
    old_stack_limit: Option<NonNull<usize>>,
    /// How often graphics devices want to be served. Without it: as often as `R_wait_usec` says.
    graphics_wait: Option<NonNull<c_int>>,
}

// SAFETY: addresses of R's own variables and functions. Who reads or writes through them says why that is sound.
unsafe impl Send for Names {}
// SAFETY: as above.
unsafe impl Sync for Names {}

/// Stands for `R_interrupts_pending`.
static mut OWN_PENDING: c_int = 0;
/// Stands for `R_interrupts_suspended`.
static mut OWN_SUSPENDED: Rboolean = Rboolean::FALSE;

/// What was found, once [`looked_up`] has been called.
static NAMES: OnceLock<Names> = OnceLock::new();

/// Looks everything up, once. Call it when libR is loaded, before a signal handler may ask.
pub(crate) fn looked_up() -> &'static Names {
    NAMES.get_or_init(Names::find)
}

/// What `R_GetBindingType` gives for a binding to the marker of a missing argument.
const BINDING_MISSING: c_int = 2;
/// A promise without its value.
const BINDING_DELAYED: c_int = 3;
/// A promise with its value.
const BINDING_FORCED: c_int = 4;

impl Names {
    /// Looks everything up.
    fn find() -> Names {
        // SAFETY: the names are R's, and what has them has these types wherever it exists.
        unsafe {
            Names {
                interrupts_pending: variable(c"R_interrupts_pending")
                    .unwrap_or(NonNull::new_unchecked(&raw mut OWN_PENDING)),
                interrupts_suspended: variable(c"R_interrupts_suspended")
                    .unwrap_or(NonNull::new_unchecked(&raw mut OWN_SUSPENDED)),
                context: variable(c"R_GlobalContext"),
                gc_running: function(c"R_gc_running"),
                find_var_in_frame: function(c"Rf_findVarInFrame"),
                unbound: variable(c"R_UnboundValue"),
                get_var: function(c"R_getVarEx"),
                binding_type: function(c"R_GetBindingType"),
                missing_arg: variable(c"R_MissingArg"),
                promise_value: function(c"PRVALUE"),
                parse_error: function(c"parseError"),
                visible: variable(c"R_Visible"),
                old_stack_limit: variable(c"R_OldCStackLimit"),
                graphics_wait: variable(c"Rg_wait_usec"),
            }
        }
    }

    /// Whether an interrupt has come that R has not acted on. Any thread, and signal context.
    pub(crate) fn interrupt_is_pending(&self) -> bool {
        // SAFETY: an int that is read whole.
        unsafe { self.interrupts_pending.as_ptr().read_volatile() != 0 }
    }

    /// Whether an interrupt is to be raised that R does not know of, since its flag is hidden; it counts as raised then. R's
    /// thread.
    pub(crate) fn take_unknown_interrupt(&self) -> bool {
        let is_own = std::ptr::eq(self.interrupts_pending.as_ptr(), &raw const OWN_PENDING);
        let is_due = is_own && self.interrupt_is_pending() && !self.interrupts_are_suspended();
        if is_due {
            self.set_interrupt_pending(false);
        }
        is_due
    }

    /// Sets R's flag of a pending interrupt, or clears it. Any thread, and signal context: R's own handler writes it so.
    pub(crate) fn set_interrupt_pending(&self, is_pending: bool) {
        // SAFETY: an int that is written whole, made to be set by a signal handler.
        unsafe { self.interrupts_pending.as_ptr().write_volatile(is_pending.into()) }
    }

    /// Whether interrupts are suspended. R's thread.
    pub(crate) fn interrupts_are_suspended(&self) -> bool {
        // SAFETY: only R's thread writes it.
        unsafe { self.interrupts_suspended.as_ptr().read() != Rboolean::FALSE }
    }

    /// Suspends interrupts, or no longer. R's thread.
    pub(crate) fn suspend_interrupts(&self, is_suspended: bool) {
        let value = if is_suspended { Rboolean::TRUE } else { Rboolean::FALSE };
        // SAFETY: made to be written so, on R's thread.
        unsafe { self.interrupts_suspended.as_ptr().write(value) }
    }

    /// R's innermost context; none when this R does not tell. R's thread.
    pub(crate) fn context(&self) -> Option<*mut Context> {
        // SAFETY: only R's thread writes it.
        self.context.map(|context| unsafe { context.as_ptr().read() })
    }

    /// Whether R collects garbage at this moment. R's thread.
    pub(crate) fn gc_is_running(&self) -> bool {
        // SAFETY: reads a flag.
        self.gc_running.is_some_and(|running| unsafe { running() != 0 })
    }

    /// What `name` is bound to in `env` itself, promises unforced; R's NULL where it is not bound, none where this R does not
    /// tell. Does not jump.
    ///
    /// # Safety
    /// R's thread; a symbol, and an environment whose binding of it is not active.
    pub(crate) unsafe fn binding_in_frame(&self, name: SEXP, env: SEXP) -> Option<SEXP> {
        // SAFETY: the caller's promise.
        unsafe {
            let value = self.find_var_in_frame?(env, name);
            let unbound = self.unbound.map_or(null_mut(), |unbound| unbound.as_ptr().read());
            Some(if value == unbound { super::R_NilValue } else { value })
        }
    }

    /// The value of `name` in `env` itself; R's NULL where it is not bound, or where this R does not tell. Forces a promise,
    /// and may jump then.
    ///
    /// # Safety
    /// R's thread; a symbol, and an environment; frames that are jumped over hold nothing with a destructor.
    pub(crate) unsafe fn variable_in_frame(&self, name: SEXP, env: SEXP) -> SEXP {
        // SAFETY: the caller's promise.
        unsafe {
            match self.get_var {
                Some(get) => get(name, env, Rboolean::FALSE, super::R_NilValue),
                None => super::R_NilValue,
            }
        }
    }

    /// Whether `name` is bound to a promise in `env`, and if so whether that has its value; none for any other binding, and
    /// where this R does not tell.
    ///
    /// # Safety
    /// As for [`Names::binding_in_frame`].
    pub(crate) unsafe fn promise(&self, name: SEXP, env: SEXP) -> Option<bool> {
        // SAFETY: the caller's promise.
        unsafe {
            if let Some(kind) = self.binding_type {
                return match kind(name, env) {
                    BINDING_DELAYED => Some(false),
                    BINDING_FORCED => Some(true),
                    _ => None,
                };
            }
            let value = self.find_var_in_frame?(env, name);
            if super::TYPEOF(value) as super::SEXPTYPE != super::PROMSXP {
                return None;
            }
            let unbound = self.unbound?.as_ptr().read();
            Some(self.promise_value.is_some_and(|value_of| value_of(value) != unbound))
        }
    }

    /// Whether `name` is bound in `env` to the marker of a missing argument.
    ///
    /// # Safety
    /// As for [`Names::binding_in_frame`]; the binding is no promise without its value.
    pub(crate) unsafe fn is_missing(&self, name: SEXP, env: SEXP) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            if let Some(kind) = self.binding_type {
                return kind(name, env) == BINDING_MISSING;
            }
            match (self.find_var_in_frame, self.missing_arg) {
                (Some(get), Some(marker)) => get(env, name) == marker.as_ptr().read(),
                _ => false,
            }
        }
    }

    /// Raises the error that the parser noted last: jumps. Comes back where this R has no such function.
    ///
    /// # Safety
    /// R's thread; frames that are jumped over hold nothing with a destructor.
    pub(crate) unsafe fn raise_parse_error(&self) {
        if let Some(raise) = self.parse_error {
            // SAFETY: the caller's promise.
            unsafe { raise(super::R_NilValue, 0) }
        }
    }

    /// Whether the value that was just computed is to be printed; none where this R does not tell. R's thread.
    pub(crate) fn value_is_visible(&self) -> Option<bool> {
        // SAFETY: only R's thread writes it.
        self.visible.map(|visible| unsafe { visible.as_ptr().read() != 0 })
    }

    /// Whether R deals with an overflow of the C stack. R's thread.
    pub(crate) fn stack_is_overflowing(&self) -> bool {
        // SAFETY: only R's thread writes it.
        self.old_stack_limit.is_some_and(|limit| unsafe { limit.as_ptr().read() != 0 })
    }

    /// How often graphics devices want to be served, in microseconds; 0 for never. R's thread.
    pub(crate) fn graphics_wait(&self) -> c_int {
        // SAFETY: only R's thread writes it.
        self.graphics_wait.map_or(0, |wait| unsafe { wait.as_ptr().read() })
    }
}

/// The address of a name in the libraries that are loaded; null if it is not there.
fn address(name: &CStr) -> *mut c_void {
    // SAFETY: dlsym takes a C string. libR is loaded globally.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
}

/// A variable of R.
fn variable<T>(name: &CStr) -> Option<NonNull<T>> {
    NonNull::new(address(name).cast())
}

/// # Safety
/// `F` is the type of the function of this name.
unsafe fn function<F: Copy>(name: &CStr) -> Option<F> {
    let address = address(name);
    // SAFETY: a function pointer is as large as any other; the caller's promise.
    (!address.is_null()).then(|| unsafe { transmute_copy::<*mut c_void, F>(&address) })
}
