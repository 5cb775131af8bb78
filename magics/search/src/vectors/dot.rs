//! Dot products of one query with many rows: AVX-512, AVX2 or portable, chosen at run time.
#![expect(
    unsafe_code,
    reason = "vector instructions need target features and raw loads"
)]

/// Floats that a row is padded to a multiple of.
pub(super) const FLOATS: usize = 32;
/// Bytes that a row of codes is padded to a multiple of.
pub(super) const CODES: usize = 64;

/// Writes the dot product of `query` with each row: `rows` has `out.len()` rows as long as `query`.
///
/// Sums run in 32 lanes and fold in a fixed order, so both instruction sets give the same bits.
pub(super) fn floats(query: &[f32], rows: &[f32], out: &mut [f32]) {
    debug_assert_eq!(query.len() % FLOATS, 0);
    assert_eq!(
        rows.len(),
        query.len() * out.len(),
        "rows and query differ in length"
    );
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the feature was just found on this processor.
            return unsafe { x86::floats_avx512(query, rows, out) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the features were just found on this processor.
            return unsafe { x86::floats_avx2(query, rows, out) };
        }
    }
    portable::floats(query, rows, out);
}

/// Writes the sum of `query[i] * row[i]` for each row of codes: `rows` has `out.len()` rows as long as `query`.
pub(super) fn codes(query: &[i8], rows: &[u8], out: &mut [i32]) {
    debug_assert_eq!(query.len() % CODES, 0);
    assert_eq!(
        rows.len(),
        query.len() * out.len(),
        "rows and query differ in length"
    );
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vnni") {
            // SAFETY: the features were just found on this processor.
            return unsafe { x86::codes_vnni(query, rows, out) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the feature was just found on this processor.
            return unsafe { x86::codes_avx2(query, rows, out) };
        }
    }
    portable::codes(query, rows, out);
}

/// Writes the sum of `query[i] * row[i]` for the rows of codes at `places`, each of which must be a row of `rows`.
///
/// Rows are fetched ahead: where they lie far apart, waiting for memory is all that takes time.
pub(super) fn codes_at(query: &[i8], rows: &[u8], places: &[u32], out: &mut [i32]) {
    debug_assert_eq!(query.len() % CODES, 0);
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vnni") {
            // SAFETY: the features were just found on this processor.
            return unsafe { x86::codes_at_vnni(query, rows, places, out) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the feature was just found on this processor.
            return unsafe { x86::codes_at_avx2(query, rows, places, out) };
        }
    }
    for (&place, out) in places.iter().zip(out) {
        portable::codes(
            query,
            row(rows, place, query.len()),
            std::slice::from_mut(out),
        );
    }
}

/// Asks for memory that will soon be read.
#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(unused_variables, reason = "there is no such instruction")
)]
pub(super) fn fetch<T>(memory: &[T]) {
    #[cfg(target_arch = "x86_64")]
    x86::fetch(memory);
}

fn row(rows: &[u8], place: u32, len: usize) -> &[u8] {
    &rows[place as usize * len..][..len]
}

mod portable {
    pub(super) fn floats(query: &[f32], rows: &[f32], out: &mut [f32]) {
        for (row, out) in rows.chunks_exact(query.len().max(1)).zip(out) {
            let mut lanes = [0.0_f32; 32];
            for (q, x) in query.chunks_exact(32).zip(row.chunks_exact(32)) {
                for ((lane, q), x) in lanes.iter_mut().zip(q).zip(x) {
                    *lane += q * x;
                }
            }
            *out = fold(lanes);
        }
    }

    /// Folds halves onto each other.
    fn fold(mut lanes: [f32; 32]) -> f32 {
        let mut half = 16;
        while half > 0 {
            for i in 0..half {
                lanes[i] += lanes[i + half];
            }
            half /= 2;
        }
        lanes[0]
    }

    pub(super) fn codes(query: &[i8], rows: &[u8], out: &mut [i32]) {
        for (row, out) in rows.chunks_exact(query.len().max(1)).zip(out) {
            *out = query
                .iter()
                .zip(row)
                .map(|(&q, &x)| i32::from(q) * i32::from(x))
                .sum();
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    /// Rows that are on their way from memory while one is summed.
    const AHEAD: usize = 4;

    use std::arch::x86_64::{
        __m256, _MM_HINT_T0, _mm_add_epi32, _mm_add_ps, _mm_add_ss, _mm_cvtsi128_si32,
        _mm_cvtss_f32, _mm_loadu_si128, _mm_movehl_ps, _mm_prefetch, _mm_shuffle_epi32,
        _mm_shuffle_ps, _mm256_add_epi32, _mm256_add_ps, _mm256_castps256_ps128,
        _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_cvtepu8_epi16, _mm256_extractf128_ps,
        _mm256_extracti128_si256, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_madd_epi16,
        _mm256_setzero_ps, _mm256_setzero_si256, _mm512_add_ps, _mm512_castps512_ps256,
        _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512,
        _mm512_reduce_add_epi32, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_shuffle_f32x4,
    };

    #[target_feature(enable = "avx512f")]
    pub(super) fn floats_avx512(query: &[f32], rows: &[f32], out: &mut [f32]) {
        for (row, out) in rows.chunks_exact(query.len().max(1)).zip(out) {
            let (mut a, mut b) = (_mm512_setzero_ps(), _mm512_setzero_ps());
            for (q, x) in query.chunks_exact(32).zip(row.chunks_exact(32)) {
                // SAFETY: both chunks hold 32 floats, and the loads need no alignment.
                unsafe {
                    let (q, x) = (q.as_ptr(), x.as_ptr());
                    a = _mm512_fmadd_ps(_mm512_loadu_ps(q), _mm512_loadu_ps(x), a);
                    b = _mm512_fmadd_ps(_mm512_loadu_ps(q.add(16)), _mm512_loadu_ps(x.add(16)), b);
                }
            }
            let sum = _mm512_add_ps(a, b);
            let high = _mm512_shuffle_f32x4::<0b01_00_11_10>(sum, sum);
            *out = fold(_mm512_castps512_ps256(_mm512_add_ps(sum, high)));
        }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn floats_avx2(query: &[f32], rows: &[f32], out: &mut [f32]) {
        for (row, out) in rows.chunks_exact(query.len().max(1)).zip(out) {
            let mut sums = [_mm256_setzero_ps(); 4];
            for (q, x) in query.chunks_exact(32).zip(row.chunks_exact(32)) {
                for (i, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: both chunks hold 32 floats, and the loads need no alignment.
                    unsafe {
                        let (q, x) = (q.as_ptr().add(8 * i), x.as_ptr().add(8 * i));
                        *sum = _mm256_fmadd_ps(_mm256_loadu_ps(q), _mm256_loadu_ps(x), *sum);
                    }
                }
            }
            let low = _mm256_add_ps(sums[0], sums[2]);
            let high = _mm256_add_ps(sums[1], sums[3]);
            *out = fold(_mm256_add_ps(low, high));
        }
    }

    /// Folds halves of eight lanes onto each other.
    #[target_feature(enable = "avx2")]
    fn fold(lanes: __m256) -> f32 {
        let four = _mm_add_ps(
            _mm256_castps256_ps128(lanes),
            _mm256_extractf128_ps::<1>(lanes),
        );
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) fn codes_vnni(query: &[i8], rows: &[u8], out: &mut [i32]) {
        for (row, out) in rows.chunks_exact(query.len().max(1)).zip(out) {
            *out = row_vnni(query, row);
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) fn codes_at_vnni(query: &[i8], rows: &[u8], places: &[u32], out: &mut [i32]) {
        let row = |place: u32| super::row(rows, place, query.len());
        places.iter().take(AHEAD).for_each(|&next| fetch(row(next)));
        for (i, (&place, out)) in places.iter().zip(out).enumerate() {
            if let Some(&next) = places.get(i + AHEAD) {
                fetch(row(next));
            }
            *out = row_vnni(query, row(place));
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn row_vnni(query: &[i8], row: &[u8]) -> i32 {
        let mut sum = _mm512_setzero_si512();
        for (q, x) in query.chunks_exact(64).zip(row.chunks_exact(64)) {
            // SAFETY: both chunks hold 64 bytes, and the loads need no alignment.
            let (q, x) = unsafe {
                (
                    _mm512_loadu_si512(q.as_ptr().cast()),
                    _mm512_loadu_si512(x.as_ptr().cast()),
                )
            };
            sum = _mm512_dpbusd_epi32(sum, x, q);
        }
        _mm512_reduce_add_epi32(sum)
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn codes_avx2(query: &[i8], rows: &[u8], out: &mut [i32]) {
        for (row, out) in rows.chunks_exact(query.len().max(1)).zip(out) {
            *out = row_avx2(query, row);
        }
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn codes_at_avx2(query: &[i8], rows: &[u8], places: &[u32], out: &mut [i32]) {
        let row = |place: u32| super::row(rows, place, query.len());
        places.iter().take(AHEAD).for_each(|&next| fetch(row(next)));
        for (i, (&place, out)) in places.iter().zip(out).enumerate() {
            if let Some(&next) = places.get(i + AHEAD) {
                fetch(row(next));
            }
            *out = row_avx2(query, row(place));
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn row_avx2(query: &[i8], row: &[u8]) -> i32 {
        let mut sum = _mm256_setzero_si256();
        for (q, x) in query.chunks_exact(16).zip(row.chunks_exact(16)) {
            // SAFETY: both chunks hold 16 bytes, and the loads need no alignment.
            let (q, x) = unsafe {
                (
                    _mm_loadu_si128(q.as_ptr().cast()),
                    _mm_loadu_si128(x.as_ptr().cast()),
                )
            };
            // Widened to 16 bits: the 8-bit multiply-add saturates.
            let products = _mm256_madd_epi16(_mm256_cvtepi8_epi16(q), _mm256_cvtepu8_epi16(x));
            sum = _mm256_add_epi32(sum, products);
        }
        let four = _mm_add_epi32(
            _mm256_castsi256_si128(sum),
            _mm256_extracti128_si256::<1>(sum),
        );
        let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
        _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<1>(two)))
    }

    /// Asks for every cache line of some memory.
    #[inline]
    pub(super) fn fetch<T>(memory: &[T]) {
        let start = memory.as_ptr().cast::<i8>();
        for at in (0..size_of_val(memory)).step_by(64) {
            // SAFETY: the address is inside the slice, and fetching reads nothing that a program could see.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(at)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(n: usize, seed: u64) -> (Vec<f32>, Vec<i8>, Vec<u8>) {
        let mut rng = fastrand::Rng::with_seed(seed);
        (
            (0..n).map(|_| rng.f32() - 0.5).collect(),
            (0..n).map(|_| rng.i8(-127..=127)).collect(),
            (0..n).map(|_| rng.u8(..)).collect(),
        )
    }

    #[test]
    fn every_instruction_set_gives_the_same_sums() {
        for len in [64, 128, 384, 768] {
            let (rows, _, row_codes) = random(len * 7, 1);
            let (query, query_codes, _) = random(len, 2);
            let (mut fast, mut slow) = ([0.0; 7], [0.0; 7]);
            floats(&query, &rows, &mut fast);
            portable::floats(&query, &rows, &mut slow);
            for (a, b) in fast.iter().zip(&slow) {
                assert!((a - b).abs() < 1e-4, "{a} {b}");
            }
            let (mut fast_codes, mut slow_codes) = ([0; 7], [0; 7]);
            codes(&query_codes, &row_codes, &mut fast_codes);
            portable::codes(&query_codes, &row_codes, &mut slow_codes);
            assert_eq!(fast_codes, slow_codes);
            let places = [3, 0, 6, 6, 1, 5, 2, 4];
            let mut gathered = [0; 8];
            codes_at(&query_codes, &row_codes, &places, &mut gathered);
            assert_eq!(gathered, places.map(|place| slow_codes[place as usize]));
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                let (mut avx2, mut avx2_codes) = ([0.0; 7], [0; 7]);
                // SAFETY: the features were just found on this processor.
                unsafe {
                    x86::floats_avx2(&query, &rows, &mut avx2);
                    x86::codes_avx2(&query_codes, &row_codes, &mut avx2_codes);
                    x86::codes_at_avx2(&query_codes, &row_codes, &places, &mut gathered);
                }
                assert_eq!(gathered, places.map(|place| slow_codes[place as usize]));
                assert_eq!(avx2.map(f32::to_bits), fast.map(f32::to_bits));
                assert_eq!(avx2_codes, slow_codes);
            }
        }
    }

    #[test]
    fn the_largest_codes_do_not_overflow() {
        let mut out = [0];
        codes(&[127; 4096], &[255; 4096], &mut out);
        assert_eq!(out, [127 * 255 * 4096]);
    }
}
