//! The answer of a server to a parcel, whichever binding sent it.

use super::http::Answer;
use super::retry::{RequestKind, SendOutcome};
use super::{Error, Server};
use crate::kind::ErrorKind;

/// The media type of a parcel, which deployed servers compare octet by octet.
pub const PARCEL: &str = "application/vnd.awala.parcel";

/// The answer of a server to a parcel.
#[derive(Debug)]
pub enum ParcelAnswer {
    /// It has the parcel.
    Accepted,
    /// It will never take this parcel, and says why.
    Refused(Error),
}

impl ParcelAnswer {
    /// What an HTTP answer of a server says of the parcel that was sent.
    ///
    /// # Errors
    /// When the parcel is to be tried again.
    pub fn of(answer: Answer, kind: RequestKind, server: &Server) -> Result<Self, Error> {
        match SendOutcome::of_status(kind, answer.status) {
            SendOutcome::Accepted => Ok(Self::Accepted),
            SendOutcome::RefusedForGood => {
                Ok(Self::Refused(answer.into_error(server, ErrorKind::Refused)))
            }
            SendOutcome::Later(kind) => Err(answer.into_error(server, kind)),
        }
    }
}
