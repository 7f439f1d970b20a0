//! Sums with the widest instructions of the processor that the program finds itself on.
//!
//! The compiler may only use what every processor has; those made since 2013 multiply twice as many numbers at a time. The
//! results are the same to the last bit: nothing is summed in another order.

/// Sums to be done so. What they call must be inlined, always, to gain from it.
pub(super) use pulp::NullaryFnOnce as Sums;

/// Does these sums so.
#[inline(always)]
pub(super) fn widest<S: Sums>(sums: S) -> S::Output {
    pulp::Arch::new().dispatch(sums)
}
