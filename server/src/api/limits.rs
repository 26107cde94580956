use super::problem::Problem;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};
use std::{hash::Hash, net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};
use uuid::Uuid;

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// How often the API may be asked, counted in this process.
pub struct Limits {
    by_address: Keyed<IpAddr>,
    by_account: Keyed<(String, Uuid)>,
    by_tenant: Keyed<String>,
    per_minute: NonZeroU32,
}

/// How the one who asks stands with the limit that is closest.
#[derive(Clone, Copy)]
pub struct RateLimitStatus {
    policy: &'static str,
    quota: u32,
    remaining: u32,
}

/// A church has several people and programs.
const TENANT: u32 = 4;

impl Limits {
    /// So many requests in a minute from one address, and by one account; four times as many for one church.
    pub fn new(per_minute: u32) -> Self {
        let per_minute = NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
        let all = per_minute.saturating_mul(NonZeroU32::new(TENANT).unwrap_or(NonZeroU32::MIN));
        let one = Quota::per_minute(per_minute);
        Self {
            by_address: RateLimiter::keyed(one).with_middleware(),
            by_account: RateLimiter::keyed(one).with_middleware(),
            by_tenant: RateLimiter::keyed(Quota::per_minute(all)).with_middleware(),
            per_minute,
        }
    }

    pub fn address(&self, address: IpAddr) -> Result<RateLimitStatus, Problem> {
        check(&self.by_address, &address, "address", self.per_minute.get())
    }

    pub fn account(&self, tenant_id: &str, admin_id: Uuid) -> Result<RateLimitStatus, Problem> {
        let one = self.per_minute.get();
        let account = check(&self.by_account, &(tenant_id.to_owned(), admin_id), "account", one)?;
        let tenant = check(&self.by_tenant, &tenant_id.to_owned(), "tenant", one.saturating_mul(TENANT))?;
        Ok(if tenant.remaining < account.remaining { tenant } else { account })
    }

    /// Forgets those who have not asked for so long that they may again, for as long as the process lives.
    pub async fn evict_stale(limits: Arc<Self>) {
        loop {
            tokio::time::sleep(Duration::from_secs(60)).await;
            limits.by_address.retain_recent();
            limits.by_account.retain_recent();
            limits.by_tenant.retain_recent();
        }
    }
}

fn check<K: Hash + Eq + Clone>(
    limiter: &Keyed<K>,
    key: &K,
    policy: &'static str,
    quota: u32,
) -> Result<RateLimitStatus, Problem> {
    match limiter.check_key(key) {
        Ok(state) => Ok(RateLimitStatus { policy, quota, remaining: state.remaining_burst_capacity() }),
        Err(not_until) => {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            let seconds = wait.as_secs() + 1;
            metrics::counter!("vestry_rate_limited_total", "limit" => policy).increment(1);
            tracing::info!(limit = policy, quota, "too many requests");
            let title = "That was too often";
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", title)
                .detail(format!(
                    "{quota} requests a minute are answered by {policy}. Wait {seconds} seconds."
                ))
                .retry_after(seconds)
                .limited(RateLimitStatus { policy, quota, remaining: 0 }))
        }
    }
}

impl RateLimitStatus {
    /// As `RateLimit` and `RateLimit-Policy`, unless a closer limit stands there already.
    pub fn write(self, headers: &mut HeaderMap) {
        const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
        const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
        if headers.contains_key(LIMIT) {
            return;
        }
        let Self { policy, quota, remaining } = self;
        // All of it is there again after so many seconds.
        let reset = (u64::from(quota - remaining.min(quota)) * 60).div_ceil(u64::from(quota));
        let mut set = |name, text: String| {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        };
        set(POLICY, format!("\"{policy}\";q={quota};w=60"));
        set(LIMIT, format!("\"{policy}\";r={remaining};t={reset}"));
    }
}
