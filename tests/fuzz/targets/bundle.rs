//! Coverage-guided search for inputs on which `bodies::bundle` fails.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rlaif_repl_fuzz::bodies::bundle(bytes));
