//! `R_ext/GraphicsDevice.h` and `R_ext/GraphicsEngine.h`: graphics devices.
//!
//! A device of an older R has fewer fields. What was added since R 4.1 took the place of a reserve of 64 bytes at the end, which
//! is zero: a callback that this R does not know reads as none, and is never written.

use super::internals::{Rboolean, SEXP};
use libc::{c_char, c_int, c_uint, c_void};

/// A device, as callbacks get it.
pub type pDevDesc = *mut DevDesc;
/// A graphics context, as callbacks get it.
pub type pGEcontext = *mut R_GE_gcontext;

/// How something is drawn: colours, line, font. The fields are those of the header.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct R_GE_gcontext {
    pub col: c_int,
    pub fill: c_int,
    pub gamma: f64,
    pub lwd: f64,
    pub lty: c_int,
    pub lend: c_int,
    pub ljoin: c_int,
    pub lmitre: f64,
    pub cex: f64,
    pub ps: f64,
    pub lineheight: f64,
    pub fontface: c_int,
    pub fontfamily: [c_char; 201],
    pub patternFill: SEXP,
}

/// A device as the graphics engine keeps it: the first of its fields.
#[repr(C)]
pub struct GEDevDesc {
    pub dev: pDevDesc,
    pub displayListOn: Rboolean,
}

/// A callback that this engine only passes on.
pub type Callback = Option<unsafe extern "C-unwind" fn()>;

/// Draws text: position, text, rotation, horizontal adjustment.
type Text = unsafe extern "C-unwind" fn(f64, f64, *const c_char, f64, f64, pGEcontext, pDevDesc);
/// Draws between two corners.
type Corners = unsafe extern "C-unwind" fn(f64, f64, f64, f64, pGEcontext, pDevDesc);
/// Draws through points.
type Points = unsafe extern "C-unwind" fn(c_int, *mut f64, *mut f64, pGEcontext, pDevDesc);
/// Draws a raster image.
type Raster =
    unsafe extern "C-unwind" fn(*mut c_uint, c_int, c_int, f64, f64, f64, f64, f64, Rboolean, pGEcontext, pDevDesc);
/// Draws several polygons.
type Polygons = unsafe extern "C-unwind" fn(*mut f64, *mut f64, c_int, *mut c_int, Rboolean, pGEcontext, pDevDesc);
/// Draws glyphs.
type Glyphs = unsafe extern "C-unwind" fn(c_int, *mut c_int, *mut f64, *mut f64, SEXP, f64, c_int, f64, pDevDesc);

/// A device as its driver describes it: its size and its callbacks. The fields are those of the header.
#[repr(C)]
pub struct DevDesc {
    pub left: f64,
    pub right: f64,
    pub bottom: f64,
    pub top: f64,
    pub clipLeft: f64,
    pub clipRight: f64,
    pub clipBottom: f64,
    pub clipTop: f64,
    pub xCharOffset: f64,
    pub yCharOffset: f64,
    pub yLineBias: f64,
    pub ipr: [f64; 2],
    pub cra: [f64; 2],
    pub gamma: f64,
    pub canClip: Rboolean,
    pub canChangeGamma: Rboolean,
    pub canHAdj: c_int,
    pub startps: f64,
    pub startcol: c_int,
    pub startfill: c_int,
    pub startlty: c_int,
    pub startfont: c_int,
    pub startgamma: f64,
    pub deviceSpecific: *mut c_void,
    pub displayListOn: Rboolean,
    pub canGenMouseDown: Rboolean,
    pub canGenMouseMove: Rboolean,
    pub canGenMouseUp: Rboolean,
    pub canGenKeybd: Rboolean,
    pub canGenIdle: Rboolean,
    pub gettingEvent: Rboolean,
    pub activate: Callback,
    pub circle: Option<unsafe extern "C-unwind" fn(f64, f64, f64, pGEcontext, pDevDesc)>,
    pub clip: Option<unsafe extern "C-unwind" fn(f64, f64, f64, f64, pDevDesc)>,
    pub close: Option<unsafe extern "C-unwind" fn(pDevDesc)>,
    pub deactivate: Callback,
    pub locator: Callback,
    pub line: Option<Corners>,
    pub metricInfo: Callback,
    pub mode: Callback,
    pub newPage: Option<unsafe extern "C-unwind" fn(pGEcontext, pDevDesc)>,
    pub polygon: Option<Points>,
    pub polyline: Option<Points>,
    pub rect: Option<Corners>,
    pub path: Option<Polygons>,
    pub raster: Option<Raster>,
    pub cap: Callback,
    pub size: Callback,
    pub strWidth: Callback,
    pub text: Option<Text>,
    pub onExit: Callback,
    pub getEvent: Callback,
    pub newFrameConfirm: Callback,
    pub hasTextUTF8: Rboolean,
    pub textUTF8: Option<Text>,
    pub strWidthUTF8: Callback,
    pub wantSymbolUTF8: Rboolean,
    pub useRotatedTextInContour: Rboolean,
    pub eventEnv: SEXP,
    pub eventHelper: Callback,
    pub holdflush: Callback,
    pub haveTransparency: c_int,
    pub haveTransparentBg: c_int,
    pub haveRaster: c_int,
    pub haveCapture: c_int,
    pub haveLocator: c_int,
    pub setPattern: Callback,
    pub releasePattern: Callback,
    pub setClipPath: Callback,
    pub releaseClipPath: Callback,
    pub setMask: Callback,
    pub releaseMask: Callback,
    pub deviceVersion: c_int,
    pub deviceClip: Rboolean,
    /// From here on since R 4.2.
    pub defineGroup: Callback,
    pub useGroup: Option<unsafe extern "C-unwind" fn(SEXP, SEXP, pDevDesc)>,
    pub releaseGroup: Callback,
    pub stroke: Option<unsafe extern "C-unwind" fn(SEXP, pGEcontext, pDevDesc)>,
    pub fill: Option<unsafe extern "C-unwind" fn(SEXP, c_int, pGEcontext, pDevDesc)>,
    pub fillStroke: Option<unsafe extern "C-unwind" fn(SEXP, c_int, pGEcontext, pDevDesc)>,
    pub capabilities: Callback,
    /// Since R 4.3.
    pub glyph: Option<Glyphs>,
}

unsafe extern "C-unwind" {
    /// The current device; opens one when none is open.
    pub fn GEcurrentDevice() -> *mut GEDevDesc;
    /// The device of a number.
    pub fn GEgetDevice(number: c_int) -> *mut GEDevDesc;
    /// The number of a device.
    pub fn GEdeviceNumber(device: *mut GEDevDesc) -> c_int;
    /// Closes a device.
    pub fn GEkillDevice(device: *mut GEDevDesc);
    /// Draws what the display list of the device of this number holds on the current device.
    pub fn GEcopyDisplayList(from: c_int);
    /// The graphics engine's description of a device.
    pub fn Rf_desc2GEDesc(dev: pDevDesc) -> *mut GEDevDesc;
    /// The number of the current device; opens none.
    pub fn Rf_curDevice() -> c_int;
    /// Makes the device of this number the current one.
    pub fn Rf_selectDevice(number: c_int) -> c_int;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    /// Computed by a C compiler from the headers of R 4.2 and 4.6 on a 64-bit machine.
    #[test]
    fn fields_are_where_r_has_them() {
        assert_eq!(offset_of!(R_GE_gcontext, patternFill), 280);
        assert_eq!(offset_of!(GEDevDesc, displayListOn), 8);
        assert_eq!(offset_of!(DevDesc, circle), 224);
        assert_eq!(offset_of!(DevDesc, deviceVersion), 520);
        assert_eq!(offset_of!(DevDesc, glyph), 584);
        assert_eq!(size_of::<Rboolean>(), 4);
    }
}
