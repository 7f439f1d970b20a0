//! What a peer that speaks Vapi's dialect may send.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::transport::fuzz::vapi(data));
