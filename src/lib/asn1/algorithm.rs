//! AlgorithmIdentifier (RFC 5280 §4.1.1.2).

use der::asn1::ObjectIdentifier;

use super::{Element, Error, oid, tag, write};

/// An algorithm and its parameters, as received.
///
/// ```text
/// AlgorithmIdentifier ::= SEQUENCE { algorithm OBJECT IDENTIFIER, parameters ANY OPTIONAL }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Algorithm<'a> {
    /// The object identifier of the algorithm.
    pub oid: ObjectIdentifier,
    /// The parameters, one DER or BER value; `None` if absent.
    pub parameters: Option<Element<'a>>,
    /// The whole identifier as received, header included.
    pub whole: &'a [u8],
}

impl<'a> Algorithm<'a> {
    /// Parses the SEQUENCE `element`, under the rules that it was read with.
    ///
    /// # Errors
    /// When it is not an AlgorithmIdentifier.
    pub fn parse(element: &Element<'a>) -> Result<Self, Error> {
        if element.tag() != tag::SEQUENCE {
            return Err(Error::Tag {
                expected: tag::SEQUENCE,
                found: element.tag(),
            });
        }
        let mut fields = element.children();
        let oid = fields.take(tag::OID)?.oid()?;
        let parameters = fields.any()?;
        fields.finish()?;
        Ok(Self {
            oid,
            parameters,
            whole: element.whole(),
        })
    }

    /// Whether the parameters are absent or NULL, as most algorithms have them.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        // JavaScript nodes write NULL for a hash, JVM nodes leave the parameters out.
        self.parameters
            .is_none_or(|parameters| parameters.whole() == [tag::NULL, 0])
    }
}

/// Encodes an AlgorithmIdentifier in DER. `parameters` is one whole DER value, or empty to leave
/// them out.
#[must_use]
pub fn to_der(algorithm: &ObjectIdentifier, parameters: &[u8]) -> Vec<u8> {
    write::constructed(tag::SEQUENCE, &[&oid::to_der(algorithm), parameters])
}
