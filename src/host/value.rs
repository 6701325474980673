//! Values between script and Rust: reading arguments, returning results, our own script types.

use std::any::TypeId;
use std::path::PathBuf;

use rhai::{Array, Dynamic, FnPtr, Map};

use super::call::Callback;
use super::context::Host;
use crate::diag::Result;
use crate::report::Display;

/// A Rust type that scripts hold: a cheap handle (clones share their content).
pub trait ScriptValue: Clone + Send + Sync + 'static {
    /// The name in signatures and `type_of`.
    const NAME: &'static str;
    /// One sentence: what it is.
    const SUMMARY: &'static str;

    /// One line, as inside an array or a message.
    fn line(&self) -> String;

    /// Of numbers: type, shape and statistics in one line.
    fn stats(&self) -> Option<String> {
        None
    }

    /// What the prompt shows for it.
    fn show(&self) -> Display {
        Display::Text(self.line())
    }

    /// Whether its methods change what is behind the handle.
    const CHANGES: bool = false;
    /// What `for` goes through, of types that have parts.
    const PARTS: Option<fn(&Self) -> Result<Array>> = None;

    /// What is behind the handle as it is now, for going back to it.
    ///
    /// # Errors
    /// It can't be copied.
    fn keep(&self) -> Result<Option<Kept>> {
        Ok(None)
    }

    /// Its content in arrays and maps, of types that are data.
    fn data(&self) -> Option<Dynamic> {
        None
    }

    /// A hash of its content, the same in every process; nothing if it has none.
    fn digest(&self) -> Option<String> {
        None
    }

    /// Bytes of memory that end with the last handle, about.
    fn bytes(&self) -> usize {
        0
    }
}

/// What was behind a handle, to be put back.
pub struct Kept {
    /// Bytes of memory that it takes.
    pub bytes: usize,
    /// Puts it back; may be asked again.
    pub put_back: Box<dyn Fn() -> Result<()> + Send + Sync>,
}

/// The place that `at` means among `count`, negative counted from the end; nothing if there is none.
pub(super) fn place(at: i64, count: usize) -> Option<usize> {
    let place = if at < 0 { count as i64 + at } else { at };
    usize::try_from(place).ok().filter(|place| *place < count)
}

/// Reads a script value as `Self`.
pub trait FromScript: Sized {
    /// What is expected, for messages: `a string`.
    fn expected() -> String;
    /// The value, or nothing if it is of another type or out of range.
    fn from_script(value: &Dynamic, host: &Host) -> Option<Self>;
}

/// Turns a result into a script value.
pub trait IntoScript {
    fn into_script(self) -> Dynamic;
}

macro_rules! whole_numbers {
    ($($type:ty),*) => {$(
        impl FromScript for $type {
            fn expected() -> String {
                match <$type>::MIN {
                    0 => "a whole number from 0 up".into(),
                    _ => "a whole number".into(),
                }
            }
            fn from_script(value: &Dynamic, _: &Host) -> Option<Self> {
                value.as_int().ok().and_then(|n| n.try_into().ok())
            }
        }
    )*};
}
whole_numbers!(i64, i32, u64, u32, usize);

impl FromScript for f64 {
    fn expected() -> String {
        "a number".into()
    }
    fn from_script(value: &Dynamic, _: &Host) -> Option<Self> {
        let whole = || value.as_int().ok().map(|n| n as f64);
        value.as_float().ok().or_else(whole)
    }
}

impl FromScript for f32 {
    fn expected() -> String {
        f64::expected()
    }
    fn from_script(value: &Dynamic, host: &Host) -> Option<Self> {
        f64::from_script(value, host).map(|x| x as f32)
    }
}

impl FromScript for bool {
    fn expected() -> String {
        "true or false".into()
    }
    fn from_script(value: &Dynamic, _: &Host) -> Option<Self> {
        value.as_bool().ok()
    }
}

impl FromScript for String {
    fn expected() -> String {
        "a string".into()
    }
    fn from_script(value: &Dynamic, _: &Host) -> Option<Self> {
        value
            .as_immutable_string_ref()
            .ok()
            .map(|text| text.to_string())
    }
}

/// Relative to the host's base folder.
impl FromScript for PathBuf {
    fn expected() -> String {
        "a path".into()
    }
    fn from_script(value: &Dynamic, host: &Host) -> Option<Self> {
        String::from_script(value, host).map(|path| host.resolve(&path))
    }
}

impl FromScript for Dynamic {
    fn expected() -> String {
        "a value".into()
    }
    fn from_script(value: &Dynamic, _: &Host) -> Option<Self> {
        Some(value.flatten_clone())
    }
}

impl FromScript for Map {
    fn expected() -> String {
        "a map #{..}".into()
    }
    fn from_script(value: &Dynamic, _: &Host) -> Option<Self> {
        value.flatten_clone().try_cast()
    }
}

impl FromScript for Callback {
    fn expected() -> String {
        "a function".into()
    }
    fn from_script(value: &Dynamic, _: &Host) -> Option<Self> {
        let pointer: FnPtr = value.flatten_clone().try_cast()?;
        Some(Callback::new(pointer))
    }
}

/// `()` is nothing.
impl<T: FromScript> FromScript for Option<T> {
    fn expected() -> String {
        format!("{} or ()", T::expected())
    }
    fn from_script(value: &Dynamic, host: &Host) -> Option<Self> {
        if value.is_unit() {
            return Some(None);
        }
        T::from_script(value, host).map(Some)
    }
}

impl<T: FromScript> FromScript for Vec<T> {
    fn expected() -> String {
        format!("an array, each {}", T::expected())
    }
    fn from_script(value: &Dynamic, host: &Host) -> Option<Self> {
        let items: dynamic_array::Guard = dynamic_array::read(value)?;
        items
            .iter()
            .map(|item| T::from_script(item, host))
            .collect()
    }
}

/// Reading an array without copying it, also when a closure shares it.
mod dynamic_array {
    use rhai::{Array, Dynamic};

    pub type Guard<'a> = rhai::DynamicReadLock<'a, Array>;

    pub fn read(value: &Dynamic) -> Option<Guard<'_>> {
        value.read_lock::<Array>()
    }
}

impl<T: ScriptValue> FromScript for T {
    fn expected() -> String {
        format!("a {}", T::NAME)
    }
    fn from_script(value: &Dynamic, _: &Host) -> Option<Self> {
        if value.type_id() != TypeId::of::<T>() {
            return None;
        }
        value.flatten_clone().try_cast()
    }
}

macro_rules! into_script {
    ($($type:ty => |$value:ident| $dynamic:expr),* $(,)?) => {$(
        impl IntoScript for $type {
            fn into_script(self) -> Dynamic {
                let $value = self;
                $dynamic
            }
        }
    )*};
}

into_script! {
    () => |_unit| Dynamic::UNIT,
    bool => |value| Dynamic::from_bool(value),
    i64 => |value| Dynamic::from_int(value),
    usize => |value| Dynamic::from_int(i64::try_from(value).unwrap_or(i64::MAX)),
    f64 => |value| Dynamic::from_float(value),
    f32 => |value| Dynamic::from_float(f64::from(value)),
    String => |value| value.into(),
    &str => |value| value.into(),
    Dynamic => |value| value,
    Map => |value| Dynamic::from_map(value),
}

impl<T: IntoScript> IntoScript for Option<T> {
    fn into_script(self) -> Dynamic {
        self.map_or(Dynamic::UNIT, T::into_script)
    }
}

impl<T: IntoScript> IntoScript for Vec<T> {
    fn into_script(self) -> Dynamic {
        let items: Array = self.into_iter().map(T::into_script).collect();
        Dynamic::from_array(items)
    }
}

impl<T: ScriptValue> IntoScript for T {
    fn into_script(self) -> Dynamic {
        Dynamic::from(self)
    }
}
