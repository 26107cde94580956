//! Read-through caches, invalidated by the registry's notifications.

use moka::sync::Cache as Values;
use std::{
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Cache TTL; bounds staleness if a NOTIFY is lost.
pub(crate) const CACHE_TTL: Duration = Duration::from_secs(30);

/// Number of generation counters, shared by hash: an invalidation discards only a few other reads in progress.
const GENERATIONS: usize = 256;

/// A cache of values read from a database.
///
/// Never stores a value read before the last invalidation of its key: the notification may arrive between the query and
/// its result, and the stale value would stay until the TTL.
pub(crate) struct Cache<K, V> {
    values: Values<K, V>,
    generations: Box<[Mutex<u64>]>,
    hasher: RandomState,
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}

/// Generation at the start of a read; decides whether the value may be stored.
#[derive(Clone, Copy)]
pub(crate) struct Reading(u64);

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub fn new(capacity: u64, ttl: Duration) -> Self {
        Self {
            values: Values::builder().max_capacity(capacity).time_to_live(ttl).build(),
            generations: (0..GENERATIONS).map(|_| Mutex::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    pub fn get(&self, key: &K) -> Option<V> {
        self.values.get(key)
    }

    /// Returns the cached value, or else reads and stores it.
    pub async fn get_or_read<E>(&self, key: &K, read: impl Future<Output = Result<V, E>>) -> Result<V, E> {
        if let Some(value) = self.get(key) {
            return Ok(value);
        }
        let reading = self.begin(key);
        let value = read.await?;
        self.store(reading, key, &value);
        Ok(value)
    }

    pub fn begin(&self, key: &K) -> Reading {
        Reading(*self.generation(key))
    }

    /// Stores a value, unless its key was invalidated since `begin`.
    pub fn store(&self, reading: Reading, key: &K, value: &V) {
        let generation = self.generation(key);
        if *generation == reading.0 {
            self.values.insert(key.clone(), value.clone());
        }
    }

    /// Stores a written value and discards concurrent reads. Of two concurrent writes neither is stored, as their order is
    /// unknown.
    pub fn replace(&self, begun: Reading, key: &K, value: &V) {
        let mut generation = self.generation(key);
        let alone = *generation == begun.0;
        *generation += 1;
        if alone {
            self.values.insert(key.clone(), value.clone());
        } else {
            self.values.invalidate(key);
        }
    }

    pub fn invalidate(&self, key: &K) {
        let mut generation = self.generation(key);
        *generation += 1;
        self.values.invalidate(key);
    }

    pub fn invalidate_all(&self) {
        for generation in &self.generations {
            *lock(generation) += 1;
        }
        self.values.invalidate_all();
    }

    fn generation(&self, key: &K) -> MutexGuard<'_, u64> {
        lock(&self.generations[self.hasher.hash_one(key) as usize % GENERATIONS])
    }
}

fn lock(generation: &Mutex<u64>) -> MutexGuard<'_, u64> {
    generation.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> Cache<&'static str, i32> {
        Cache::new(10, Duration::from_secs(60))
    }

    #[test]
    fn a_value_read_before_the_last_invalidation_is_not_stored() {
        for invalidate in [Cache::invalidate_all as fn(&Cache<_, _>), |cache| cache.invalidate(&"a")] {
            let cache = cache();
            let reading = cache.begin(&"a");
            invalidate(&cache);
            cache.store(reading, &"a", &1);
            assert_eq!(cache.get(&"a"), None);
            cache.store(cache.begin(&"a"), &"a", &2);
            assert_eq!(cache.get(&"a"), Some(2));
            invalidate(&cache);
            assert_eq!(cache.get(&"a"), None);
        }
    }

    #[test]
    fn a_value_read_before_a_write_does_not_replace_what_was_written() {
        let cache = cache();
        let reading = cache.begin(&"a");
        cache.replace(cache.begin(&"a"), &"a", &2);
        cache.store(reading, &"a", &1);
        assert_eq!(cache.get(&"a"), Some(2));
        let (first, second) = (cache.begin(&"a"), cache.begin(&"a"));
        cache.replace(first, &"a", &3);
        cache.replace(second, &"a", &4);
        assert_eq!(cache.get(&"a"), None);
    }
}
