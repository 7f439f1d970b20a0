//! What Vapi may ask a custom LLM.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::vapi::fuzz::question(data));
