//! Helpers: constant-time comparison, hex, randomness.

use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};

/// Compares in constant time, by digests.
pub(crate) fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    digest(&SHA256, left).as_ref() == digest(&SHA256, right).as_ref()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system has randomness");
    bytes
}
