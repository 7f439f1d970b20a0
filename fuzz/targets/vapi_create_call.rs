//! A call as a customer may ask for it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::vapi::fuzz::create_call(data));
