//! What Vapi may ask of the custom voice of an assistant.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::vapi::fuzz::voice_request(data));
