//! Whatever a gateway that is being measured sends to a simulated caller.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::load::crowd::fuzz(data));
