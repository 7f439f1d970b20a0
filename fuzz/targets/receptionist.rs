//! What callers say to the built-in receptionist.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::providers::receptionist::fuzz(data));
