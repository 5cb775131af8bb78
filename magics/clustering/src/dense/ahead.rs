//! Asks for rows before they are needed: hardware sees no further than a page.

#![expect(unsafe_code, reason = "prefetching has no safe form")]
#![expect(
    clippy::inline_always,
    reason = "a call would cost as much as the work"
)]

/// Numbers in a line of the cache.
const LINE: usize = 16;
/// Values that are fetched together, wherever they start.
pub(super) type Line = [f32; LINE];

/// The lines of some values, but for a rest.
#[inline(always)]
pub(super) fn lines(values: &[f32]) -> &[Line] {
    values.as_chunks().0
}

/// Fetches part `part` of `parts` of some values into a near cache.
#[inline(always)]
pub(super) fn fetch(values: &[f32], part: usize, parts: usize) {
    let lines = lines(values);
    let places = lines.len() * part / parts..lines.len() * (part + 1) / parts;
    for values in &lines[places] {
        line(values);
    }
}

/// Fetches one line into a near cache.
#[inline(always)]
pub(super) fn line(values: &Line) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: prefetching reads nothing that the program sees; the address is that of a live value, and SSE is part of
    // every x86-64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(values.as_ptr().cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    std::hint::black_box(values);
}
