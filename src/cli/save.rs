//! Writes files on the operator's machine, each of them completely or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What to do about a file that exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    Refuse,
    Replace,
}

/// Writes a new file beside the path, then moves it to the path at once. Links are followed. Only the owner can read the file meanwhile.
pub fn whole(path: &Path, bytes: &[u8], mode: u32, existing: Existing) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let beside = with_suffix(&path, &format!(".{}.new", std::process::id()));
    let written = fill(&beside, bytes, mode).and_then(|()| match existing {
        Existing::Replace => fs::rename(&beside, &path),
        // A hard link, unlike a rename, fails if the name is taken.
        Existing::Refuse => fs::hard_link(&beside, &path),
    });
    if written.is_err() || existing == Existing::Refuse {
        let _ = fs::remove_file(&beside);
    }
    written
}

fn fill(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    file.sync_all()
}

/// Creates a folder that only its owner can access, if it does not exist.
pub fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The path with this suffix at the end of its name.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Prevents other programs that use kubectl's way of locking a file from changing the same file meanwhile.
pub struct FileLock(PathBuf);

impl FileLock {
    /// Fails with `AlreadyExists` while another program holds the lock.
    pub fn take(path: &Path) -> io::Result<FileLock> {
        let lock = with_suffix(path, ".lock");
        File::create_new(&lock).map(|_| FileLock(lock))
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
