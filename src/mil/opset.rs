//! Names of operation sets: `CoreML8` in the protobuf is `ios18` in text.

/// The text form of an opset name; a name of neither form stays as it is. `ios19` was the name of `ios26`
/// before its release.
pub(super) fn from_core_ml(name: &str) -> String {
    let text = match name {
        "CoreML5" => "ios15",
        "CoreML6" => "ios16",
        "CoreML7" => "ios17",
        "CoreML8" => "ios18",
        "CoreML9" | "ios19" => "ios26",
        other => other,
    };
    text.to_owned()
}

/// The protobuf form of an opset name; a name of neither form stays as it is.
pub(super) fn to_core_ml(name: &str) -> String {
    let proto = match name {
        "ios15" => "CoreML5",
        "ios16" => "CoreML6",
        "ios17" => "CoreML7",
        "ios18" => "CoreML8",
        "ios26" => "CoreML9",
        other => other,
    };
    proto.to_owned()
}

/// The lowest Core ML specification version that knows an opset (text form).
pub(super) fn specification(opset: &str) -> Option<i32> {
    Some(match opset {
        "ios15" => 6,
        "ios16" => 7,
        "ios17" => 8,
        "ios18" => 9,
        "ios26" => 10,
        _ => return None,
    })
}
