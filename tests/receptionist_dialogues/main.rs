//! The built-in receptionist on the phone.

mod desk;

mod anything;
mod appointments;
mod takes_over;
mod whole;
