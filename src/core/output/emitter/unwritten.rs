//! Bytes that can be read after a fault: memory that never moves while it is in use, and one word that names which of it counts.
//!
//! One thread at a time appends and takes away, under the emitter's lock. The word is stored after the bytes that it speaks
//! of, so that whoever reads it finds whole pieces at any moment, also when the thread that appends will never come back.
//! What no longer fits goes to a larger mapping. Mappings are kept once they are made, so an address that was read stays one.

#![expect(unsafe_code, reason = "mappings that are read by address after a fault")]

use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::*};

/// So many sizes there are, each four times the one before it.
const SIZES: usize = 7;
/// No mapping is larger: an offset has 30 bits.
const MOST: usize = (1 << 30) - (1 << 20);
/// What begins further from the beginning than this, and than its own length, is moved there.
const FAR: usize = 256 << 10;
/// The memory of a mapping beyond this is given back when nothing is in it.
const KEPT: usize = 2 << 20;

/// The part that others may read.
#[derive(Debug)]
pub(crate) struct Published {
    maps: [AtomicPtr<u8>; SIZES],
    /// Size of the smallest mapping.
    base: usize,
    /// From the lowest bit: whether a message is open at the end (1), which mapping (3), where it ends (30) and begins (30).
    word: AtomicU64,
}

// What the word says.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    map: usize,
    start: usize,
    end: usize,
    is_open: bool,
}

impl Place {
    fn word(self) -> u64 {
        (self.start as u64) << 34 | (self.end as u64) << 4 | (self.map as u64) << 1 | u64::from(self.is_open)
    }

    fn of(word: u64) -> Place {
        let offset = |shift: u32| (word >> shift) as usize & ((1 << 30) - 1);
        Place { map: (word >> 1) as usize & 7, start: offset(34), end: offset(4), is_open: word & 1 == 1 }
    }
}

impl Published {
    fn size(&self, map: usize) -> usize {
        (self.base << (2 * map)).min(MOST)
    }

    /// Address and length of the bytes, and whether a message is open at their end. Allocates nothing and takes no lock. The
    /// address stays mapped as long as this lives; the bytes are what they were as long as nobody appends or takes away.
    pub fn look(&self) -> (*const u8, usize, bool) {
        let place = Place::of(self.word.load(Acquire));
        let base = self.maps[place.map].load(Acquire).cast_const();
        (base.wrapping_add(place.start), place.end - place.start, place.is_open)
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        for (number, map) in self.maps.iter().enumerate() {
            let map = map.load(Relaxed);
            if !map.is_null() {
                // SAFETY: it was mapped with this size, and nobody has this any more.
                unsafe { libc::munmap(map.cast(), self.size(number)) };
            }
        }
    }
}

/// The one handle that changes what is published.
#[derive(Debug)]
pub(crate) struct Unwritten {
    published: Arc<Published>,
    base: *mut u8,
    size: usize,
    place: Place,
}

// SAFETY: the mappings belong to no thread.
unsafe impl Send for Unwritten {}

impl Unwritten {
    /// Nothing, with room for `base` bytes.
    pub fn new(base: usize) -> Self {
        let published = Arc::new(Published { maps: Default::default(), base, word: AtomicU64::new(0) });
        let mut unwritten = Unwritten { published, base: std::ptr::null_mut(), size: 0, place: Place::default() };
        unwritten.enter(0);
        unwritten
    }

    pub fn published(&self) -> Arc<Published> {
        self.published.clone()
    }

    pub fn len(&self) -> usize {
        self.place.end - self.place.start
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: these bytes were written by `append` and lie in the mapping; only `&mut self` changes them.
        unsafe { std::slice::from_raw_parts(self.base.add(self.place.start), self.len()) }
    }

    /// Appends at most `most` bytes, which `write` puts into the room that it is given; it tells how many they were, and
    /// whether they leave a message open.
    #[inline]
    pub fn append(&mut self, most: usize, write: impl FnOnce(&mut [u8]) -> (usize, bool)) -> usize {
        if self.size - self.place.end < most {
            self.make_room(most);
        }
        // SAFETY: there is room for so much behind the end, and nobody reads there.
        let room = unsafe { std::slice::from_raw_parts_mut(self.base.add(self.place.end), most) };
        let (len, is_open) = write(room);
        self.place.end += len.min(most);
        self.place.is_open = is_open;
        self.publish();
        len
    }

    /// Appends bytes that leave no message open.
    pub fn append_all(&mut self, bytes: &[u8]) {
        self.append(bytes.len(), |room| {
            room.copy_from_slice(bytes);
            (bytes.len(), false)
        });
    }

    /// Takes away from the beginning.
    pub fn take(&mut self, len: usize) {
        self.place.start += len.min(self.len());
        if self.is_empty() {
            self.clear();
        } else if self.place.start >= self.len().max(FAR) {
            // Near the beginning is where the processor's cache knows its way.
            self.move_to(self.place.map);
        } else {
            self.publish();
        }
    }

    /// Takes everything away.
    pub fn clear(&mut self) {
        if self.place.end > KEPT || self.place.map != 0 {
            self.publish_place(Place { start: 0, end: 0, ..self.place });
            // SAFETY: nothing counts in this mapping, which stays: what is read of it is zeros from now on.
            unsafe { libc::madvise(self.base.cast(), self.size, libc::MADV_DONTNEED) };
            self.enter(0);
        }
        self.publish_place(Place { map: 0, ..Place::default() });
    }

    fn publish(&self) {
        self.published.word.store(self.place.word(), Release);
    }

    fn publish_place(&mut self, place: Place) {
        self.place = place;
        self.publish();
    }

    /// The mapping to write to is this one from now on.
    fn enter(&mut self, map: usize) {
        let size = self.published.size(map);
        let mut base = self.published.maps[map].load(Relaxed);
        if base.is_null() {
            base = map_memory(size);
            self.published.maps[map].store(base, Release);
        }
        (self.base, self.size) = (base, size);
    }

    /// Sees to it that `most` more bytes fit.
    #[cold]
    fn make_room(&mut self, most: usize) {
        let len = self.len();
        let fits_before = self.place.start >= len && self.size - len >= most;
        self.move_to(if fits_before { self.place.map } else { self.larger(len + most) });
    }

    /// Moves what there is to the beginning of this mapping. The old place counts until all is copied.
    fn move_to(&mut self, map: usize) {
        let (was, len, old) = (self.place, self.len(), self.base);
        assert!(map != was.map || was.start >= len, "the two places overlap");
        if map != was.map {
            self.enter(map);
        }
        // SAFETY: both places lie in mappings, and do not overlap: what moves within one moves by at least its length.
        unsafe { std::ptr::copy_nonoverlapping(old.add(was.start), self.base, len) };
        self.publish_place(Place { map, start: 0, end: len, ..was });
        if map != was.map {
            // SAFETY: nothing counts in the old mapping, which stays.
            unsafe { libc::madvise(old.cast(), self.published.size(was.map), libc::MADV_DONTNEED) };
        }
    }

    fn larger(&self, size: usize) -> usize {
        let map = (self.place.map + 1..SIZES).find(|&map| self.published.size(map) >= size);
        map.unwrap_or_else(|| panic!("{size} bytes wait for the supervisor: there is no room for more"))
    }
}

fn map_memory(size: usize) -> *mut u8 {
    // SAFETY: a fresh mapping of our own.
    let base = unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        libc::mmap(std::ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
    };
    assert!(base != libc::MAP_FAILED, "no memory for what is to be said: {}", std::io::Error::last_os_error());
    base.cast()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn append(unwritten: &mut Unwritten, bytes: &[u8], is_open: bool) {
        unwritten.append(bytes.len(), |room| {
            room.copy_from_slice(bytes);
            (bytes.len(), is_open)
        });
    }

    fn seen(published: &Published) -> (Vec<u8>, bool) {
        let (start, len, is_open) = published.look();
        // SAFETY: nobody appends meanwhile.
        (unsafe { std::slice::from_raw_parts(start, len) }.to_vec(), is_open)
    }

    #[test]
    fn c5_what_is_appended_is_published_at_once_with_what_is_open() {
        let mut unwritten = Unwritten::new(1 << 16);
        let published = unwritten.published();
        append(&mut unwritten, b"one", true);
        assert_eq!(seen(&published), (b"one".to_vec(), true));
        append(&mut unwritten, b"two", false);
        assert_eq!(seen(&published), (b"onetwo".to_vec(), false));
        unwritten.take(4);
        assert_eq!(seen(&published), (b"wo".to_vec(), false));
        unwritten.take(2);
        assert_eq!(seen(&published), (Vec::new(), false));
    }

    #[test]
    fn c5_an_address_that_was_read_stays_readable() {
        let mut unwritten = Unwritten::new(1 << 16);
        let published = unwritten.published();
        append(&mut unwritten, b"first", false);
        let (first, len, _) = published.look();
        for _ in 0..100 {
            append(&mut unwritten, &[b'x'; 50_000], false);
        }
        unwritten.clear();
        // SAFETY: mappings stay as long as `published` does; this one holds zeros.
        assert_eq!(unsafe { std::slice::from_raw_parts(first, len) }.len(), 5);
        append(&mut unwritten, b"again", false);
        assert_eq!(seen(&published).0, b"again");
        assert_eq!(published.look().0, first);
    }

    #[test]
    fn c5_a_reader_without_the_lock_never_sees_half_a_piece() {
        let mut unwritten = Unwritten::new(1 << 12);
        let published = unwritten.published();
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(SeqCst) {
                    // What the bytes are is only known when nobody appends; where they are must always hold.
                    let (start, len, _) = published.look();
                    assert!(!start.is_null() && len % 7 == 0 && len <= MOST);
                }
            });
            for round in 0..20_000 {
                append(&mut unwritten, &b"seven..".repeat(round % 300), false);
                if round % 3 == 0 {
                    unwritten.take(unwritten.len() / 14 * 7);
                }
            }
            is_over.store(true, SeqCst);
        });
    }

    proptest! {
        #[test]
        fn c5_whatever_is_appended_and_taken_is_what_is_left(steps: Vec<(u16, u16)>) {
            let mut unwritten = Unwritten::new(1 << 12);
            let published = unwritten.published();
            let mut model = VecDeque::new();
            for (number, (more, less)) in steps.into_iter().enumerate() {
                let bytes: Vec<u8> = (0..more).map(|at| (at as usize + number) as u8).collect();
                append(&mut unwritten, &bytes, number % 2 == 0);
                model.extend(bytes);
                let less = usize::from(less).min(model.len());
                unwritten.take(less);
                model.drain(..less);
                prop_assert_eq!(unwritten.bytes(), model.make_contiguous() as &[u8]);
                prop_assert_eq!(seen(&published).0, model.make_contiguous() as &[u8]);
            }
        }
    }
}
