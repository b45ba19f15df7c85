//! A value that is read when it is first needed, by whichever thread needs it.

use std::sync::{Mutex, OnceLock};

use super::mutex;

/// A value that is read at most once, unless reading it fails.
#[derive(Debug)]
pub struct Once<T> {
    value: OnceLock<T>,
    reading: Mutex<()>,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self {
            value: OnceLock::new(),
            reading: Mutex::default(),
        }
    }
}

impl<T> Once<T> {
    /// The value, which `read` gives the first time. Other threads wait for it meanwhile.
    ///
    /// # Errors
    /// Those of `read`; the next call tries again.
    pub fn get_or_read<E>(&self, read: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        // `OnceLock::get_or_try_init` is not stable yet.
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let _reading = mutex::lock(&self.reading);
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let value = read()?;
        Ok(self.value.get_or_init(|| value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_once_and_again_after_a_failure() {
        let once = Once::default();
        assert_eq!(once.get_or_read(|| Err("failed")), Err("failed"));
        assert_eq!(once.get_or_read(|| Ok::<_, ()>(1)), Ok(&1));
        assert_eq!(once.get_or_read(|| Err("unused")), Ok(&1));
    }
}
