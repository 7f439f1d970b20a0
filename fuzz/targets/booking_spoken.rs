//! What a caller may have said, as a recogniser wrote it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::booking::spoken::fuzz(data));
