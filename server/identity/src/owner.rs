use crate::{Error, Result, Secret};
use serde::{Deserialize, Serialize};

/// The owner of a new church; sealed in the run until the tenant is seeded.
#[derive(Clone, Serialize, Deserialize)]
pub struct Owner {
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub password_hash: String,
}

impl Owner {
    pub(crate) fn seal(&self, secret: &Secret, tenant_id: &str) -> Vec<u8> {
        secret.seal(tenant_id, &serde_json::to_vec(self).expect("four strings are JSON"))
    }

    pub fn open(secret: &Secret, tenant_id: &str, sealed: &[u8]) -> Result<Self> {
        serde_json::from_slice(&secret.open(tenant_id, sealed)?).map_err(|_| Error::Sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_the_same_tenant_and_key_only() {
        let (key, other) = (Secret::new(&[7; 32]).unwrap(), Secret::new(&[8; 32]).unwrap());
        let owner = Owner {
            first_name: "Ruth".into(),
            last_name: "Okafor".into(),
            email: "ruth@example.org".into(),
            password_hash: "hash".into(),
        };
        let sealed = owner.seal(&key, "a");
        assert_eq!(Owner::open(&key, "a", &sealed).unwrap().email, owner.email);
        assert!(Owner::open(&key, "b", &sealed).is_err());
        assert!(Owner::open(&other, "a", &sealed).is_err());
        assert!(Owner::open(&key, "a", &[]).is_err());
    }
}
