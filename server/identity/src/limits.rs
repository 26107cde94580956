use crate::{Error, Result};
use governor::{Quota, RateLimiter, clock::Clock, clock::DefaultClock, state::keyed::DashMapStateStore};
use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock>;

/// How often one may try, counted in this process.
#[derive(Clone)]
pub struct Limits {
    sign_in_by_address: Arc<Keyed<IpAddr>>,
    sign_in_by_account: Arc<Keyed<String>>,
    sign_up_by_address: Arc<Keyed<IpAddr>>,
}

impl Limits {
    pub fn new() -> Self {
        let keyed = |burst: u32, refill: Duration| {
            let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
            Quota::with_period(refill).expect("the period is not zero").allow_burst(burst)
        };
        Self {
            // A whole office behind one address may arrive at nine o'clock.
            sign_in_by_address: Arc::new(RateLimiter::keyed(keyed(30, Duration::from_secs(2)))),
            sign_in_by_account: Arc::new(RateLimiter::keyed(keyed(10, Duration::from_secs(30)))),
            sign_up_by_address: Arc::new(RateLimiter::keyed(keyed(10, Duration::from_secs(60)))),
        }
    }

    pub fn sign_in(&self, address: IpAddr, email: &str) -> Result<()> {
        check("sign-in-address", &self.sign_in_by_address, &address)?;
        check("sign-in-account", &self.sign_in_by_account, &email.to_owned())
    }

    pub fn sign_up(&self, address: IpAddr) -> Result<()> {
        check("sign-up-address", &self.sign_up_by_address, &address)
    }

    /// Forgets those who have not tried for so long that they may again.
    pub fn sweep(&self) {
        self.sign_in_by_address.retain_recent();
        self.sign_in_by_account.retain_recent();
        self.sign_up_by_address.retain_recent();
    }
}

fn check<K: std::hash::Hash + Eq + Clone>(limit: &'static str, limiter: &Keyed<K>, key: &K) -> Result<()> {
    limiter.check_key(key).map_err(|not_until| {
        metrics::counter!("vestry_rate_limited_total", "limit" => limit).increment(1);
        tracing::info!(limit, "too many attempts");
        Error::TooManyAttempts { retry_after: not_until.wait_time_from(DefaultClock::default().now()) }
    })
}
