//! A streamed answer of a model, as bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::providers::fuzz::fuzz_chat_body(data));
