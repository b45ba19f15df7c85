//! Files, atomic publication, locks and directory walks: the only floor that changes files.
