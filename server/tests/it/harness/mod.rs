//! What the tests stand on.

mod browser;
mod church;
mod cluster;
mod server;
mod stripe;

pub use browser::{Browser, Page};
pub use church::{Church, PASSWORD, sign_up, watch};
pub use cluster::{Db, cluster};
pub use server::{Process, Registry, TestServer};
pub use stripe::{Stripe, Trouble};
