//! What kind of file system a directory is on, as far as the system tells.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Linux's list of what is mounted: proc(5).
const MOUNTS: &str = "/proc/self/mountinfo";

/// File systems that keep no journal, nor anything that makes up for it.
const WITHOUT_JOURNAL: [&str; 8] = [
    "exfat", "ext2", "hfs", "minix", "msdos", "sysv", "ufs", "vfat",
];

/// The kind of the file system of a directory, if it is one on which a power cut can separate what belongs together,
/// such as the two halves of a rename; `None` also where that cannot be told.
#[must_use]
pub fn unjournalled(dir: &Path) -> Option<String> {
    let device = fs::metadata(dir).ok()?.dev();
    let mounts = fs::read_to_string(MOUNTS).ok()?;
    let number = format!(
        "{}:{}",
        rustix::fs::major(device),
        rustix::fs::minor(device)
    );
    let kind = kind_of(&mounts, &number)?;
    WITHOUT_JOURNAL.contains(&kind).then(|| kind.to_owned())
}

/// The kind of the file system on the device of this number. Programs that provide one themselves (FUSE) say no more
/// than that.
fn kind_of<'a>(mounts: &'a str, number: &str) -> Option<&'a str> {
    mounts.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        (mount.split(' ').nth(2) == Some(number)).then(|| system.split(' ').next())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_file_system_is_found_by_its_device() {
        let mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
            30 22 0:26 / /run rw shared:5 master:2 - tmpfs tmpfs rw,size=10%\n\
            41 22 8:17 / /media/a\\040-\\040b rw - vfat /dev/sdb1 rw,fmask=0022\n\
            42 22 8:33 /sub /srv rw - ext2 /dev/sdc1 rw\n";
        assert_eq!(kind_of(mounts, "8:1"), Some("ext4"));
        assert_eq!(kind_of(mounts, "0:26"), Some("tmpfs"));
        assert_eq!(kind_of(mounts, "8:17"), Some("vfat"));
        assert_eq!(kind_of(mounts, "8:33"), Some("ext2"));
        assert_eq!(kind_of(mounts, "8:3"), None);
        assert_eq!(kind_of("torn", "8:3"), None);
    }
}
