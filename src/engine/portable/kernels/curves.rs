//! A short way to write curves: settings, value, slope, and the composition for other devices.

/// `Name { setting, … } |x, y| value, slope, |tensor| composition;` defines the curve `Name`. The value
/// may use `x` and the settings as `R`, the slope also `y`, the composition the settings as `f64`; a
/// composition of `None` leaves the curve to the CPU on every device.
macro_rules! curves {
    ($($(#[$doc:meta])* $name:ident { $($setting:ident),* }
        |$x:ident, $y:ident| $value:expr, $slope:expr, |$t:ident| $composed:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name { $(pub $setting: f64),* }

        impl $crate::engine::portable::kernels::Curve for $name {
            fn value<R: $crate::engine::portable::kernels::Real>(&self, $x: R) -> R {
                $(let $setting = R::of(self.$setting);)*
                $value
            }

            fn slope<R: $crate::engine::portable::kernels::Real>(&self, $x: R, $y: R) -> R {
                $(let $setting = R::of(self.$setting);)*
                let _ = ($x, $y, $($setting),*);
                $slope
            }

            fn composed(&self, $t: &candle_core::Tensor) -> Option<candle_core::Result<candle_core::Tensor>> {
                $(let $setting = self.$setting;)*
                let _ = ($t, $($setting),*);
                $composed
            }
        }
    )*};
}
pub(crate) use curves;
