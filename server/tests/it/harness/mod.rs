//! What the tests stand on.

mod browser;
mod church;
mod cluster;
mod issuer;
mod log;
mod moto;
mod other;
mod program;
mod proxy;
mod server;
mod stripe;
mod tls;

pub use browser::{Browser, Page, client};
pub use church::{Church, PASSWORD, sign_up, sign_up_in, watch};
pub use cluster::{Db, cluster};
pub use issuer::{ISSUER, Issuer, Key, PAUSE, PUBLIC_KEY, now, token as forged_token};
pub use moto::Cognito;
pub use other::Other;
pub use program::{Program, Said};
pub use proxy::Proxy;
pub use server::{OIDC, Process, Registry, TestServer, command, printed};
pub use stripe::{Stripe, Trouble};
pub use tls::{TlsPostgres, programs};
