//! Gates, report files, metrics pages, and the system's pages about processes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::load::report::fuzz::fuzz(data));
