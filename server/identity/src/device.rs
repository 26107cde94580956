//! A cookie by which a browser is known again, long after its session.

use crate::{
    Secret,
    seal::{equal, random},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use time::Duration;
use tower_cookies::{Cookie, Cookies, cookie::SameSite};

pub type DeviceId = [u8; 16];

/// The browser of one request. Its cookie holds a random id and, for each account it has signed in to, a tag that only
/// this installation can make. An account is an email in one church: anybody may open a church under any email, and must
/// not be known in another's by that. It admits to nothing: it says whose failures are counted together ([`crate::limits`])
/// and which browser a form was made for.
#[derive(Clone)]
pub struct Device {
    cookies: Cookies,
    /// Whether browsers reach us over https.
    secure: bool,
}

/// Families share browsers; what is beyond this many accounts, the oldest first, is a stranger again.
const MAX_ACCOUNTS: usize = 16;

const MAX_AGE: Duration = Duration::days(365);

/// What a cookie says.
struct Known {
    id: DeviceId,
    tags: Vec<String>,
}

impl Device {
    pub fn new(cookies: Cookies, secure: bool) -> Self {
        Self { cookies, secure }
    }

    /// Its id; one that has none yet gets it.
    pub(crate) fn id_or_new(&self) -> DeviceId {
        match self.read() {
            Some(known) => known.id,
            None => {
                let known = Known { id: random(), tags: Vec::new() };
                self.write(&known);
                known.id
            }
        }
    }

    pub(crate) fn id(&self) -> Option<DeviceId> {
        self.read().map(|known| known.id)
    }

    /// Whether it has signed in to this account before.
    pub(crate) fn knows(&self, secret: &Secret, email: &str, tenant_id: &str) -> bool {
        let Some(known) = self.read() else { return false };
        let tag = tag(secret, &known.id, email, tenant_id);
        known.tags.iter().any(|known| equal(known.as_bytes(), tag.as_bytes()))
    }

    /// It has signed in to this account.
    pub(crate) fn remember(&self, secret: &Secret, email: &str, tenant_id: &str) {
        let mut known = self.read().unwrap_or_else(|| Known { id: random(), tags: Vec::new() });
        let tag = tag(secret, &known.id, email, tenant_id);
        known.tags.retain(|known| *known != tag);
        known.tags.insert(0, tag);
        known.tags.truncate(MAX_ACCOUNTS);
        self.write(&known);
    }

    fn read(&self) -> Option<Known> {
        let cookie = self.cookies.get(self.name())?;
        let mut parts = cookie.value().split('.');
        let id = BASE64_URL_SAFE_NO_PAD.decode(parts.next()?).ok()?.try_into().ok()?;
        Some(Known { id, tags: parts.take(MAX_ACCOUNTS).map(str::to_owned).collect() })
    }

    fn write(&self, known: &Known) {
        let mut value = BASE64_URL_SAFE_NO_PAD.encode(known.id);
        for tag in &known.tags {
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

    /// Over https no other host of the domain can plant it.
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
