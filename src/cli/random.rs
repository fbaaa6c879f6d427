//! Text of random characters (the IDs of runs, and bootstrap tokens), and random bytes (keys).

use rand::{Rng, RngExt};

/// The digits of hexadecimal numbers.
pub const HEX: &[u8] = b"0123456789abcdef";
/// The characters of bootstrap tokens.
pub const TOKEN: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// Returns `length` random characters of this alphabet.
pub fn text(length: usize, alphabet: &[u8]) -> String {
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(alphabet[rng.random_range(0..alphabet.len())])).collect()
}

/// Returns this many random bytes.
pub fn bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}
