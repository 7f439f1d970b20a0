//! An assistant as a customer may write it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::vapi::fuzz::assistant(data));
