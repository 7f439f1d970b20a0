//! An assistant and what a customer changes of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::vapi::fuzz::overrides(data));
