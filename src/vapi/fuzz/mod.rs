//! What strangers send, for fuzz targets and tests: the messages that come to our doors, and the documents of a customer.

mod documents;
mod messages;

pub use documents::{answers, assistant, create_call, overrides};
pub use messages::{created, question, server_message, transcriber, voice_request};
