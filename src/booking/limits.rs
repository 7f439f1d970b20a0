//! Every bound of the trade, and what happens when it is reached.

/// The unit of time in the books, in minutes: every start, duration and opening hour is a multiple of it (refused
/// otherwise), and one unit of one bay or technician belongs to one appointment.
pub const UNIT_MINUTES: u32 = 5;
/// The same in seconds.
pub const UNIT_SECONDS: i64 = UNIT_MINUTES as i64 * 60;

/// Services of one shop; settings with more are refused.
pub const SERVICES_MAX: usize = 60;
/// Names and aliases of one service in one language; settings with more are refused.
pub const ALIASES_MAX: usize = 30;
/// Bays, and technicians, of one shop; settings with more are refused.
pub const RESOURCES_MAX: usize = 50;
/// Opening intervals of one weekday; settings with more are refused.
pub const SPANS_MAX: usize = 6;
/// Closures of one shop; settings with more are refused.
pub const CLOSURES_MAX: usize = 200;
/// The furthest horizon, in days; settings with more are refused.
pub const HORIZON_DAYS_MAX: u32 = 366;

/// Messages, entries of the outbox and appointments kept in memory; beyond it the oldest message, the oldest entry and
/// the oldest appointment that was cancelled or is over are forgotten. Databases keep everything.
pub const LEDGER_MAX: usize = 2_000;

/// Bytes of a tool's arguments; longer ones are refused as bad arguments.
pub const ARGUMENTS_BYTES_MAX: usize = 16 * 1024;
/// Characters of a caller's name; longer ones are refused.
pub const NAME_CHARS_MAX: usize = 80;
/// Characters of notes, of a message and of a reason; the rest is cut off.
pub const TEXT_CHARS_MAX: usize = 1_000;
/// Characters of a service's name as asked; longer ones are an unknown service.
pub const SERVICE_CHARS_MAX: usize = 120;

/// Slots told for one day; later ones are left out.
pub const SLOTS_OF_A_DAY_MAX: usize = 8;
/// Slots told when no day was asked for.
pub const SLOTS_MAX: usize = 6;
/// Of those, from one day.
pub const SLOTS_PER_DAY: usize = 2;
/// Alternatives told with a refusal.
pub const ALTERNATIVES: usize = 3;
/// Of those, from one day, while other days have any.
pub const ALTERNATIVES_PER_DAY: usize = 2;
/// Appointments read and told at once; later ones are left out.
pub const APPOINTMENTS_MAX: usize = 10;
/// Starts looked at in one search; a search that reaches it answers with what it has.
pub const STARTS_MAX: usize = 100_000;
