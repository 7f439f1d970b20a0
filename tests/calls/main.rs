//! Stories of calls, in virtual time, exact to the millisecond. Each file is one thing that happens on the telephone.
//! Every story also checks the promises of the house at each step.

mod caller_is_answered;
