//! What the tests stand on.

mod browser;
mod church;
mod cluster;
mod installation;
mod issuer;
mod late;
mod log;
mod moto;
mod office;
mod other;
mod program;
mod proxy;
pub mod raw;
mod role;
mod server;
mod stripe;
mod tls;
pub mod uploads;

pub use browser::{Browser, Page, client};
pub use church::{Church, PASSWORD, sign_up, sign_up_in, watch};
pub use cluster::{Db, cluster};
pub use installation::{Installation, open_church};
pub use issuer::{ISSUER, Issuer, Key, PAUSE, PUBLIC_KEY, now, token as forged_token};
pub use late::Late;
pub use moto::Cognito;
pub use office::Office;
pub use other::Other;
pub use program::{Program, Said};
pub use proxy::Proxy;
pub use role::{as_role, enter};
pub use server::{OIDC, Process, Registry, TestServer, command, printed};
pub use stripe::{Stripe, Trouble};
pub use tls::{TlsPostgres, programs};
