//! Coverage-guided search for inputs on which `bodies::blob` fails.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rlaif_repl_fuzz::bodies::blob(bytes));
