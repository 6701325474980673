//! How near stored weights are to what they stand for.

use crate::numeric::Array;

/// Distance of stored values from those that were to be stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fidelity {
    /// The largest |w − ŵ|.
    pub max_abs: f64,
    /// ‖w − ŵ‖ / ‖w‖; 0 where both are 0.
    pub relative_rms: f64,
}

impl Fidelity {
    /// Of `stored` for `wanted`, element by element.
    pub fn of(wanted: &[f32], stored: &Array) -> Self {
        let (mut max_abs, mut error, mut norm) = (0.0f64, 0.0, 0.0);
        for (wanted, stored) in wanted.iter().zip(stored.to_f32s()) {
            let (wanted, stored) = (f64::from(*wanted), f64::from(stored));
            let off = (wanted - stored).abs();
            max_abs = max_abs.max(off);
            error += off * off;
            norm += wanted * wanted;
        }
        let relative_rms = match error > 0.0 {
            true => (error / norm).sqrt(),
            false => 0.0,
        };
        Self {
            max_abs,
            relative_rms,
        }
    }

    /// Signal-to-noise ratio in dB; infinite where nothing is lost.
    pub fn snr_db(&self) -> f64 {
        -20.0 * self.relative_rms.log10()
    }
}
