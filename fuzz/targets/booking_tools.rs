//! What a model may write as the arguments of a tool.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::booking::fuzz::fuzz_tools(data));
