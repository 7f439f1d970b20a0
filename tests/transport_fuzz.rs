//! The fuzz functions on seeded bytes, so that they are run at every test and not only by a fuzzer.
#![cfg(feature = "fuzz")]

use pronto::transport::fuzz;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_vapi_peer_may_send_anything(data in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz::vapi(&data);
    }

    #[test]
    fn a_twilio_peer_may_send_anything(data in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz::twilio(&data);
    }
}
