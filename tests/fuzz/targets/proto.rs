//! Coverage-guided search for inputs on which `bodies::proto` fails.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rlaif_repl_fuzz::bodies::proto(bytes));
