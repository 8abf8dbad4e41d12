//! What an executable says of the libraries it needs, read from its dynamic section alone.

use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::read::{ReadCache, ReadRef};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The part of an executable that matters here.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Executable {
    /// The shared libraries that it needs, by name or, as in python-build-standalone, by path.
    pub needed: Vec<String>,
    /// `DT_RPATH`, which is searched before `LD_LIBRARY_PATH`; empty when there is a `DT_RUNPATH`.
    pub rpath: Vec<PathBuf>,
    /// `DT_RUNPATH`, which is searched after it.
    pub runpath: Vec<PathBuf>,
    /// It exports CPython's main function.
    pub exports_python: bool,
    /// It exports what only a free-threaded CPython has.
    pub exports_free_threaded: bool,
}

/// Reads an executable; None if it is not a 64-bit ELF file with a dynamic section.
pub fn read(path: &Path) -> io::Result<Option<Executable>> {
    let cache = ReadCache::new(File::open(path)?);
    Ok(read_dynamic(&cache, path.parent().unwrap_or(path)))
}

fn read_dynamic<'a, R: ReadRef<'a>>(data: R, origin: &Path) -> Option<Executable> {
    let header = FileHeader64::<Endianness>::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, data).ok()?;
    let entries = segments.iter().find_map(|segment| segment.dynamic(endian, data).ok().flatten())?;
    let value = |tag| entries.iter().find(|entry| entry.d_tag(endian) == tag).map(|entry| entry.d_val(endian));

    // The table is named by its address; the segment that is loaded there says where it lies in the file.
    let (address, size) = (value(elf::DT_STRTAB)?, value(elf::DT_STRSZ)?);
    let offset = segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD).find_map(|segment| {
        let into = address.checked_sub(segment.p_vaddr(endian))?;
        (into < segment.p_filesz(endian)).then(|| segment.p_offset(endian) + into)
    })?;
    let strings = data.read_bytes_at(offset, size).ok()?;
    let string = |at: u64| {
        let rest = strings.get(usize::try_from(at).ok()?..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(&rest[..end]).ok()
    };
    let origin = origin.to_string_lossy();
    let expanded = |text: &str| text.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin);
    let folders = |tag| -> Vec<PathBuf> {
        let list = value(tag).and_then(string).unwrap_or_default();
        list.split(':').filter(|part| !part.is_empty()).map(|part| expanded(part).into()).collect()
    };
    let runpath = folders(elf::DT_RUNPATH);
    Some(Executable {
        needed: entries
            .iter()
            .filter(|entry| entry.d_tag(endian) == elf::DT_NEEDED)
            .filter_map(|entry| string(entry.d_val(endian)).map(expanded))
            .collect(),
        rpath: if runpath.is_empty() { folders(elf::DT_RPATH) } else { Vec::new() },
        runpath,
        exports_python: names(strings, b"\0Py_BytesMain\0"),
        exports_free_threaded: names(strings, b"\0_Py_DecRefShared\0"),
    })
}

/// Whether the table holds this name. Linkers share tails of names only, never what comes after a NUL.
fn names(strings: &[u8], name: &[u8]) -> bool {
    memchr::memmem::find(strings, name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_itself_needs_libc() {
        let read = read(&std::env::current_exe().unwrap()).unwrap().unwrap();
        assert!(read.needed.iter().any(|name| name.starts_with("libc.so")), "{read:?}");
        assert!(!read.exports_python);
    }

    #[test]
    fn what_is_no_executable_is_none() {
        assert_eq!(read(Path::new("/etc/passwd")).unwrap(), None);
        assert_eq!(read(Path::new("/dev/null")).unwrap(), None);
        assert!(read(Path::new("/no/such/file")).is_err());
    }

    #[test]
    fn names_are_whole() {
        assert!(names(b"\0a\0Py_BytesMain\0b\0", b"\0Py_BytesMain\0"));
        assert!(!names(b"\0a\0Py_BytesMainX\0", b"\0Py_BytesMain\0"));
        assert!(!names(b"\0_Py_BytesMain\0", b"\0Py_BytesMain\0"));
    }
}
