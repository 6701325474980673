//! Enums that scripts choose by name.

/// Declares an enum with `ALL`, `name()`, `from_name()` (an error names the nearest) and `Display`.
macro_rules! named {
    ($(#[$meta:meta])* $what:literal $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            pub fn from_name(name: &str) -> $crate::diag::Result<Self> {
                let known = || Self::ALL.iter().map(|v| v.name());
                let found = Self::ALL.iter().copied().find(|v| v.name() == name);
                found.ok_or_else(|| $crate::diag::Error::unknown($what, name, known()))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

pub(crate) use named;
