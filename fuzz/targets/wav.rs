//! What a voice program may write.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::providers::fuzz::fuzz_wav(data));
