//! Stories of calls, in virtual time, exact to the millisecond. Each file is one thing that happens on the telephone.
//! Every story also checks the promises of the house at each step.

mod caller_is_greeted;

mod caller_coughs;
mod caller_goes_on_after_a_pause;
mod caller_has_finished;
mod caller_is_answered;
mod caller_pauses_for_breath;
mod transcript_comes_late;

mod caller_cuts_in;
mod caller_says_mm_hm;
mod door_slams;
mod history_holds_what_was_heard;
mod our_own_voice_comes_back;
