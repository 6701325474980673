# What the scripts of real models share: `folder` and `gguf` are set, `name` is what the models are called.
# RLAIF_REPL names the program if it is built already.
root=$(dirname "$0")/..
rlaif() {
    if [ -n "${RLAIF_REPL:-}" ]; then
        "$RLAIF_REPL" "$@"
    else
        cargo run --quiet --release --manifest-path "$root/Cargo.toml" -- "$@"
    fi
}

# model FORM OPTIONS: converts to that form; every conversion is held against the source's own forward pass.
model() {
    form=$1
    shift
    rlaif convert "$gguf" -o "$folder/$name-$form.mlpackage" --force "$@"
}

# compared FORM..: each against the fp32 one on a page of English.
compared() {
    for form; do
        rlaif verify "$folder/$name-fp32.mlpackage" "$folder/$name-$form.mlpackage"
    done
}
