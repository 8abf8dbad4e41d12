//! Pictures: a device of the session's own, opened when something is drawn and nothing is open, and shown page by page.
//!
//! The device is R's own cairo PNG device with its callbacks wrapped, so that we know when something is drawn. A page that
//! ends is written by the device itself; one that may still grow is copied to a second device from the display list, and
//! what is added to it later is an update of the same picture.

#![expect(unsafe_code, reason = "wraps the callbacks of one of R's graphics devices")]

use crate::libr::by_name::looked_up;
use crate::libr::{self, DevDesc, Rboolean, SEXP, pDevDesc};
use crate::main_cell::MainCell;
use crate::{bootstrap, console, device, rapi};
use std::ffi::CString;
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::PathBuf;
use worker::child;
use worker::engine::Image;

/// A device of ours and its current page.
pub(crate) struct Device {
    pub dev: pDevDesc,
    /// The callbacks as the device came with them.
    pub plain: Box<DevDesc>,
    /// The page's number, counted over the session's devices; names the picture.
    pub page: u32,
    /// Something is on it.
    pub is_drawn: bool,
    /// Something was drawn since it was shown.
    pub is_changed: bool,
    /// It was shown.
    pub is_shown: bool,
    /// How many files the device has begun; it writes the last of them when the next begins, or when it is closed.
    pub files: u32,
    /// The number of the device, part of its files' names.
    pub number: u32,
}

pub(crate) struct Plots {
    pub devices: Vec<Device>,
    pub pages: u32,
    pub opened: u32,
    /// Where the devices write their files.
    pub dir: Option<PathBuf>,
    /// A copy is being drawn: what R prints meanwhile must not start another.
    pub is_busy: bool,
    /// Some page has changed and was never shown.
    pub has_new: bool,
    /// Some page has changed.
    pub has_changes: bool,
}

pub(crate) static PLOTS: MainCell<Plots> = MainCell::new(Plots {
    devices: Vec::new(),
    pages: 0,
    opened: 0,
    dir: None,
    is_busy: false,
    has_new: false,
    has_changes: false,
});

impl Plots {
    pub fn device(&mut self, dev: pDevDesc) -> Option<&mut Device> {
        self.devices.iter_mut().find(|device| device.dev == dev)
    }

    pub fn look(&mut self) {
        self.has_changes = self.devices.iter().any(|device| device.is_changed);
        self.has_new = self.devices.iter().any(|device| device.is_changed && !device.is_shown);
    }

    pub fn file(&self, number: u32, file: u32) -> Option<PathBuf> {
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
        Some(plots.dir.as_ref()?.join(format!("{}-%d.png", plots.opened)).to_string_lossy().into_owned())
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

/// Says a picture of the device's page.
pub(crate) fn show(dev: pDevDesc, bytes: &[u8]) {
    let page = PLOTS.with(|plots| {
        let device = plots.device(dev)?;
        let is_update = std::mem::replace(&mut device.is_shown, true);
        device.is_changed = false;
        let page = (device.page, is_update, device.plain.right, device.plain.bottom);
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
    // That is no moment for anything but memory.
    if looked_up().gc_is_running() {
        return;
    }
    let devices: Vec<pDevDesc> =
        PLOTS.with(|plots| plots.devices.iter().filter(|device| which(device)).map(|device| device.dev).collect());
    for dev in devices {
        PLOTS.with(|plots| plots.is_busy = true);
        let bytes = rapi::without_interrupts(|| copy(dev));
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
    let (from, before) = unsafe { (libr::GEdeviceNumber(libr::Rf_desc2GEDesc(dev)), libr::Rf_curDevice()) };
    let plain = device::plain(dev)?;
    if PLOTS.with(|plots| plots.device(dev).is_none()) || !is_recorded(dev) {
        return None;
    }
    let (width, height, points) = (plain.right, plain.bottom, plain.startps);
    // SAFETY: R's own way of `dev.copy()`; every value is protected until it is used.
    let opened = rapi::at_top_level(|| unsafe {
        let call = libr::Rf_protect(libr::Rf_lang5(
            rapi::symbol(c"copy"),
            libr::Rf_protect(rapi::string(&path)),
            libr::Rf_protect(libr::Rf_ScalarReal(width)),
            libr::Rf_protect(libr::Rf_ScalarReal(height)),
            libr::Rf_protect(libr::Rf_ScalarReal(points)),
        ));
        libr::Rf_eval(call, bootstrap::own());
        libr::Rf_unprotect(5);
        libr::Rf_curDevice()
    });
    let drawn = opened.and_then(|_| {
        // SAFETY: copies to the current device, which is the new one.
        rapi::at_top_level(|| unsafe { libr::GEcopyDisplayList(from) })
    });
    // SAFETY: closes the new device, whatever became of it, and makes the former one current again.
    rapi::at_top_level(|| unsafe {
        if let Some(opened) = opened {
            libr::GEkillDevice(libr::GEgetDevice(opened));
        }
        libr::Rf_selectDevice(before);
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
    unsafe { (*libr::Rf_desc2GEDesc(dev)).displayListOn == Rboolean::TRUE }
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
