//! tenant

mod desk;

pub use desk::{Desk, ToolRun};
