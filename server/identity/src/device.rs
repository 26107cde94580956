//! Device cookie: recognises a browser long after its session.

use crate::{
    Secret,
    crypto::{constant_time_eq, random},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use time::Duration;
use tower_cookies::{Cookie, Cookies, cookie::SameSite};

pub type DeviceId = [u8; 16];

/// The browser of a request. Its cookie holds a random id and, for each account it has signed in to, a MAC. An account is
/// an email in one church, because anyone may sign a church up with any email. The cookie grants no access: it selects
/// the rate limit ([`crate::rate_limits`]) and binds forms to a browser.
#[derive(Clone)]
pub struct Device {
    cookies: Cookies,
    /// Whether browsers use https.
    secure: bool,
}

/// Maximum accounts per browser; the oldest are dropped.
const MAX_ACCOUNTS: usize = 16;

const MAX_AGE: Duration = Duration::days(365);

/// Content of the cookie.
struct DeviceCookie {
    id: DeviceId,
    tags: Vec<String>,
}

impl Device {
    pub fn new(cookies: Cookies, secure: bool) -> Self {
        Self { cookies, secure }
    }

    /// Returns the id; sets the cookie if there is none.
    pub(crate) fn id_or_new(&self) -> DeviceId {
        match self.read() {
            Some(cookie) => cookie.id,
            None => {
                let cookie = DeviceCookie { id: random(), tags: Vec::new() };
                self.write(&cookie);
                cookie.id
            }
        }
    }

    pub(crate) fn id(&self) -> Option<DeviceId> {
        self.read().map(|cookie| cookie.id)
    }

    /// Returns whether the browser has signed in to this account before.
    pub(crate) fn knows(&self, secret: &Secret, email: &str, tenant_id: &str) -> bool {
        let Some(cookie) = self.read() else { return false };
        let tag = tag(secret, &cookie.id, email, tenant_id);
        cookie.tags.iter().any(|stored| constant_time_eq(stored.as_bytes(), tag.as_bytes()))
    }

    /// Records a sign-in to this account.
    pub(crate) fn remember(&self, secret: &Secret, email: &str, tenant_id: &str) {
        let mut cookie = self.read().unwrap_or_else(|| DeviceCookie { id: random(), tags: Vec::new() });
        let tag = tag(secret, &cookie.id, email, tenant_id);
        cookie.tags.retain(|stored| *stored != tag);
        cookie.tags.insert(0, tag);
        cookie.tags.truncate(MAX_ACCOUNTS);
        self.write(&cookie);
    }

    fn read(&self) -> Option<DeviceCookie> {
        let value = self.cookies.get(self.name())?;
        let mut parts = value.value().split('.');
        let id = BASE64_URL_SAFE_NO_PAD.decode(parts.next()?).ok()?.try_into().ok()?;
        Some(DeviceCookie { id, tags: parts.take(MAX_ACCOUNTS).map(str::to_owned).collect() })
    }

    fn write(&self, cookie: &DeviceCookie) {
        let mut value = BASE64_URL_SAFE_NO_PAD.encode(cookie.id);
        for tag in &cookie.tags {
            value.push('.');
            value.push_str(tag);
        }
        let cookie = Cookie::build((self.name(), value))
            .path("/")
            .http_only(true)
            .secure(self.secure)
            .same_site(SameSite::Lax)
            .max_age(MAX_AGE);
        self.cookies.add(cookie.build());
    }

    /// With https, `__Host-` prevents other hosts of the domain from setting it.
    fn name(&self) -> &'static str {
        if self.secure { "__Host-device" } else { "device" }
    }
}

fn tag(secret: &Secret, id: &DeviceId, email: &str, tenant_id: &str) -> String {
    let digest = secret.digest("device", &[&id[..], email.as_bytes(), b"\0", tenant_id.as_bytes()].concat());
    BASE64_URL_SAFE_NO_PAD.encode(&digest[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_known_for_the_accounts_it_has_signed_in_to() {
        let (ours, other) = (Secret::new(&[7; 32]).unwrap(), Secret::new(&[8; 32]).unwrap());
        let device = Device::new(Cookies::default(), true);
        assert!(!device.knows(&ours, "ruth@example.org", "a"));
        let id = device.id_or_new();
        assert!(!device.knows(&ours, "ruth@example.org", "a"));
        device.remember(&ours, "ruth@example.org", "a");
        assert_eq!(device.id(), Some(id));
        assert!(device.knows(&ours, "ruth@example.org", "a"));
        assert!(!device.knows(&ours, "ruth@example.org", "b"), "another church");
        assert!(!device.knows(&ours, "naomi@example.org", "a"));
        assert!(!device.knows(&other, "ruth@example.org", "a"));
        for n in 0..MAX_ACCOUNTS {
            device.remember(&ours, &format!("{n}@example.org"), "a");
        }
        assert!(!device.knows(&ours, "ruth@example.org", "a"), "the oldest gives way");
        assert!(device.knows(&ours, "0@example.org", "a"));
    }
}
