//! Types of values, both ways.

use coreml_proto::proto::mil_spec::{self, DataType, dimension, value_type};

use crate::diag::{Error, Result};
use crate::fail;
use crate::mil::{Dim, NamedType, Type};
use crate::numeric::DType;

const DTYPES: [(DType, DataType); 22] = [
    (DType::Bool, DataType::Bool),
    (DType::String, DataType::String),
    (DType::Fp16, DataType::Float16),
    (DType::Fp32, DataType::Float32),
    (DType::Fp64, DataType::Float64),
    (DType::Bf16, DataType::Bfloat16),
    (DType::Fp8E4M3FN, DataType::Float8e4m3fn),
    (DType::Fp8E5M2, DataType::Float8e5m2),
    (DType::Int4, DataType::Int4),
    (DType::Int8, DataType::Int8),
    (DType::Int16, DataType::Int16),
    (DType::Int32, DataType::Int32),
    (DType::Int64, DataType::Int64),
    (DType::Uint1, DataType::Uint1),
    (DType::Uint2, DataType::Uint2),
    (DType::Uint3, DataType::Uint3),
    (DType::Uint4, DataType::Uint4),
    (DType::Uint6, DataType::Uint6),
    (DType::Uint8, DataType::Uint8),
    (DType::Uint16, DataType::Uint16),
    (DType::Uint32, DataType::Uint32),
    (DType::Uint64, DataType::Uint64),
];

pub(super) fn read_named(named: &[mil_spec::NamedValueType]) -> Result<Vec<NamedType>> {
    let read = |n: &mil_spec::NamedValueType| {
        let ty = read(n.r#type.as_ref()).map_err(|e| e.context(format!("type of \"{}\"", n.name)));
        Ok(NamedType {
            name: n.name.clone(),
            ty: ty?,
        })
    };
    named.iter().map(read).collect()
}

pub(super) fn read(ty: Option<&mil_spec::ValueType>) -> Result<Type> {
    let Some(ty) = ty.and_then(|ty| ty.r#type.as_ref()) else {
        fail!("a type is missing");
    };
    Ok(match ty {
        value_type::Type::TensorType(tensor) => Type::Tensor {
            dtype: read_dtype(tensor.data_type)?,
            dims: read_dims(tensor)?,
        },
        value_type::Type::ListType(list) => Type::List {
            item: Box::new(read(list.r#type.as_deref())?),
            length: list.length.as_ref().map_or(Ok(Dim::Unknown), read_dim)?,
        },
        value_type::Type::TupleType(tuple) => {
            let types = tuple.types.iter().map(|ty| read(Some(ty)));
            Type::Tuple(types.collect::<Result<_>>()?)
        }
        value_type::Type::DictionaryType(dict) => Type::Dict {
            key: Box::new(read(dict.key_type.as_deref())?),
            value: Box::new(read(dict.value_type.as_deref())?),
        },
        value_type::Type::StateType(state) => {
            Type::State(Box::new(read(state.wrapped_type.as_deref())?))
        }
    })
}

fn read_dtype(number: i32) -> Result<DType> {
    DTYPES
        .iter()
        .find(|(_, proto)| *proto as i32 == number)
        .map(|(dtype, _)| *dtype)
        .ok_or_else(|| Error::new(format!("element type {number} is unknown")))
}

fn read_dims(tensor: &mil_spec::TensorType) -> Result<Vec<Dim>> {
    if tensor.rank < 0 && tensor.dimensions.is_empty() {
        return Ok(vec![Dim::Variadic]);
    }
    if tensor.rank >= 0 && tensor.rank != tensor.dimensions.len() as i64 {
        fail!(
            "a tensor of rank {} has {} extents",
            tensor.rank,
            tensor.dimensions.len()
        );
    }
    tensor.dimensions.iter().map(read_dim).collect()
}

fn read_dim(dim: &mil_spec::Dimension) -> Result<Dim> {
    Ok(match &dim.dimension {
        Some(dimension::Dimension::Constant(constant)) => match usize::try_from(constant.size) {
            Ok(size) => Dim::Fixed(size),
            Err(_) => fail!("extent {} is too large", constant.size),
        },
        Some(dimension::Dimension::Unknown(unknown)) if unknown.variadic => Dim::Variadic,
        _ => Dim::Unknown,
    })
}

pub(super) fn write_named(named: &[NamedType]) -> Vec<mil_spec::NamedValueType> {
    let write = |n: &NamedType| mil_spec::NamedValueType {
        name: n.name.clone(),
        r#type: Some(write(&n.ty)),
    };
    named.iter().map(write).collect()
}

pub(super) fn write(ty: &Type) -> mil_spec::ValueType {
    let boxed = |ty: &Type| Some(Box::new(write(ty)));
    let ty = match ty {
        Type::Tensor { dtype, dims } => value_type::Type::TensorType(write_tensor(*dtype, dims)),
        Type::List { item, length } => value_type::Type::ListType(Box::new(mil_spec::ListType {
            r#type: boxed(item),
            length: Some(write_dim(length)),
        })),
        Type::Tuple(types) => value_type::Type::TupleType(mil_spec::TupleType {
            types: types.iter().map(write).collect(),
        }),
        Type::Dict { key, value } => {
            value_type::Type::DictionaryType(Box::new(mil_spec::DictionaryType {
                key_type: boxed(key),
                value_type: boxed(value),
            }))
        }
        Type::State(inner) => value_type::Type::StateType(Box::new(mil_spec::StateType {
            wrapped_type: boxed(inner),
        })),
    };
    mil_spec::ValueType { r#type: Some(ty) }
}

fn write_tensor(dtype: DType, dims: &[Dim]) -> mil_spec::TensorType {
    let proto = DTYPES.iter().find(|(d, _)| *d == dtype);
    let unknown_rank = dims.contains(&Dim::Variadic);
    mil_spec::TensorType {
        data_type: proto.map_or(0, |(_, p)| *p as i32),
        rank: if unknown_rank { -1 } else { dims.len() as i64 },
        dimensions: dims.iter().map(write_dim).collect(),
        ..Default::default()
    }
}

fn write_dim(dim: &Dim) -> mil_spec::Dimension {
    let unknown =
        |variadic| dimension::Dimension::Unknown(dimension::UnknownDimension { variadic });
    let dim = match dim {
        Dim::Fixed(size) => {
            dimension::Dimension::Constant(dimension::ConstantDimension { size: *size as u64 })
        }
        Dim::Unknown => unknown(false),
        Dim::Variadic => unknown(true),
    };
    mil_spec::Dimension {
        dimension: Some(dim),
    }
}
