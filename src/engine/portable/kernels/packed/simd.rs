//! The kernel: a block of rows times one panel, in the widest registers that the processor has.

/// Columns that a panel makes.
pub const PANEL: usize = 32;

/// Rows of a block at most.
pub const ROWS: usize = 12;

/// Which instructions are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "none are known here")
)]
pub enum Kernel {
    Avx512,
    Avx2,
}

/// Rows of the left operand, turned: `[k, rows]`.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    pub values: &'a [f32],
    /// At most [`ROWS`].
    pub rows: usize,
}

impl Kernel {
    /// Those that this processor has.
    pub fn all() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let avx2 = has!("avx2") && has!("fma") && has!("f16c");
            let avx512 = has!("avx512f") && avx2;
            let known = [(Self::Avx512, avx512), (Self::Avx2, avx2)];
            let there = known.into_iter().filter(|(_, there)| *there);
            there.map(|(kernel, _)| kernel).collect()
        }
        #[cfg(not(target_arch = "x86_64"))]
        Vec::new()
    }

    /// The fastest of them.
    pub fn best() -> Option<Self> {
        static BEST: std::sync::OnceLock<Option<Kernel>> = std::sync::OnceLock::new();
        *BEST.get_or_init(|| Self::all().first().copied())
    }

    /// The product of `x` with a panel in f32: `rows` lines of `y`.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(unused_variables, reason = "no kernel is known here")
    )]
    pub fn full(self, x: Block, panel: &[f32], y: &mut [f32; ROWS * PANEL]) {
        check(x, panel.len());
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a kernel exists only where its instructions do, and the lengths were checked.
        unsafe {
            match self {
                Self::Avx512 => x86::full_512(x, panel.as_ptr(), y.as_mut_ptr()),
                Self::Avx2 => x86::full_256(x, panel.as_ptr(), y.as_mut_ptr()),
            }
        }
    }

    /// The same with a panel in fp16, by its bits.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(unused_variables, reason = "no kernel is known here")
    )]
    pub fn half(self, x: Block, panel: &[u16], y: &mut [f32; ROWS * PANEL]) {
        check(x, panel.len());
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as in `full`.
        unsafe {
            match self {
                Self::Avx512 => x86::half_512(x, panel.as_ptr(), y.as_mut_ptr()),
                Self::Avx2 => x86::half_256(x, panel.as_ptr(), y.as_mut_ptr()),
            }
        }
    }
}

/// Panics unless `x` and `panel` have as many lines.
fn check(x: Block, panel: usize) {
    assert!(x.rows <= ROWS && x.values.len() * PANEL == panel * x.rows);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m512, _mm_loadu_si128, _mm256_cvtph_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
        _mm256_loadu_si256, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps, _mm512_cvtph_ps,
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    };

    use super::{Block, PANEL};

    /// A kernel for one width of registers and one type of panel. Two registers of columns at a time
    /// leave as many sums as registers allow; rows are taken in the numbers listed.
    macro_rules! kernel {
        ($name:ident, $features:literal, $vector:ty, $lanes:literal, [$($rows:literal),*], $element:ty,
         $load:expr, $zero:ident, $splat:ident, $fma:ident, $store:ident) => {
            /// # Safety
            /// The processor has the features; `w` has `PANEL` elements for each of the `k` lines of
            /// `x`; `y` has room for `x.rows` lines of `PANEL`.
            #[target_feature(enable = $features)]
            pub unsafe fn $name(x: Block, w: *const $element, y: *mut f32) {
                /// `R` rows by two registers.
                #[target_feature(enable = $features)]
                #[inline]
                unsafe fn tile<const R: usize>(
                    (mut x, step, k): (*const f32, usize, usize),
                    mut w: *const $element,
                    y: *mut f32,
                ) {
                    let mut sums: [[$vector; 2]; R] = [[$zero(); 2]; R];
                    for _ in 0..k {
                        // SAFETY: each turn reads one line of `x` and one of `w`, of which there are k.
                        unsafe {
                            let (low, high) = (($load)(w), ($load)(w.add($lanes)));
                            for (r, sum) in sums.iter_mut().enumerate() {
                                let value = $splat(*x.add(r));
                                sum[0] = $fma(value, low, sum[0]);
                                sum[1] = $fma(value, high, sum[1]);
                            }
                            x = x.wrapping_add(step);
                            w = w.wrapping_add(PANEL);
                        }
                    }
                    for (r, [low, high]) in sums.into_iter().enumerate() {
                        // SAFETY: `y` has a line for each row.
                        unsafe {
                            $store(y.add(r * PANEL), low);
                            $store(y.add(r * PANEL + $lanes), high);
                        }
                    }
                }
                let k = x.values.len() / x.rows.max(1);
                let mut row = 0;
                while row < x.rows {
                    let left = x.rows - row;
                    $(if left >= $rows {
                        for column in (0..PANEL).step_by(2 * $lanes) {
                            // SAFETY: `row + R` is at most `rows`, `column + 2 · lanes` at most PANEL.
                            unsafe {
                                let from = (x.values.as_ptr().add(row), x.rows, k);
                                tile::<$rows>(from, w.add(column), y.add(row * PANEL + column));
                            }
                        }
                        row += $rows;
                        continue;
                    })*
                }
            }
        };
    }

    kernel!(
        full_512,
        "avx512f",
        __m512,
        16,
        [12, 8, 4, 2, 1],
        f32,
        |w| _mm512_loadu_ps(w),
        _mm512_setzero_ps,
        _mm512_set1_ps,
        _mm512_fmadd_ps,
        _mm512_storeu_ps
    );
    kernel!(
        half_512,
        "avx512f,avx2,f16c",
        __m512,
        16,
        [12, 8, 4, 2, 1],
        u16,
        |w: *const u16| _mm512_cvtph_ps(_mm256_loadu_si256(w.cast())),
        _mm512_setzero_ps,
        _mm512_set1_ps,
        _mm512_fmadd_ps,
        _mm512_storeu_ps
    );
    kernel!(
        full_256,
        "avx2,fma",
        __m256,
        8,
        [6, 4, 2, 1],
        f32,
        |w| _mm256_loadu_ps(w),
        _mm256_setzero_ps,
        _mm256_set1_ps,
        _mm256_fmadd_ps,
        _mm256_storeu_ps
    );
    kernel!(
        half_256,
        "avx2,fma,f16c",
        __m256,
        8,
        [6, 4, 2, 1],
        u16,
        |w: *const u16| _mm256_cvtph_ps(_mm_loadu_si128(w.cast())),
        _mm256_setzero_ps,
        _mm256_set1_ps,
        _mm256_fmadd_ps,
        _mm256_storeu_ps
    );
}
