//! The pages of the session's own device, which is opened when something is drawn and no device is open.
//!
//! The device is R's own cairo PNG device with its callbacks wrapped, so that we know when something is drawn. A page that
//! ends is written by the device itself; one that may still grow is copied to a second device from the display list, and
//! what is added to it later is an update of the same picture.

#![expect(unsafe_code, reason = "wraps the callbacks of one of R's graphics devices")]

use crate::libr::{DevDesc, SEXP, pDevDesc};
use crate::runtime::{api, thread::RThread};
use std::ffi::CString;
use std::path::PathBuf;
use worker_core::process::fork;

/// A device of ours and its current page.
pub(crate) struct Device {
    /// The device as R knows it.
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

/// The devices of the session.
pub(crate) struct Plots {
    /// Those that are open.
    pub devices: Vec<Device>,
    /// How many pages were begun.
    pub pages: u32,
    /// How many devices were opened.
    pub opened: u32,
    /// Where the devices write their files.
    pub dir: Option<PathBuf>,
    /// The path that [`next_file`] gave last: kept here, since R may jump while it copies it.
    next_file: String,
    /// A copy is being drawn: what R prints meanwhile must not start another.
    pub is_busy: bool,
    /// Some page has changed and was never shown.
    pub has_new: bool,
    /// Some page has changed.
    pub has_changes: bool,
}

/// The devices of the session; see [`RThread::with`].
pub(crate) static PLOTS: RThread<Plots> = RThread::new(Plots {
    devices: Vec::new(),
    pages: 0,
    opened: 0,
    dir: None,
    next_file: String::new(),
    is_busy: false,
    has_new: false,
    has_changes: false,
});

impl Plots {
    /// The device that R knows as `dev`; none if it is not one of ours.
    pub fn device(&mut self, dev: pDevDesc) -> Option<&mut Device> {
        self.devices.iter_mut().find(|device| device.dev == dev)
    }

    /// Computes `has_changes` and `has_new` anew.
    pub fn update_flags(&mut self) {
        self.has_changes = self.devices.iter().any(|device| device.is_changed);
        self.has_new = self.devices.iter().any(|device| device.is_changed && !device.is_shown);
    }

    /// The path of the file with this number of the device with that number.
    pub fn file(&self, number: u32, file: u32) -> Option<PathBuf> {
        Some(self.dir.as_ref()?.join(format!("{number}-{file}.png")))
    }
}

/// A path with a place for the page's number, for the next device that is opened. Called by `bootstrap.R`.
pub(crate) unsafe extern "C-unwind" fn next_file() -> SEXP {
    let (pointer, length) = PLOTS.with(|plots| {
        plots.opened += 1;
        if plots.dir.as_ref().is_none_or(|dir| !dir.is_dir()) {
            plots.dir = make_dir();
        }
        let name = format!("{}-%d.png", plots.opened);
        plots.next_file = match &plots.dir {
            Some(dir) => dir.join(name).to_string_lossy().into_owned(),
            None => "Rplot%03d.png".to_owned(),
        };
        (plots.next_file.as_ptr(), plots.next_file.len())
    });
    // SAFETY: the string stays where it is until this is called again. R copies it, and may jump then.
    api::string(unsafe { std::str::from_utf8_unchecked(std::slice::from_raw_parts(pointer, length)) })
}

/// Makes the directory for the files; none when that fails.
fn make_dir() -> Option<PathBuf> {
    let template = std::env::temp_dir().join("worker-plots-XXXXXX");
    let template = CString::new(template.to_str()?).ok()?.into_raw();
    // SAFETY: the template is a writable C string that is taken back below.
    let (made, template) = unsafe { (libc::mkdtemp(template), CString::from_raw(template)) };
    (!made.is_null()).then(|| PathBuf::from(template.to_string_lossy().into_owned()))
}

/// Removes what the devices left on the disk.
pub(crate) fn remove_files() {
    if fork::in_child() {
        return;
    }
    if let Some(dir) = PLOTS.with(|plots| plots.dir.take()) {
        // Nothing can be done about a directory that cannot be removed.
        let _ = std::fs::remove_dir_all(dir);
    }
}

/// The callbacks that a device of ours came with.
pub(crate) fn plain(dev: pDevDesc) -> Option<&'static DevDesc> {
    PLOTS.with(|plots| {
        let plain = &raw const *plots.device(dev)?.plain;
        // SAFETY: the copy is in a box, which stays until the device is closed; a callback uses it only until it returns.
        Some(unsafe { &*plain })
    })
}
