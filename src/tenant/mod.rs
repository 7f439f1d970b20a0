//! One shop while it runs: its settings, engines, desk and limits.
//!
//! A [`Tenant`] does not change. When its settings do, the [`Directory`] holds another one for new calls, and the
//! calls under way keep theirs until they end. Nothing here is shared between two shops: not an engine, not a
//! connection to a store, not a lock.

#[cfg(feature = "gateway")]
mod admission;
mod desk;
#[cfg(feature = "gateway")]
mod directory;
mod id;
#[cfg(feature = "gateway")]
pub(crate) mod problem;
#[cfg(feature = "gateway")]
pub(crate) mod running;
#[cfg(feature = "gateway")]
mod settings;
#[cfg(feature = "gateway")]
mod shop;
mod token;
#[cfg(feature = "gateway")]
mod tools;

pub use desk::{Desk, ToolRun};
pub use id::{TenantId, TenantIdError};
pub use token::Tokens;
#[cfg(feature = "gateway")]
pub use {
    admission::{Admission, Permit},
    directory::Directory,
    problem::Problem,
    running::{TOOLS, ToolEnd},
    settings::Settings,
    shop::{Profile, Tenant, Twilio, complete},
    tools::{CallEnd, CallRecord, Tools},
};

#[cfg(feature = "gateway")]
pub use crate::providers::settings::Engines;
#[cfg(feature = "gateway")]
pub(crate) use tools::ending_name;
