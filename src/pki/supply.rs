//! A supply of private keys, made on threads of their own: RSA keys take longer than everything else of a fresh cluster's PKI.

use std::num::NonZero;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::key::Key;
use crate::inventory::KeyAlgorithm;

/// Private keys of one algorithm. Keys that were asked for ahead are made in the background.
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
    /// Asked for and not begun.
    wanted: usize,
    /// Being made now, one per thread.
    making: usize,
}

impl Keys {
    /// A supply with nothing in it yet.
    pub fn new(algorithm: KeyAlgorithm) -> Self {
        Keys { algorithm, shared: Arc::default() }
    }

    /// Sees to it that this many keys are ready or being made, on as many threads as there are processors. Returns at once.
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

    /// Starts on everything a new cluster with so many masters needs. Worth calling before hosts are asked anything: at some
    /// 100 ms of processor time per RSA-2048 key this is the longest part of its PKI.
    pub fn ahead_for_new_cluster(&self, masters: usize) {
        const SHARED: usize = 4; // three authorities, service accounts
        const PER_MASTER: usize = 11; // seven pairs of files, three kubeconfigs, the kubelet
        const ONCE: usize = 1; // super-admin.conf
        self.ahead(SHARED + PER_MASTER * masters + ONCE);
    }

    /// A key nobody else has: a ready one, else the next to be ready, else one made here.
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
    /// Threads stop after the key they are at.
    fn drop(&mut self) {
        self.shared.lock().wanted = 0;
    }
}

/// Moves one key from wanted to being made.
fn begin(stock: &mut Stock, shared: &Arc<Shared>) -> Option<Arc<Shared>> {
    stock.wanted = stock.wanted.checked_sub(1)?;
    stock.making += 1;
    Some(Arc::clone(shared))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes keys until none is wanted. A failure ends the wanting: whoever takes next makes the key itself and sees the error.
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
