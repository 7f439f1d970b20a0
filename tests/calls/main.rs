//! Stories of calls, in virtual time, exact to the millisecond. Each file is one thing that happens on the telephone.
//! Every story also checks the promises of the house at each step.

mod caller_is_greeted;

mod caller_coughs;
mod caller_goes_on_after_a_pause;
mod caller_has_finished;
mod caller_is_answered;
mod caller_pauses_for_breath;
mod transcript_comes_late;
