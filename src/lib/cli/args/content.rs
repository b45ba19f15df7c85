//! Options for the name that content is sent under, and for the cipher.

use std::path::Path;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::errors::Usage;
use crate::cms::enveloped_data::Cipher;
use crate::message::file_name;

/// `--keep-name` and `--name`.
#[derive(Debug, clap::Args)]
pub struct SuggestedName {
    /// Send the name of FILE along
    #[arg(long, conflicts_with = "name")]
    keep_name: bool,
    /// Send NAME along as the name of the file
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

impl SuggestedName {
    /// The file name to send along with content that is read from `file`; `None` if it is not
    /// wanted.
    ///
    /// # Errors
    /// A [`Usage`] error when there is no name to keep, or the name cannot be a file name.
    pub fn of(&self, file: Option<&Path>) -> anyhow::Result<Option<String>> {
        let told = match (&self.name, file) {
            (Some(name), _) => name.clone(),
            (None, _) if !self.keep_name => return Ok(None),
            (None, Some(file)) if file.as_os_str() != "-" => {
                let name = file.file_name().unwrap_or_default();
                name.to_string_lossy().into_owned()
            }
            _ => {
                let text = "--keep-name needs a FILE; --name gives one";
                return Err(Usage(text.to_owned()).into());
            }
        };
        // Checked here as recipients check it: a name that they would refuse is of no use.
        let safe = file_name::safe(&told);
        let safe = safe.ok_or_else(|| Usage(format!("{told:?} cannot be the name of a file")))?;
        Ok(Some(safe))
    }
}

/// `--cipher`.
#[derive(Debug, clap::Args)]
pub struct CipherChoice {
    /// How the content is encrypted; only aes-128-cbc is opened by every deployed node
    #[arg(long, value_name = "CIPHER", default_value = "aes-128-cbc", value_parser = cipher_parser())]
    pub cipher: Cipher,
}

/// Parses the name of a content cipher.
fn cipher_parser() -> impl TypedValueParser<Value = Cipher> {
    const NAMES: [&str; 6] = [
        "aes-128-cbc",
        "aes-192-cbc",
        "aes-256-cbc",
        "aes-128-gcm",
        "aes-192-gcm",
        "aes-256-gcm",
    ];
    PossibleValuesParser::new(NAMES).map(|name| {
        // The names have the key length in bits at this place.
        let key_len = match &name[4..7] {
            "128" => 16,
            "192" => 24,
            _ => 32,
        };
        if name.ends_with("cbc") {
            Cipher::Cbc { key_len }
        } else {
            Cipher::Gcm { key_len }
        }
    })
}
