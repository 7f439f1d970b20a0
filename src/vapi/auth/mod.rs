//! Who is who between Vapi and a server of its customers: what we show when we ask, and what opens our own doors.
//!
//! A [`Credential`] makes the headers of a request; a [`Door`] lets one in. Both are pure: the clock is an argument, and
//! nothing is fetched.
//!
//! ```
//! use pronto::vapi::auth::{Credential, Request};
//! let plan = serde_json::from_str(r#"{"type":"bearer","token":"shop-secret"}"#)?;
//! let credential = Credential::new(plan)?;
//! let request = Request { method: "POST", url: "https://shop.example.it/vapi", body: b"{}", id: None };
//! let headers = credential.headers(1_760_000_000, &request, None)?;
//! assert_eq!(headers[0].0, "authorization");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod credential;
mod door;
mod hmac;

pub use credential::{AccessToken, BearerPlan, Credential, NoToken, NoTokenInAnswer, OAuth2, Plan, SECRET_HEADER};
pub use door::{Door, Knock};
pub use hmac::{Algorithm, Encoding, Hmac, HmacPlan, PlanError, Request, SignatureError, WINDOW_S};
