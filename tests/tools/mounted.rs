//! File systems that a test mounts for itself.

use std::path::PathBuf;
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
