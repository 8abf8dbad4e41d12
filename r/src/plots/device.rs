//! The session's graphics device: R's own cairo PNG device with its callbacks wrapped, so that we know what is drawn when.

#![expect(unsafe_code, reason = "wraps the callbacks of one of R's graphics devices")]

use super::pages::{Device, PLOTS, plain};
use super::show;
use crate::libr::{self, DevDesc, Rboolean, SEXP, pDevDesc, pGEcontext};
use crate::runtime::api;
use libc::{c_char, c_int, c_uint};
use worker_core::process::fork;

/// Takes over the device that was just opened. Called by `bootstrap.R`.
pub(crate) unsafe extern "C-unwind" fn adopt() -> SEXP {
    // SAFETY: R's current device, which is a real one: it has just been opened.
    unsafe {
        let device = libr::GEcurrentDevice();
        // Later additions and `dev.copy()` need the display list, which file devices do without.
        (*device).displayListOn = Rboolean::TRUE;
        let dev = (*device).dev;
        let plain = Box::new(std::ptr::read(dev));
        PLOTS.with(|plots| {
            let number = plots.opened;
            // An error in a device's own `close` leaves it here, though R frees it.
            plots.devices.retain(|device| device.dev != dev);
            plots.devices.push(Device {
                dev,
                plain,
                page: 0,
                is_drawn: false,
                is_changed: false,
                is_shown: false,
                files: 0,
                number,
            });
        });
        wrap(&mut *dev);
    }
    api::nil()
}

/// Something is drawn on a device.
fn note(dev: pDevDesc) {
    PLOTS.with(|plots| {
        plots.has_changes = true;
        if let Some(device) = plots.device(dev) {
            device.is_drawn = true;
            device.is_changed = true;
            if !device.is_shown {
                plots.has_new = true;
            }
        }
    });
}

/// Wraps one callback that draws: notes it and calls the device's own.
macro_rules! drawing {
    ($($wrapper:ident = $field:ident($($argument:ident: $kind:ty),*);)*) => {
        $(
            unsafe extern "C-unwind" fn $wrapper($($argument: $kind,)* dev: pDevDesc) {
                note(dev);
                if let Some(own) = plain(dev).and_then(|plain| plain.$field) {
                    // SAFETY: the device's own callback, with the arguments that R gave.
                    unsafe { own($($argument,)* dev) }
                }
            }
        )*
        /// Puts the wrappers in the place of the callbacks that the device has.
        fn wrap(dev: &mut DevDesc) {
            $(
                if dev.$field.is_some() {
                    dev.$field = Some($wrapper);
                }
            )*
            dev.newPage = Some(new_page);
            dev.close = Some(close);
        }
    };
}

drawing! {
    circle = circle(x: f64, y: f64, r: f64, gc: pGEcontext);
    line = line(x1: f64, y1: f64, x2: f64, y2: f64, gc: pGEcontext);
    polygon = polygon(n: c_int, x: *mut f64, y: *mut f64, gc: pGEcontext);
    polyline = polyline(n: c_int, x: *mut f64, y: *mut f64, gc: pGEcontext);
    rect = rect(x0: f64, y0: f64, x1: f64, y1: f64, gc: pGEcontext);
    path = path(x: *mut f64, y: *mut f64, npoly: c_int, nper: *mut c_int, winding: Rboolean, gc: pGEcontext);
    raster = raster(
        raster: *mut c_uint, w: c_int, h: c_int, x: f64, y: f64, width: f64, height: f64, rot: f64,
        interpolate: Rboolean, gc: pGEcontext
    );
    text = text(x: f64, y: f64, text: *const c_char, rot: f64, hadj: f64, gc: pGEcontext);
    text_utf8 = textUTF8(x: f64, y: f64, text: *const c_char, rot: f64, hadj: f64, gc: pGEcontext);
    glyph = glyph(
        n: c_int, glyphs: *mut c_int, x: *mut f64, y: *mut f64, font: SEXP, size: f64, colour: c_int, rot: f64
    );
    use_group = useGroup(group: SEXP, transformation: SEXP);
    stroke = stroke(path: SEXP, gc: pGEcontext);
    fill = fill(path: SEXP, rule: c_int, gc: pGEcontext);
    fill_stroke = fillStroke(path: SEXP, rule: c_int, gc: pGEcontext);
}

/// The page is over and the next begins.
unsafe extern "C-unwind" fn new_page(gc: pGEcontext, dev: pDevDesc) {
    let Some(own) = plain(dev) else { return };
    let (files, is_changed) =
        PLOTS.with(|plots| plots.device(dev).map_or((0, false), |device| (device.files, device.is_changed)));
    // SAFETY: the device's own callbacks, with what R gave; the context is R's and valid while this call lasts.
    unsafe {
        let is_opaque = ((*gc).fill as u32) >> 24 == 0xff;
        if files > 0 && is_opaque && (!is_changed || fork::in_child()) {
            // Nobody wants the file, and to write it takes longer than to draw the page.
            wipe(gc, dev, own);
        } else {
            if let Some(own) = own.newPage {
                own(gc, dev);
            }
            PLOTS.with(|plots| {
                if let Some(device) = plots.device(dev) {
                    device.files += 1;
                }
            });
            if files > 0 {
                collect(dev, files);
            }
        }
    }
    PLOTS.with(|plots| {
        plots.pages += 1;
        let page = plots.pages;
        if let Some(device) = plots.device(dev) {
            device.page = page;
            device.is_drawn = false;
            device.is_changed = false;
            device.is_shown = false;
        }
        plots.update_flags();
    });
}

/// Paints the page over with the colour that it begins with.
unsafe fn wipe(gc: pGEcontext, dev: pDevDesc, own: &DevDesc) {
    // SAFETY: as in `new_page`; the copy of the context lives across the calls.
    unsafe {
        let mut context = *gc;
        context.col = TRANSPARENT;
        context.patternFill = api::nil();
        let (left, right, bottom, top) = (own.left, own.right, own.bottom, own.top);
        if let Some(clip) = own.clip {
            clip(left, right, bottom, top, dev);
        }
        if let Some(rect) = own.rect {
            rect(left, bottom, right, top, &raw mut context, dev);
        }
    }
}

/// R's colour that draws nothing.
const TRANSPARENT: c_int = 0x00ff_ffff;

/// The device is closed, by the user or at the end: what was not shown yet is shown now.
unsafe extern "C-unwind" fn close(dev: pDevDesc) {
    let Some(own) = plain(dev) else { return };
    let own = own.close;
    let files = PLOTS.with(|plots| plots.device(dev).map_or(0, |device| device.files));
    // SAFETY: the device's own callback.
    unsafe {
        if let Some(own) = own {
            own(dev);
        }
    }
    if files > 0 {
        collect(dev, files);
    }
    PLOTS.with(|plots| {
        plots.devices.retain(|device| device.dev != dev);
        plots.update_flags();
    });
}

/// Takes the file that a device has finished, and shows it if the page has changed.
fn collect(dev: pDevDesc, file: u32) {
    if fork::in_child() {
        return;
    }
    let path = PLOTS.with(|plots| {
        let number = plots.device(dev)?.number;
        plots.file(number, file)
    });
    let Some(path) = path else { return };
    let is_changed = PLOTS.with(|plots| plots.device(dev).is_some_and(|device| device.is_changed));
    if is_changed && let Ok(bytes) = std::fs::read(&path) {
        show::show(dev, &bytes);
    }
    // A file that is gone is as good as removed.
    let _ = std::fs::remove_file(path);
}
