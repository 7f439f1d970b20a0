//! booking

pub mod phone;
pub mod plate;
pub mod spoken;
