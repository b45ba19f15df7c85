//! File systems that a test mounts for itself.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of its own, as long as this lives.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    /// One of this size; `None` for those who may not mount anything, after saying what is not tested.
    pub(crate) fn on(dir: PathBuf, size: &str, untested: &str) -> Option<Self> {
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&dir);
        if rustix::process::geteuid().is_root() && mount.status().is_ok_and(|it| it.success()) {
            return Some(Self(dir));
        }
        eprintln!("not tested, since nothing can be mounted: {untested}");
        None
    }

    /// An ext2, in a file; `None` for those who may not mount anything, or cannot make one.
    pub(crate) fn ext2(dir: PathBuf, image: &Path) -> Option<Self> {
        std::fs::File::create(image)
            .unwrap()
            .set_len(16 << 20)
            .unwrap();
        let mut make = Command::new("mkfs.ext2");
        make.arg("-q").arg(image);
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "ext2", "-o", "loop"])
            .arg(image)
            .arg(&dir);
        let does = |command: &mut Command| command.status().is_ok_and(|it| it.success());
        if rustix::process::geteuid().is_root() && does(&mut make) && does(&mut mount) {
            return Some(Self(dir));
        }
        eprintln!("not tested, since no ext2 can be made and mounted");
        None
    }

    pub(crate) fn remount(&self, option: &str) {
        let mut mount = Command::new("mount");
        mount
            .args(["-o", &format!("remount,{option}")])
            .arg(&self.0);
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
