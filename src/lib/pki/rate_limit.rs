//! How many parcels may be sent under an authorization (RS-002 §Rate Limiting Extension).

use std::fmt;

use jiff::SignedDuration;

use crate::asn1::{self, Element, tag, write};

/// The most parcels in a period that nodes count. It bounds what one check reads.
pub const MAX_PARCELS: u32 = 65_536;

/// The longest period that nodes count, in seconds: 180 days, as long as an authorization lasts.
const MAX_PERIOD: u32 = 180 * 24 * 60 * 60;

/// The most parcels that a sender may date within any span of `period`.
///
/// ```text
/// PKIPDARateLimit ::= SEQUENCE { limit INTEGER, period INTEGER }  -- period in seconds
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    parcels: u32,
    seconds: u32,
}

impl RateLimit {
    /// The rate of so many parcels in a period.
    ///
    /// # Errors
    /// The reason, if nodes do not count so many, or not over such a period.
    pub fn new(parcels: u32, period: SignedDuration) -> Result<Self, &'static str> {
        const PERIOD: &str = "not a period of 1s to 180d";
        if !(1..=MAX_PARCELS).contains(&parcels) {
            return Err("not 1 to 65536 parcels");
        }
        let seconds = u32::try_from(period.as_secs()).map_err(|_| PERIOD)?;
        if !(1..=MAX_PERIOD).contains(&seconds) {
            return Err(PERIOD);
        }
        Ok(Self { parcels, seconds })
    }

    /// How many parcels.
    #[must_use]
    pub fn parcels(self) -> u32 {
        self.parcels
    }

    /// In which period.
    #[must_use]
    pub fn period(self) -> SignedDuration {
        SignedDuration::from_secs(self.seconds.into())
    }

    /// The value of the extension, in DER.
    pub(super) fn to_der(self) -> Vec<u8> {
        let integers = [self.parcels, self.seconds]
            .map(|value| write::tlv(tag::INTEGER, &write::integer_content(value)));
        write::tlv(tag::SEQUENCE, &integers.concat())
    }

    /// Reads the value of the extension; `None` for one that nodes do not count.
    ///
    /// # Errors
    /// When it is malformed.
    pub(super) fn parse(value: &[u8]) -> Result<Option<Self>, asn1::Error> {
        let mut fields = Element::der(value, tag::SEQUENCE)?.children();
        let mut number = |implicit: u8| {
            // The specification names no module for this type, so its tags may be automatic as
            // everywhere else on this network.
            let field = match fields.optional(implicit)? {
                Some(field) => field,
                None => fields.take(tag::INTEGER)?,
            };
            field.small_integer()
        };
        let (parcels, seconds) = (number(0x80)?, number(0x81)?);
        fields.finish()?;
        Ok(Self::new(parcels, SignedDuration::from_secs(seconds.into())).ok())
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];
        let fits = |(length, _): &&(u32, char)| self.seconds.is_multiple_of(*length);
        let (length, unit) = units.iter().find(fits).unwrap_or(&(1, 's'));
        write!(
            formatter,
            "{}/{}{unit}",
            self.parcels,
            self.seconds / length
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_reads_back_in_both_forms() {
        let rate = RateLimit::new(24, SignedDuration::from_hours(24)).unwrap();
        assert_eq!(rate.to_string(), "24/1d");
        let der = rate.to_der();
        assert_eq!(der, [0x30, 8, 2, 1, 24, 2, 3, 1, 0x51, 0x80]);
        assert_eq!(RateLimit::parse(&der), Ok(Some(rate)));
        let automatic = [0x30, 8, 0x80, 1, 24, 0x81, 3, 1, 0x51, 0x80];
        assert_eq!(RateLimit::parse(&automatic), Ok(Some(rate)));
        let odd = RateLimit::new(1, SignedDuration::from_secs(90)).unwrap();
        assert_eq!(odd.to_string(), "1/90s");
    }

    #[test]
    fn what_nodes_do_not_count_is_no_rate() {
        let day = SignedDuration::from_hours(24);
        assert!(RateLimit::new(0, day).is_err());
        assert!(RateLimit::new(MAX_PARCELS + 1, day).is_err());
        for period in [0, -1, 181 * 86_400, i64::MAX] {
            let period = SignedDuration::from_secs(period);
            assert!(RateLimit::new(1, period).is_err());
        }
        // Zero parcels is nothing that nodes count.
        assert_eq!(RateLimit::parse(&[0x30, 6, 2, 1, 0, 2, 1, 1]), Ok(None));
        assert!(RateLimit::parse(&[0x30, 3, 2, 1, 24]).is_err());
        assert!(RateLimit::parse(&[0x30, 9, 2, 1, 24, 2, 1, 1, 2, 1, 1]).is_err());
    }
}
