//! Writes files on the operator's machine, each of them completely or not at all.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What to do about a file that exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    Refuse,
    Replace,
}

/// Writes `bytes` to a temporary file in the folder of `path` and then renames it to `path`, so that no reader sees a part of the content. If `path`
/// is a symbolic link, the file to which it leads is replaced. Until the temporary file gets `mode`, only its owner can read it.
pub fn whole(path: &Path, bytes: &[u8], mode: u32, existing: Existing) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = folder_of(&path);
    let mut beside = tempfile::Builder::new().prefix(".clusterctl-").suffix(".new").tempfile_in(folder)?;
    beside.write_all(bytes)?;
    beside.as_file().set_permissions(Permissions::from_mode(mode))?;
    beside.as_file().sync_all()?;
    match existing {
        Existing::Replace => beside.persist(&path),
        Existing::Refuse => beside.persist_noclobber(&path),
    }?;
    sync_folder(folder);
    Ok(())
}

/// The folder of a file.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes the names of the files in the folder to the disk. A failure is ignored: the files are complete already, and not every file system can sync a
/// folder.
pub fn sync_folder(folder: &Path) {
    let _ = File::open(folder).and_then(|f| f.sync_all());
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

/// A lock on a file, as kubectl takes it: a second file with the suffix `.lock`. While this value exists, kubectl and other programs that obey such
/// locks do not change the file. Dropping the value removes the lock.
pub struct FileLock(PathBuf);

impl FileLock {
    /// Locks the file at `path`. Fails with `AlreadyExists` while another program holds the lock.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        let mut names: Vec<OsString> = fs::read_dir(folder).expect("it exists").map(|e| e.expect("it is readable").file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_through_a_link_and_has_the_mode() {
        let folder = tempfile::tempdir().expect("there is room");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "a longer text from before").expect("it is writable");
        std::os::unix::fs::symlink("file", &link).expect("it is writable");
        whole(&link, b"new", 0o640, Existing::Replace).expect("it is writable");
        assert_eq!(fs::read(&file).expect("it exists"), b"new");
        assert_eq!(fs::metadata(&file).expect("it exists").permissions().mode() & 0o7777, 0o640);
        assert!(fs::symlink_metadata(&link).expect("it exists").is_symlink());
        assert_eq!(names(folder.path()), ["file", "link"]);
    }

    #[test]
    fn an_existing_file_is_kept_when_asked_to() {
        let folder = tempfile::tempdir().expect("there is room");
        let file = folder.path().join("file");
        whole(&file, b"old", 0o600, Existing::Refuse).expect("it is writable");
        let fault = whole(&file, b"new", 0o600, Existing::Refuse).expect_err("it exists");
        assert_eq!(fault.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&file).expect("it exists"), b"old");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn nothing_is_left_of_a_file_that_cannot_get_its_name() {
        let folder = tempfile::tempdir().expect("there is room");
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).expect("it is writable");
        whole(&taken, b"new", 0o600, Existing::Replace).expect_err("it is a folder");
        assert_eq!(names(folder.path()), ["taken"]);
    }
}
