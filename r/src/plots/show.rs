//! When pictures are shown: before text that comes after them, at waits, and when a page or a cell ends.

#![expect(unsafe_code, reason = "draws a page again by R's display list")]

use super::pages::{Device, PLOTS, plain};
use crate::libr::{self, Rboolean, by_name::looked_up, pDevDesc};
use crate::runtime::{api, own::own, session};
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, FromRawFd};
use worker_core::engine::Image;
use worker_core::process::fork;

/// Says a picture of the device's page.
pub(crate) fn show(dev: pDevDesc, bytes: &[u8]) {
    let page = PLOTS.with(|plots| {
        let device = plots.device(dev)?;
        let is_update = std::mem::replace(&mut device.is_shown, true);
        device.is_changed = false;
        let page = (device.page, is_update, device.plain.right, device.plain.bottom);
        plots.update_flags();
        Some(page)
    });
    let Some((page, is_update, width, height)) = page else {
        return;
    };
    if !bytes.starts_with(b"\x89PNG") {
        return;
    }
    session::engine().image(&Image {
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

/// Shows the pages that `which` picks. Not while R collects garbage, and not in a forked child.
fn show_pages(which: impl Fn(&Device) -> bool) {
    if fork::in_child() {
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
        let bytes = api::without_interrupts(|| copy(dev));
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
    let plain = plain(dev)?;
    if PLOTS.with(|plots| plots.device(dev).is_none()) || !is_recorded(dev) {
        return None;
    }
    let (width, height, points) = (plain.right, plain.bottom, plain.startps);
    // SAFETY: R's own way of `dev.copy()`; every value is protected until it is used.
    let opened = api::at_top_level(|| unsafe {
        let call = libr::Rf_protect(libr::Rf_lang5(
            api::symbol(c"copy"),
            libr::Rf_protect(api::string(&path)),
            libr::Rf_protect(libr::Rf_ScalarReal(width)),
            libr::Rf_protect(libr::Rf_ScalarReal(height)),
            libr::Rf_protect(libr::Rf_ScalarReal(points)),
        ));
        libr::Rf_eval(call, own());
        libr::Rf_unprotect(5);
    });
    let drawn = opened.and_then(|()| {
        // SAFETY: copies to the current device, which is the new one.
        api::at_top_level(|| unsafe { libr::GEcopyDisplayList(from) })
    });
    // SAFETY: closes the new device, whatever became of it, and makes the former one current again. An error may have come after
    // it was opened.
    api::at_top_level(|| unsafe {
        let opened = libr::Rf_curDevice();
        if opened != before {
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
