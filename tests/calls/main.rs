//! Stories of calls, in virtual time, exact to the millisecond. Each file is one thing that happens on the telephone.
//! Every story also checks the promises of the house at each step.

mod call_brings_its_own_words;
mod caller_is_greeted;
mod process_freezes;

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

mod caller_cuts_in_while_booking;
mod caller_hangs_up_while_booking;
mod model_asks_for_odd_things;
mod model_is_asked_ahead;
mod too_much_of_everything;
mod tool_finishes_while_nobody_speaks;
mod tool_is_slow;

mod answers_come_too_late;
mod audio_stalls;
mod caller_presses_keys;
mod caller_says_nothing;
mod line_comes_back;
mod marks_come_back;
mod model_is_late;
mod process_shuts_down;
mod recogniser_dies;
mod staff_take_part;
mod turn_is_reported;
mod voice_fails;
mod we_say_goodbye;
