//! Operations on files and directories by their paths.

pub use super::dirs::{create_dir, create_dir_all_private, create_dir_for_user};
pub use super::metadata::{
    FileId, FileSet, FileState, FileVersion, canonical, exists, free_space, is_another, is_mapped,
    is_mounted, is_of_another, is_writable_dir, owner, user, version,
};
pub use super::open::{open_input, open_to_read};
pub use super::read::{
    read, read_again, read_from, read_into, read_secret, read_wiped, read_with_owner,
};
pub use super::records::{append_line, append_record, append_records, each_record};
pub use super::remove::{
    remove, remove_dir, remove_same, remove_tree, remove_unsynced, retire_tree,
};
pub use super::standard::{Standard, open_descriptor};
pub use super::sync::{sync, sync_dir};
