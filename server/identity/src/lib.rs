//! Authentication: resolves sessions and tokens to a user and a tenant.
//!
//! Invariants:
//!
//! - It is the only crate that depends on both the registry and the tenants, and the only one that hands out a `Tenant`:
//!   for a session ([`Identity::resolve`]), for a token ([`Identity::authenticate`]), or with the installation's secret
//!   ([`Identity::open_provisioning`], [`Identity::open_as_operator`]).
//! - Tenants with an older schema are upgraded once before use, whatever the concurrency; newer ones are rejected.
//! - An access token lives 15 minutes, and no longer than its token family. A refresh token is valid once; reuse after a
//!   short grace revokes its family.
//! - An OIDC token must be signed by a key of the issuer. It opens only tenants in which its verified email is an active
//!   admin's and verified too, as anyone may sign up with any email. Unknown keys cause at most two fetches a minute.
//! - Sign-outs, disabled admins and suspended tenants take effect at once in every process: notifications invalidate the
//!   caches, and a short TTL bounds lost ones.
//! - A failed sign-in has the same response and duration, whatever the reason.
//! - Failed sign-ins are rate limited, and others cannot lock out a browser that has signed in before.
//! - Sessions and tokens of a disabled admin stay invalid after it is enabled again.
//! - Passwords are hashed with Argon2id, by at most as many threads as there are cores.

mod authenticate;
mod cache;
mod cached_keys;
mod choice;
mod crypto;
mod device;
mod error;
mod identity;
mod keys;
mod log;
mod oidc;
mod owner;
mod passwords;
mod personal_tokens;
mod rate_limits;
mod secret;
mod session_store;
mod sign_in;
mod sign_up;
mod tokens;
mod verified_email;

pub use choice::Choice;
pub use device::Device;
pub use error::{Error, Result};
pub use identity::{ChurchProfile, Identity, Inspect, ServerAdmin, SignedIn, Upgrade};
pub use oidc::{Jwks, Oidc};
pub use owner::Owner;
pub use passwords::is_guessable;
pub use personal_tokens::PersonalToken;
pub use secret::Secret;
pub use session_store::SessionStore;
pub use sign_up::{IdempotencyKey, NewChurch};
pub use tokens::{ACCESS_TOKEN_TTL, Credentials, Login, Tokens};
