//! What Vapi may answer to a call that we create there.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::vapi::fuzz::created(data));
