//! A supply of private keys, which are made on separate threads, because RSA keys take longer than everything else in the PKI of a new cluster.

use std::num::NonZero;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::key::Key;
use crate::inventory::KeyAlgorithm;

/// Private keys of one algorithm. Keys that were requested in advance are made in the background.
pub struct Keys {
    algorithm: KeyAlgorithm,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stock: Mutex<Stock>,
    changed: Condvar,
}

#[derive(Default)]
struct Stock {
    ready: Vec<Key>,
    /// The number of keys that were requested and that no thread makes yet.
    wanted: usize,
    /// The number of keys that are being made now, one per thread.
    making: usize,
}

impl Keys {
    /// An empty supply.
    pub fn new(algorithm: KeyAlgorithm) -> Self {
        Keys { algorithm, shared: Arc::default() }
    }

    /// Makes sure that this many keys are ready, requested or being made, on as many threads as there are processors. Returns at once.
    pub fn ahead(&self, count: usize) {
        let mut stock = self.shared.lock();
        let coming = stock.ready.len() + stock.wanted + stock.making;
        stock.wanted += count.saturating_sub(coming);
        let threads = thread::available_parallelism().map_or(1, NonZero::get).min(stock.wanted + stock.making);
        for _ in stock.making..threads {
            let Some(shared) = begin(&mut stock, &self.shared) else { break };
            let algorithm = self.algorithm;
            thread::spawn(move || shared.work(algorithm));
        }
    }

    /// Starts to make all keys that a new cluster with this many control-plane hosts needs. The caller saves time if it does so before it
    /// observes the hosts: an RSA-2048 key takes about 100 ms of processor time, so that the keys are the longest part of the PKI.
    pub fn ahead_for_new_cluster(&self, masters: usize) {
        const SHARED: usize = 4; // three authorities, service accounts
        const PER_MASTER: usize = 11; // seven pairs of files, three kubeconfigs, the kubelet
        const ONCE: usize = 1; // super-admin.conf
        self.ahead(SHARED + PER_MASTER * masters + ONCE);
    }

    /// Removes a key from the supply: a ready one, or else the next one to be ready. If none is being made, it makes the key itself.
    pub(super) fn take(&self) -> Result<Key, String> {
        let mut stock = self.shared.lock();
        loop {
            if let Some(key) = stock.ready.pop() {
                return Ok(key);
            }
            if stock.wanted + stock.making == 0 {
                break;
            }
            stock = self.shared.changed.wait(stock).unwrap_or_else(PoisonError::into_inner);
        }
        drop(stock);
        Key::generate(self.algorithm)
    }
}

impl Drop for Keys {
    /// Cancels the requested keys that no thread makes yet, so that each thread ends after the key that it is making.
    fn drop(&mut self) {
        self.shared.lock().wanted = 0;
    }
}

/// Counts one key as being made instead of wanted. `None` if no key is wanted.
fn begin(stock: &mut Stock, shared: &Arc<Shared>) -> Option<Arc<Shared>> {
    stock.wanted = stock.wanted.checked_sub(1)?;
    stock.making += 1;
    Some(Arc::clone(shared))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes keys until none is wanted. After a failure no more keys are wanted, and the next caller of `take` makes the key itself and gets the
    /// error.
    fn work(&self, algorithm: KeyAlgorithm) {
        loop {
            let made = Key::generate(algorithm);
            let mut stock = self.lock();
            match made {
                Ok(key) => stock.ready.push(key),
                Err(_) => stock.wanted = 0,
            }
            let more = stock.wanted > 0;
            if more {
                stock.wanted -= 1;
            } else {
                stock.making -= 1;
            }
            drop(stock);
            self.changed.notify_all();
            if !more {
                return;
            }
        }
    }
}
