//! Sound in any format, in pieces of any length.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::audio::fuzz(data));
