//! A file on this machine that gets its name only once it is whole. Until then, it is beside its name with the suffix `.part`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::cli::save::{folder_of, sync_folder, with_suffix};

/// The file that is being written. If this value is dropped without [`NewFile::keep`], the file is removed.
pub(super) struct NewFile {
    part: tempfile::TempPath,
    to: PathBuf,
}

impl NewFile {
    /// Creates the file, which only its owner can read, and returns it with its writer.
    pub fn create(to: &Path) -> io::Result<(NewFile, BufWriter<File>)> {
        let part = with_suffix(to, ".part");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        let part = tempfile::TempPath::try_from_path(part)?;
        Ok((NewFile { part, to: to.into() }, BufWriter::new(file)))
    }

    /// Writes the file to the disk and gives it its name. Fails if there is a file of that name.
    pub fn keep(self, mut file: BufWriter<File>) -> io::Result<()> {
        file.flush()?;
        file.get_ref().sync_all()?;
        self.part.persist_noclobber(&self.to).map_err(|e| e.error)?;
        sync_folder(folder_of(&self.to));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_once_it_is_whole_and_none_is_overwritten() {
        let folder = tempfile::tempdir().expect("there is room");
        let to = folder.path().join("new.db");
        let names = || std::fs::read_dir(folder.path()).expect("it exists").count();
        let (new, mut file) = NewFile::create(&to).expect("there is room");
        file.write_all(b"half").expect("there is room");
        drop((new, file));
        assert_eq!(names(), 0, "nothing is left of a file that was not kept");
        for content in ["one", "two"] {
            let (new, mut file) = NewFile::create(&to).expect("there is room");
            file.write_all(content.as_bytes()).expect("there is room");
            assert_eq!(new.keep(file).is_ok(), content == "one");
            assert_eq!((std::fs::read_to_string(&to).expect("it exists").as_str(), names()), ("one", 1));
        }
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&to).expect("it exists").permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}
