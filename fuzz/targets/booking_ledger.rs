//! Any order of bookings, moves and cancellations.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pronto::booking::fuzz::fuzz_ledger(data));
