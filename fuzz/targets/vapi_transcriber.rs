//! What Vapi may send to the custom transcriber of an assistant.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::vapi::fuzz::transcriber(data));
