//! What a parameter or option accepts: its name in signatures, the check, and how it completes.

use std::any::TypeId;

use rhai::{Array, Dynamic, FnPtr, Map};

use super::context::Host;
use super::value::ScriptValue;
use crate::diag::Result;
use crate::hub;
use crate::models::EMBEDDED;

/// What a parameter or option accepts.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Any,
    Bool,
    /// A whole number.
    Int,
    /// A number; whole ones count too.
    Float,
    Text,
    /// A string that names a file; completes names with these endings (none: every file).
    Path(&'static [&'static str]),
    /// A string that names a file or folder to write, which a sandbox may refuse.
    Output(&'static [&'static str]),
    /// A model: a path with one of these endings, or the name of one that the program holds.
    Bundle(&'static [&'static str]),
    /// A string; these are known, others may be too.
    Word(&'static [&'static str]),
    /// A string that names a model of the hub.
    HubModel,
    /// One of these strings.
    Choice(&'static [&'static str]),
    Array,
    /// An array of strings; these are known.
    List(&'static [&'static str]),
    Map,
    /// A function pointer or closure.
    Function,
    /// A value of one of our types.
    Object {
        name: &'static str,
        id: TypeId,
    },
    /// Any of these.
    Either(&'static [Kind]),
}

impl Kind {
    /// A value of the script type `T`.
    pub const fn object<T: ScriptValue>() -> Self {
        Self::Object {
            name: T::NAME,
            id: TypeId::of::<T>(),
        }
    }

    /// As signatures write it: `int`, `string`, `"a" | "b"`, `Model`.
    pub fn name(&self) -> String {
        match self {
            Self::Any => "any".into(),
            Self::Bool => "bool".into(),
            Self::Int => "int".into(),
            Self::Float => "float".into(),
            Self::Text | Self::Word(_) | Self::HubModel => "string".into(),
            Self::Path(_) | Self::Output(_) | Self::Bundle(_) => "path".into(),
            Self::Choice(choices) => {
                let quoted: Vec<String> = choices.iter().map(|c| format!("\"{c}\"")).collect();
                quoted.join(" | ")
            }
            Self::Array | Self::List(_) => "array".into(),
            Self::Map => "map".into(),
            Self::Function => "function".into(),
            Self::Object { name, .. } => (*name).into(),
            Self::Either(kinds) => {
                let names: Vec<String> = kinds.iter().map(Self::name).collect();
                names.join(" | ")
            }
        }
    }

    /// This kind, or those of which it is any.
    pub fn parts(&self) -> Vec<Kind> {
        match self {
            Self::Either(kinds) => kinds.iter().flat_map(Self::parts).collect(),
            kind => vec![*kind],
        }
    }

    /// The strings that are known to fit: choices, and names of models.
    pub fn words(&self, host: &Host) -> Vec<String> {
        let of = |kind: Kind| match kind {
            Self::Choice(words) | Self::Word(words) => {
                words.iter().map(|word| word.to_string()).collect()
            }
            Self::Bundle(_) => {
                let names = EMBEDDED.iter();
                names.map(|(name, _)| format!("embedded:{name}")).collect()
            }
            Self::HubModel => host.hub().map(hub::names_in_cache).unwrap_or_default(),
            _ => Vec::new(),
        };
        self.parts().into_iter().flat_map(of).collect()
    }

    /// What an element of an array of this kind accepts, where that is known.
    pub fn element(&self) -> Option<Kind> {
        self.parts().into_iter().find_map(|kind| match kind {
            Self::List(words) => Some(Self::Word(words)),
            _ => None,
        })
    }

    /// The endings of the files or folders that it names.
    pub fn endings(&self) -> Option<&'static [&'static str]> {
        self.parts().iter().find_map(|kind| match kind {
            Self::Path(endings) | Self::Output(endings) | Self::Bundle(endings) => Some(*endings),
            _ => None,
        })
    }

    /// Whether `value` may be given.
    pub fn accepts(&self, value: &Dynamic) -> bool {
        match self {
            Self::Any => true,
            Self::Bool => value.is_bool(),
            Self::Int => value.is_int(),
            Self::Float => value.is_int() || value.is_float(),
            Self::Text
            | Self::Path(_)
            | Self::Output(_)
            | Self::Bundle(_)
            | Self::Word(_)
            | Self::HubModel => value.is_string(),
            Self::Choice(choices) => value
                .as_immutable_string_ref()
                .is_ok_and(|text| choices.contains(&text.as_str())),
            Self::Array | Self::List(_) => value.type_id() == TypeId::of::<Array>(),
            Self::Map => value.type_id() == TypeId::of::<Map>(),
            Self::Function => value.type_id() == TypeId::of::<FnPtr>(),
            Self::Object { id, .. } => value.type_id() == *id,
            Self::Either(kinds) => kinds.iter().any(|kind| kind.accepts(value)),
        }
    }

    /// Fails if the value names what a script must not write.
    pub(super) fn permit(&self, value: &Dynamic, host: &Host) -> Result<()> {
        match (self, value.as_immutable_string_ref()) {
            (Self::Output(_), Ok(path)) => host.may_write(&host.resolve(&path)),
            _ => Ok(()),
        }
    }

    /// The concrete types under which an operand of this kind is registered with the engine.
    pub(super) fn operand_types(&self) -> Vec<TypeId> {
        match self {
            Self::Bool => vec![TypeId::of::<bool>()],
            Self::Int => vec![TypeId::of::<i64>()],
            Self::Float => vec![TypeId::of::<f64>(), TypeId::of::<i64>()],
            Self::Array | Self::List(_) => vec![TypeId::of::<Array>()],
            Self::Map => vec![TypeId::of::<Map>()],
            Self::Function => vec![TypeId::of::<FnPtr>()],
            Self::Object { id, .. } => vec![*id],
            Self::Either(kinds) => kinds.iter().flat_map(Self::operand_types).collect(),
            Self::Text
            | Self::Path(_)
            | Self::Output(_)
            | Self::Bundle(_)
            | Self::Word(_)
            | Self::HubModel
            | Self::Choice(_) => {
                vec![TypeId::of::<rhai::ImmutableString>()]
            }
            Self::Any => vec![TypeId::of::<Dynamic>()],
        }
    }
}
