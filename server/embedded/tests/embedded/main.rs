//! Against the PostgreSQL installed on this machine, as root or as an ordinary user.

mod ownership;
mod refusals;
mod serving;
mod support;
