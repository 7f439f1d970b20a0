//! booking

pub mod phone;
pub mod plate;
