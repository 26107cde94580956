use crate::{Error, Result, device::DeviceId};
use governor::{Quota, RateLimiter, clock::Clock, clock::DefaultClock, state::keyed::DashMapStateStore};
use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock>;

/// Rate limits of sign-ins and signups, per process. IPv6 addresses count by /64.
///
/// Only failed sign-ins count. A browser that has signed in to the account before has its own limit, so that others cannot
/// lock it out. All other devices share a limit per account, which a single address cannot exhaust.
#[derive(Clone)]
pub struct RateLimits {
    sign_in_by_address: Arc<Keyed<IpAddr>>,
    sign_up_by_address: Arc<Keyed<IpAddr>>,
    failed_by_device: Arc<Attempts<(DeviceId, String)>>,
    failed_by_address: Arc<Attempts<(IpAddr, String)>>,
    failed_by_account: Arc<Attempts<String>>,
}

/// A sign-in attempt; counts as failed until it succeeds.
pub enum Attempt {
    KnownDevice((DeviceId, String)),
    UnknownDevice((IpAddr, String)),
}

impl RateLimits {
    pub fn new() -> Self {
        let keyed = |burst: u32, refill: Duration| {
            let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
            Quota::with_period(refill).expect("the period is not zero").allow_burst(burst)
        };
        Self {
            // Many users may share one address, and sign in at the same time.
            sign_in_by_address: Arc::new(RateLimiter::keyed(keyed(30, Duration::from_secs(2)))),
            sign_up_by_address: Arc::new(RateLimiter::keyed(keyed(10, Duration::from_secs(60)))),
            failed_by_device: Arc::new(Attempts::new("sign-in-device", 10, Duration::from_secs(30))),
            failed_by_address: Arc::new(Attempts::new("sign-in-account-address", 5, Duration::from_secs(60))),
            failed_by_account: Arc::new(Attempts::new("sign-in-account", 10, Duration::from_secs(30))),
        }
    }

    /// Checks the limit per address, before any query.
    pub fn check_sign_in(&self, address: IpAddr) -> Result<()> {
        check("sign-in-address", &self.sign_in_by_address, &address)
    }

    /// Checks the limit of a device that has signed in to the account before. Call before the password check: correct
    /// passwords are limited too.
    pub fn check_device(&self, device: DeviceId, email: &str) -> Result<Attempt> {
        let key = (device, email.to_owned());
        self.failed_by_device.take(&key)?;
        Ok(Attempt::KnownDevice(key))
    }

    /// Checks the limits of other devices, per address and per account.
    pub fn check_unknown_device(&self, address: IpAddr, email: &str) -> Result<Attempt> {
        let key = (address, email.to_owned());
        self.failed_by_address.take(&key)?;
        self.failed_by_account.take(&key.1).inspect_err(|_| self.failed_by_address.give_back(&key))?;
        Ok(Attempt::UnknownDevice(key))
    }

    /// Gives the attempt back.
    pub fn succeeded(&self, attempt: &Attempt) {
        match attempt {
            Attempt::KnownDevice(key) => self.failed_by_device.give_back(key),
            Attempt::UnknownDevice(key) => {
                self.failed_by_address.give_back(key);
                self.failed_by_account.give_back(&key.1);
            }
        }
    }

    pub fn check_sign_up(&self, address: IpAddr) -> Result<()> {
        check("sign-up-address", &self.sign_up_by_address, &address)
    }

    /// Drops keys whose limits are full again.
    pub fn evict_stale(&self) {
        self.sign_in_by_address.retain_recent();
        self.sign_up_by_address.retain_recent();
        self.failed_by_device.retain_recent();
        self.failed_by_address.retain_recent();
        self.failed_by_account.retain_recent();
    }
}

fn check<K: Hash + Eq + Clone>(limit: &'static str, limiter: &Keyed<K>, key: &K) -> Result<()> {
    limiter
        .check_key(key)
        .map_err(|not_until| refused(limit, not_until.wait_time_from(DefaultClock::default().now())))
}

fn refused(limit: &'static str, retry_after: Duration) -> Error {
    metrics::counter!("vestry_rate_limited_total", "limit" => limit).increment(1);
    tracing::info!(limit, "rate limited");
    Error::TooManyAttempts { retry_after }
}

/// A rate limiter whose permits can be given back, unlike governor's: `burst` at once, then one per `refill`.
struct Attempts<K> {
    /// Name in metrics and the log.
    name: &'static str,
    burst: u32,
    refill: Duration,
    /// When the full burst is available again.
    full_at: Mutex<HashMap<K, Instant>>,
}

impl<K: Hash + Eq + Clone> Attempts<K> {
    fn new(name: &'static str, burst: u32, refill: Duration) -> Self {
        Self { name, burst, refill, full_at: Mutex::default() }
    }

    fn take(&self, key: &K) -> Result<()> {
        self.take_at(key, Instant::now())
    }

    fn take_at(&self, key: &K, now: Instant) -> Result<()> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full = full_at.get(key).map_or(now, |at| (*at).max(now)) + self.refill;
        let retry_after = full.duration_since(now).saturating_sub(self.refill * self.burst);
        if !retry_after.is_zero() {
            return Err(refused(self.name, retry_after));
        }
        full_at.insert(key.clone(), full);
        Ok(())
    }

    fn give_back(&self, key: &K) {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = full_at.get_mut(key) {
            *at -= self.refill;
        }
    }

    fn retain_recent(&self) {
        let now = Instant::now();
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, at| *at > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl RateLimits {
        fn sign_in(&self, address: IpAddr, email: &str, device: Option<DeviceId>) -> Result<Attempt> {
            self.check_sign_in(address)?;
            match device {
                Some(device) => self.check_device(device, email),
                None => self.check_unknown_device(address, email),
            }
        }
    }

    #[test]
    fn attempts_come_back_with_time_and_when_they_succeed() {
        let attempts = Attempts::new("test", 2, Duration::from_secs(30));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(attempts.take_at(&"ruth", at(0)).is_ok());
        assert!(attempts.take_at(&"ruth", at(0)).is_ok());
        match attempts.take_at(&"ruth", at(10)) {
            Err(Error::TooManyAttempts { retry_after }) => assert_eq!(retry_after, Duration::from_secs(20)),
            other => panic!("{other:?}"),
        }
        assert!(attempts.take_at(&"naomi", at(10)).is_ok(), "each key has its own");
        assert!(attempts.take_at(&"ruth", at(30)).is_ok());
        assert!(attempts.take_at(&"ruth", at(30)).is_err());
        attempts.give_back(&"ruth");
        assert!(attempts.take_at(&"ruth", at(30)).is_ok());
        assert!(attempts.take_at(&"ruth", at(30)).is_err());
    }

    #[test]
    fn one_address_does_not_use_up_what_all_strangers_share() {
        let limits = RateLimits::new();
        let from = |n: u8| IpAddr::from([192, 0, 2, n]);
        let email = "ruth@example.org";
        let tried = (0..20).filter(|_| limits.sign_in(from(1), email, None).is_ok()).count();
        assert_eq!(tried, 5);
        assert!(limits.sign_in(from(2), email, None).is_ok());
        // All strangers together do, and a browser that is known is none of them.
        let tried = (3..30).filter(|n| limits.sign_in(from(*n), email, None).is_ok()).count();
        assert_eq!(tried, 4);
        assert!(limits.sign_in(from(40), email, Some([1; 16])).is_ok());
        let known = (0..20).filter(|_| limits.sign_in(from(41), email, Some([1; 16])).is_ok()).count();
        assert_eq!(known, 9, "a known browser has a limit too");
        assert!(limits.sign_in(from(42), email, Some([2; 16])).is_ok(), "each has its own");
    }
}
