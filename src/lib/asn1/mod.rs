//! BER, PEM, dates and object identifiers: what the `der` crate lacks.
