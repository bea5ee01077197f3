//! What crosses the exports, as it lies in memory: the component model's canonical ABI.
//!
//! A record of the contract is a `repr(C)` struct here (`records`), a variant a `repr(C, u8)` enum, a list an address and a
//! length. So the compiler lays them out, and what takes them in and hands them over is in a component once. wit-bindgen,
//! which makes the imports, writes all of it again for each export: 36 KB of every component.
//!
//! Invariants: what comes in was allocated for this call by `cabi_realloc`, which is the allocator of Rust, and is ours from
//! then on. What was answered stays where it is until the next call begins, when the host has long read it: a component
//! is never entered while it runs. Whether names and parameters fit the contract is checked when a component is encoded.
#![expect(unsafe_code, reason = "the host hands over addresses")]

use std::{
    any::Any,
    cell::RefCell,
    mem::{self, ManuallyDrop},
};

/// A list, which owns its items.
#[derive(Debug)]
#[repr(C)]
pub struct List<T> {
    start: *mut T,
    length: usize,
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        let items = Box::leak(items.into_boxed_slice());
        Self { start: items.as_mut_ptr(), length: items.len() }
    }
}

impl<T> From<List<T>> for Vec<T> {
    fn from(list: List<T>) -> Self {
        let list = ManuallyDrop::new(list);
        // SAFETY: `start` and `length` are of a boxed slice: the one above, or one that the host allocated through
        // `cabi_realloc`, of exactly so many items; and the list is not used again.
        unsafe { Self::from_raw_parts(list.start, list.length, list.length) }
    }
}

impl<T> Drop for List<T> {
    fn drop(&mut self) {
        // SAFETY: as above.
        drop(unsafe { Vec::from_raw_parts(self.start, self.length, self.length) });
    }
}

/// A string.
#[derive(Debug)]
#[repr(transparent)]
pub struct Text(List<u8>);

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        // SAFETY: the component model lets nothing but UTF-8 pass where the contract says `string`.
        unsafe { Self::from_utf8_unchecked(text.0.into()) }
    }
}

/// An `option`.
#[derive(Debug)]
#[repr(C, u8)]
pub enum Maybe<T> {
    Absent,
    Present(T),
}

impl<T> From<Option<T>> for Maybe<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Self::Present)
    }
}

impl From<Maybe<Text>> for Option<String> {
    fn from(text: Maybe<Text>) -> Self {
        match text {
            Maybe::Absent => None,
            Maybe::Present(text) => Some(text.into()),
        }
    }
}

/// `result<T, E>`.
#[derive(Debug)]
#[repr(C, u8)]
pub enum Answer<T, E> {
    Done(T),
    Failed(E),
}

/// What up to sixteen numbers stand for: they are handed over one by one, and are in this order what lies in memory where
/// there are more of them.
///
/// # Safety
/// They are what the host has lowered a `T` to, and are not used again.
pub unsafe fn of_words<const N: usize, T>(words: [usize; N]) -> T {
    const { assert!(size_of::<[usize; N]>() == size_of::<T>(), "a word too many or too few") };
    // SAFETY: the caller's; there are as many bytes.
    unsafe { mem::transmute_copy(&words) }
}

/// What lies at a place, which is then freed.
///
/// # Safety
/// The host has allocated the place for a `T` and has lowered one there; it is not used again.
pub unsafe fn at_place<T>(place: *mut T) -> T {
    // SAFETY: the caller's.
    *unsafe { Box::from_raw(place) }
}

thread_local! {
    /// What was answered last.
    static ANSWERED: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// Says where an answer lies, and keeps it there.
pub(super) fn kept<T: 'static>(answer: T) -> *const () {
    let answer = Box::new(answer);
    let place = (&raw const *answer).cast();
    ANSWERED.replace(Some(answer));
    place
}

/// Frees what was answered last.
pub(super) fn forget() {
    drop(ANSWERED.take());
}
