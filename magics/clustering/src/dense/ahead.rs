//! Asks for rows before they are needed: hardware sees no further than a page.

#![expect(unsafe_code, reason = "prefetching has no safe form")]

/// Numbers in a line of the cache.
const LINE: usize = 16;

/// Fetches part `part` of `parts` of some values into a near cache.
#[expect(
    clippy::inline_always,
    reason = "a call would cost as much as the work"
)]
#[inline(always)]
pub(super) fn fetch(values: &[f32], part: usize, parts: usize) {
    let lines = values.len() / LINE;
    let places = lines * part / parts * LINE..lines * (part + 1) / parts * LINE;
    for line in values[places].as_chunks::<LINE>().0 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: prefetching reads nothing that the program sees; the address is that of a live slice, and SSE is
        // part of every x86-64.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        std::hint::black_box(line);
    }
}
