//! What Vapi may send to the server of an assistant's tools.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::vapi::fuzz::server_message(data));
