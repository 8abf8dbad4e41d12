//! Makes the worker's environment in R, once, when R is up.

#![expect(unsafe_code, reason = "calls into R's C interface")]

use crate::libr::{self, SEXP};
use crate::runtime::own::{self, Native};
use crate::runtime::{api, thread::RThread};
use worker_core::config::PlotSize;

/// What is bound in the environment before `bootstrap.R` runs there.
static GIVEN: RThread<Given> =
    RThread::new(Given { natives: &[], plot: PlotSize { width: 7.0, height: 5.0, dpi: 96.0 } });

/// What [`run`] binds.
#[derive(Debug, Clone, Copy)]
struct Given {
    /// The functions of each module that R code of ours calls.
    natives: &'static [&'static [Native]],
    /// The size of pictures.
    plot: PlotSize,
}

/// Notes what [`run`] binds.
pub(crate) fn prepare(natives: &'static [&'static [Native]], plot: PlotSize) {
    GIVEN.set(Given { natives, plot });
}

/// Makes the environment. At R's top level; may jump.
pub(crate) fn run() {
    let Given { natives, plot } = GIVEN.get();
    // SAFETY: every value is protected until it is used; nothing here has a destructor.
    unsafe {
        let env = libr::Rf_protect(libr::R_NewEnv(libr::R_BaseEnv, 1, 100));
        for natives in natives {
            own::bind(natives, env);
        }
        for (name, number) in [(c"width", plot.width), (c"height", plot.height), (c"dpi", plot.dpi)] {
            let value: SEXP = libr::Rf_protect(libr::Rf_ScalarReal(number));
            libr::Rf_defineVar(api::symbol(name), value, env);
            libr::Rf_unprotect(1);
        }
        own::evaluate(include_str!("bootstrap.R"), env);
        // R keeps symbols for ever: from here on to ask for one of these allocates nothing.
        for name in [c".Last.value", c".Traceback", c"names", c"dim", c"registry", c"gh", c"version"] {
            api::symbol(name);
        }
        own::set_own(env);
        libr::Rf_unprotect(1);
    }
}
