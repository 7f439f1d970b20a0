//! The built-in receptionist on the phone.

mod desk;

mod takes_over;
mod whole;
