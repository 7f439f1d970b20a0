//! What a recogniser may send.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::providers::fuzz::fuzz_deepgram(data));
