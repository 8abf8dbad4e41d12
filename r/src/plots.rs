//! Pictures: a device of the session's own, opened when something is drawn and nothing is open, and shown page by page.
//!
//! The device is R's own cairo PNG device with its callbacks wrapped, so that we know when something is drawn. A page that
//! ends is written by the device itself; one that may still grow is copied to a second device from the display list, and
//! what is added to it later is an update of the same picture.

#![expect(
    unsafe_code,
    reason = "wraps the callbacks of one of R's graphics devices"
)]

use crate::console_ffi as ffi;
use crate::main_cell::MainCell;
use crate::{bootstrap, console, rapi};
use libR_sys::{DevDesc, Rboolean, SEXP, pDevDesc, pGEcontext};
use libc::{c_char, c_int, c_uint};
use std::ffi::CString;
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::PathBuf;
use worker::child;
use worker::engine::Image;

/// A device of ours and its current page.
struct Device {
    dev: pDevDesc,
    /// The callbacks as the device came with them.
    plain: DevDesc,
    /// The page's number, counted over the session's devices; names the picture.
    page: u32,
    /// Something is on it.
    is_drawn: bool,
    /// Something was drawn since it was shown.
    is_changed: bool,
    /// It was shown.
    is_shown: bool,
    /// How many files the device has begun; it writes the last of them when the next begins, or when it is closed.
    files: u32,
    /// The number of the device, part of its files' names.
    number: u32,
}

struct Plots {
    devices: Vec<Device>,
    pages: u32,
    opened: u32,
    /// Where the devices write their files.
    dir: Option<PathBuf>,
    /// A copy is being drawn: what R prints meanwhile must not start another.
    is_busy: bool,
    /// Some page has changed and was never shown.
    has_new: bool,
    /// Some page has changed.
    has_changes: bool,
}

static PLOTS: MainCell<Plots> = MainCell::new(Plots {
    devices: Vec::new(),
    pages: 0,
    opened: 0,
    dir: None,
    is_busy: false,
    has_new: false,
    has_changes: false,
});

impl Plots {
    fn device(&mut self, dev: pDevDesc) -> Option<&mut Device> {
        self.devices.iter_mut().find(|device| device.dev == dev)
    }

    fn look(&mut self) {
        self.has_changes = self.devices.iter().any(|device| device.is_changed);
        self.has_new = self
            .devices
            .iter()
            .any(|device| device.is_changed && !device.is_shown);
    }

    fn file(&self, number: u32, file: u32) -> Option<PathBuf> {
        Some(self.dir.as_ref()?.join(format!("{number}-{file}.png")))
    }
}

/// A path with a place for the page's number, for the next device that is opened. Called by `bootstrap.R`.
pub(crate) unsafe extern "C-unwind" fn next_file() -> SEXP {
    let path = PLOTS.with(|plots| {
        plots.opened += 1;
        if plots.dir.as_ref().is_none_or(|dir| !dir.is_dir()) {
            plots.dir = make_dir();
        }
        Some(
            plots
                .dir
                .as_ref()?
                .join(format!("{}-%d.png", plots.opened))
                .to_string_lossy()
                .into_owned(),
        )
    });
    // Out of memory is what could jump here.
    rapi::string(&path.unwrap_or_else(|| "Rplot%03d.png".to_owned()))
}

fn make_dir() -> Option<PathBuf> {
    let template = std::env::temp_dir().join("worker-plots-XXXXXX");
    let template = CString::new(template.to_str()?).ok()?.into_raw();
    // SAFETY: the template is a writable C string that is taken back below.
    let (made, template) = unsafe { (libc::mkdtemp(template), CString::from_raw(template)) };
    (!made.is_null()).then(|| PathBuf::from(template.to_string_lossy().into_owned()))
}

/// Takes over the device that was just opened. Called by `bootstrap.R`.
pub(crate) unsafe extern "C-unwind" fn adopt() -> SEXP {
    // SAFETY: R's current device, which is a real one: it has just been opened.
    unsafe {
        let device = libR_sys::GEcurrentDevice();
        // Later additions and `dev.copy()` need the display list, which file devices do without.
        (*device).displayListOn = Rboolean::TRUE;
        let dev = (*device).dev;
        let plain = *dev;
        PLOTS.with(|plots| {
            let number = plots.opened;
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
    rapi::nil()
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

/// The callbacks that a device of ours came with.
fn plain(dev: pDevDesc) -> Option<&'static DevDesc> {
    // SAFETY: the copy stays where it is until the device is closed; a callback uses it only until it returns.
    PLOTS.with(|plots| {
        plots
            .device(dev)
            .map(|device| unsafe { &*(&raw const device.plain) })
    })
}

/// Wraps one callback that draws: notes it and calls the device's own.
macro_rules! drawing {
    ($($wrapper:ident = $field:ident($($argument:ident: $kind:ty),*);)*) => {
        $(
            unsafe extern "C" fn $wrapper($($argument: $kind,)* dev: pDevDesc) {
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
    use_group = useGroup(group: SEXP, transformation: SEXP);
    stroke = stroke(path: SEXP, gc: pGEcontext);
    fill = fill(path: SEXP, rule: c_int, gc: pGEcontext);
    fill_stroke = fillStroke(path: SEXP, rule: c_int, gc: pGEcontext);
}

/// The page is over and the next begins.
unsafe extern "C" fn new_page(gc: pGEcontext, dev: pDevDesc) {
    let Some(own) = plain(dev) else { return };
    let (files, is_changed) = PLOTS.with(|plots| {
        plots
            .device(dev)
            .map_or((0, false), |device| (device.files, device.is_changed))
    });
    // SAFETY: the device's own callbacks, with what R gave; the context is R's and valid while this call lasts.
    unsafe {
        let is_opaque = ((*gc).fill as u32) >> 24 == 0xff;
        if files > 0 && is_opaque && (!is_changed || child::in_child()) {
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
        plots.look();
    });
}

/// Paints the page over with the colour that it begins with.
unsafe fn wipe(gc: pGEcontext, dev: pDevDesc, own: &DevDesc) {
    // SAFETY: as in `new_page`; the copy of the context lives across the calls.
    unsafe {
        let mut context = *gc;
        context.col = TRANSPARENT;
        context.patternFill = rapi::nil();
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
unsafe extern "C" fn close(dev: pDevDesc) {
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
        plots.look();
    });
}

/// Takes the file that a device has finished, and shows it if the page has changed.
fn collect(dev: pDevDesc, file: u32) {
    if child::in_child() {
        return;
    }
    let path = PLOTS.with(|plots| {
        let number = plots.device(dev)?.number;
        plots.file(number, file)
    });
    let Some(path) = path else { return };
    let is_changed = PLOTS.with(|plots| plots.device(dev).is_some_and(|device| device.is_changed));
    if is_changed && let Ok(bytes) = std::fs::read(&path) {
        show(dev, &bytes);
    }
    // A file that is gone is as good as removed.
    let _ = std::fs::remove_file(path);
}

/// Says a picture of the device's page.
fn show(dev: pDevDesc, bytes: &[u8]) {
    let page = PLOTS.with(|plots| {
        let device = plots.device(dev)?;
        let is_update = std::mem::replace(&mut device.is_shown, true);
        device.is_changed = false;
        let page = (
            device.page,
            is_update,
            device.plain.right,
            device.plain.bottom,
        );
        plots.look();
        Some(page)
    });
    let Some((page, is_update, width, height)) = page else {
        return;
    };
    if !bytes.starts_with(b"\x89PNG") {
        return;
    }
    console::engine().image(&Image {
        mime_type: "image/png",
        bytes,
        source: Some(&format!("plot-{page}")),
        is_update,
        size: Some((width as u32, height as u32)),
    });
}

/// Whether a page has something on it and was never shown.
pub(crate) fn has_new_page() -> bool {
    PLOTS.with(|plots| plots.has_new && !plots.is_busy)
}

/// Shows the pages that were never shown: text is about to come that was printed after they were drawn.
pub(crate) fn show_new_pages() {
    if has_new_page() {
        show_pages(|device| device.is_changed && !device.is_shown);
    }
}

/// Shows what has changed: a cell is over, or waits.
pub(crate) fn show_changes() {
    if PLOTS.with(|plots| plots.has_changes && !plots.is_busy) {
        show_pages(|device| device.is_changed);
    }
}

fn show_pages(which: impl Fn(&Device) -> bool) {
    if child::in_child() {
        return;
    }
    // SAFETY: asks R whether this is a moment for anything but memory.
    if unsafe { ffi::R_gc_running() } != 0 {
        return;
    }
    let devices: Vec<pDevDesc> = PLOTS.with(|plots| {
        plots
            .devices
            .iter()
            .filter(|device| which(device))
            .map(|device| device.dev)
            .collect()
    });
    for dev in devices {
        PLOTS.with(|plots| plots.is_busy = true);
        let bytes = copy(dev);
        PLOTS.with(|plots| plots.is_busy = false);
        match bytes {
            Some(bytes) => show(dev, &bytes),
            // It will be shown when the page or the device ends, from the device's own file.
            None => PLOTS.with(|plots| plots.has_new = false),
        }
    }
}

/// Draws the device's page again on a device that writes to memory.
fn copy(dev: pDevDesc) -> Option<Vec<u8>> {
    // SAFETY: a new descriptor, or -1.
    let fd = unsafe { libc::memfd_create(c"plot".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return None;
    }
    // SAFETY: the descriptor is new and nobody else's.
    let mut file = unsafe { std::fs::File::from_raw_fd(fd) };
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: the device is open, else it would not be in the list.
    let (from, before) = unsafe {
        (
            libR_sys::GEdeviceNumber(libR_sys::Rf_desc2GEDesc(dev)),
            libR_sys::Rf_curDevice(),
        )
    };
    let plain = plain(dev)?;
    if PLOTS.with(|plots| plots.device(dev).is_none()) || !is_recorded(dev) {
        return None;
    }
    let (width, height, points) = (plain.right, plain.bottom, plain.startps);
    // SAFETY: R's own way of `dev.copy()`; every value is protected until it is used.
    let opened = rapi::at_top_level(|| unsafe {
        let call = libR_sys::Rf_protect(libR_sys::Rf_lang5(
            rapi::symbol(c"copy"),
            libR_sys::Rf_protect(rapi::string(&path)),
            libR_sys::Rf_protect(libR_sys::Rf_ScalarReal(width)),
            libR_sys::Rf_protect(libR_sys::Rf_ScalarReal(height)),
            libR_sys::Rf_protect(libR_sys::Rf_ScalarReal(points)),
        ));
        ffi::Rf_eval(call, bootstrap::own());
        libR_sys::Rf_unprotect(5);
        libR_sys::Rf_curDevice()
    });
    let drawn = opened.and_then(|_| {
        // SAFETY: copies to the current device, which is the new one.
        rapi::at_top_level(|| unsafe { libR_sys::GEcopyDisplayList(from) })
    });
    // SAFETY: closes the new device, whatever became of it, and makes the former one current again.
    rapi::at_top_level(|| unsafe {
        if let Some(opened) = opened {
            libR_sys::GEkillDevice(libR_sys::GEgetDevice(opened));
        }
        libR_sys::Rf_selectDevice(before);
    });
    drawn?;
    let mut bytes = Vec::new();
    file.rewind().ok()?;
    file.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The display list holds what is on the page; the user may have turned it off.
fn is_recorded(dev: pDevDesc) -> bool {
    // SAFETY: the device is open.
    unsafe { (*libR_sys::Rf_desc2GEDesc(dev)).displayListOn == Rboolean::TRUE }
}

/// Removes what the devices left on the disk.
pub(crate) fn remove_files() {
    if child::in_child() {
        return;
    }
    if let Some(dir) = PLOTS.with(|plots| plots.dir.take()) {
        // Nothing can be done about a directory that cannot be removed.
        let _ = std::fs::remove_dir_all(dir);
    }
}
