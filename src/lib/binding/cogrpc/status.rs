//! How a call of gRPC ends: a code, and text for people (gRPC over HTTP/2 §Responses).

use std::fmt;

/// The largest `grpc-message` that is written, in octets before it is encoded: readers limit their headers.
const MAX_TEXT: usize = 200;

/// A status code of gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // their meaning is gRPC's: https://grpc.io/docs/guides/status-codes/
pub enum GrpcCode {
    Ok,
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

impl GrpcCode {
    /// All codes in their order: the code 5 is at index 5.
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The code of a number. gRPC says that an unknown one stands for UNKNOWN.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        Self::ALL.get(index).copied().unwrap_or(Self::Unknown)
    }

    /// The code in the value of `grpc-status`: an unknown one, and text that is no number, stand for UNKNOWN.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        let is_number = !value.is_empty() && value.bytes().all(|octet| octet.is_ascii_digit());
        let number = if is_number { value.parse().ok() } else { None };
        number.map_or(Self::Unknown, Self::from_number)
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u32 {
        self as u32
    }

    /// Its name, as the documentation of gRPC spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

impl fmt::Display for GrpcCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a call ended, or is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcStatus {
    /// The code.
    pub code: GrpcCode,
    /// What `grpc-message` says, decoded. `None` without that header, which is not the same as an empty one: the
    /// couriers of phones drop a used CCA only if `PERMISSION_DENIED` comes without it.
    pub text: Option<String>,
}

impl GrpcStatus {
    /// A status without text.
    #[must_use]
    pub fn bare(code: GrpcCode) -> Self {
        Self { code, text: None }
    }

    /// A status with text for people, which is cut at 200 octets.
    #[must_use]
    pub fn with_text(code: GrpcCode, text: impl Into<String>) -> Self {
        let mut text = text.into();
        let fits = |end: &usize| text.is_char_boundary(*end);
        let end = (0..=text.len().min(MAX_TEXT)).rev().find(fits);
        text.truncate(end.unwrap_or(0));
        let text = Some(text);
        Self { code, text }
    }
}

/// Writes text as the value of `grpc-message`: octets other than printable ASCII, and `%`, become `%XX`.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        if (b' '..=b'~').contains(&octet) && octet != b'%' {
            encoded.push(char::from(octet));
        } else {
            use fmt::Write as _;
            let _ = write!(encoded, "%{octet:02X}"); // a String takes everything
        }
    }
    encoded
}

/// Reads the value of `grpc-message`. As gRPC says, what is malformed is kept as it is, and octets that are no UTF-8
/// become U+FFFD.
#[must_use]
pub fn percent_decode(value: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, after @ ..] = rest {
        let escaped = match after {
            [high, low, ..] if *first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            decoded.push(high << 4 | low);
            rest = &after[2..];
        } else {
            decoded.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn digit(octet: u8) -> Option<u8> {
    let value = char::from(octet).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn codes_have_their_numbers_and_names() {
        for (number, code) in (0..).zip(GrpcCode::ALL) {
            assert_eq!(code.number(), number);
            assert_eq!(GrpcCode::from_number(number), code);
            assert_eq!(GrpcCode::parse(&number.to_string()), code);
        }
        assert_eq!(GrpcCode::from_number(16).to_string(), "UNAUTHENTICATED");
        assert_eq!(GrpcCode::from_number(17), GrpcCode::Unknown);
        for value in ["", "-1", "+3", "x", " 0", "99999999999999999999", "255"] {
            assert_eq!(GrpcCode::parse(value), GrpcCode::Unknown, "{value:?}");
        }
    }

    #[test]
    fn text_is_escaped_as_grpc_says() {
        assert_eq!(percent_encode("50 % näher\r\n"), "50 %25 n%C3%A4her%0D%0A");
        assert_eq!(percent_decode(b"50 %25 n%c3%A4her%0D"), "50 % näher\r");
        for malformed in ["%", "%4", "100%", "%zz", "%+1", "a%2"] {
            assert_eq!(percent_decode(malformed.as_bytes()), malformed);
        }
        assert_eq!(percent_decode(b"%FF"), "\u{fffd}");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let status = GrpcStatus::with_text(GrpcCode::Internal, "ä".repeat(150) + "x");
        assert_eq!(status.text.unwrap(), "ä".repeat(100));
        let status = GrpcStatus::with_text(GrpcCode::Internal, format!("x{}", "ä".repeat(150)));
        assert_eq!(status.text.unwrap().len(), 199);
        assert_eq!(GrpcStatus::bare(GrpcCode::PermissionDenied).text, None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_text_is_read_back(text in any::<String>()) {
            let encoded = percent_encode(&text);
            prop_assert!(encoded.bytes().all(|it| (b' '..=b'~').contains(&it)));
            prop_assert_eq!(percent_decode(encoded.as_bytes()), text);
        }

        #[test]
        fn any_value_is_read(value in any::<Vec<u8>>()) {
            let read = percent_decode(&value);
            prop_assert!(read.chars().count() <= value.len());
        }
    }
}
