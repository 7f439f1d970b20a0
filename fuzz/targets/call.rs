//! Any sequence of inputs, at any times.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::call::fuzz::call(data));
