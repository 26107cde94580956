//! Who is asking, and which church that opens.
//!
//! What must stay true of it:
//!
//! - It is the one library that knows both the registry and the tenants, and the one place where a
//!   `Tenant` is handed out: for a session ([`Identity::resolve`]), for a token
//!   ([`Identity::authenticate`]), or to whoever holds the installation's secret
//!   ([`Identity::unfinished`]); pages do not.
//! - Nobody enters a tenant whose tables are not of this binary's version: older ones are brought up to date before,
//!   once, however many come; newer ones are refused.
//! - An access token lives 15 minutes, and no longer than the sign-in it came from. A refresh token is
//!   used once; shown again later than a moment after, it ends that sign-in.
//! - A token of the outside issuer is believed for what the issuer has signed with a key of its own, and opens
//!   churches only where its verified email is an active admin's, and verified there as well: somebody else may have
//!   signed up with it. Strangers cannot make us ask the issuer
//!   more often than twice a minute.
//! - Signing out, disabling an admin and suspending a tenant take effect at once in every process:
//!   what is kept in memory is dropped when the registry tells, and is short-lived in any case.
//! - A sign-in that fails says the same, and takes the same time, whatever was wrong.
//! - Failed sign-ins are limited, and no stranger can lock out a browser that has signed in before.
//! - What an admin had before it was disabled, sessions and tokens of all kinds, stays void when it is enabled again.
//! - Passwords are hashed with Argon2id, by as many threads as the machine has cores and no more.

mod authenticate;
mod cache;
mod device;
mod error;
mod events;
mod identity;
mod keys;
mod limits;
mod oidc;
mod passwords;
mod personal;
mod seal;
mod session_store;
mod sign_in;
mod sign_up;
mod tokens;
mod verified_email;

pub use device::Device;
pub use error::{Error, Result};
pub use identity::{Church, Identity, Inspect, Servers, CurrentUser, Upgrade};
pub use oidc::{Jwks, Oidc};
pub use passwords::is_guessable;
pub use personal::PersonalToken;
pub use seal::{Founder, Secret};
pub use session_store::SessionStore;
pub use sign_in::Choice;
pub use sign_up::{IdempotencyKey, NewChurch};
pub use tokens::{ACCESS, LoggedIn, Login, Tokens};
