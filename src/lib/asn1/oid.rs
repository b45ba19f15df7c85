//! The object identifiers in use on this network.

use der::asn1::ObjectIdentifier;

use super::{tag, write};

// `new_unwrap` is evaluated at compile time: a malformed identifier does not build.
macro_rules! oids {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: ObjectIdentifier = ObjectIdentifier::new_unwrap($text);)*
    };
}

oids! {
    /// PDA Rate Limiting (RS-002): how many parcels may be sent under an authorization.
    PDA_RATE_LIMIT = "1.3.6.1.4.1.58708.0.0.0";
    /// Unprotected attribute with the originator's session key id (RS-003).
    ORIGINATOR_KEY_ID = "1.3.6.1.4.1.58708.0.1.0";
    /// Purpose of a PNRA signature: the first field of what the gateway signs.
    PNRA_SIGNATURE = "1.3.6.1.4.1.58708.0.2.0";
    /// Purpose of a PNRR countersignature: the first field of what the node signs.
    PNRA_COUNTERSIGNATURE = "1.3.6.1.4.1.58708.0.2.1";
    /// Purpose of a parcel delivery's countersignature (RS-016 §Delivery).
    PARCEL_DELIVERY = "1.3.6.1.4.1.58708.0.3.0";
    /// Purpose of the signature over a nonce, by which a node collects parcels (RS-016 §Collection).
    PARCEL_COLLECTION = "1.3.6.1.4.1.58708.0.3.1";
    /// id-data (RFC 5652 §4).
    DATA = "1.2.840.113549.1.7.1";
    /// id-signedData (RFC 5652 §5.1).
    SIGNED_DATA = "1.2.840.113549.1.7.2";
    /// id-envelopedData (RFC 5652 §6.1).
    ENVELOPED_DATA = "1.2.840.113549.1.7.3";
    /// id-contentType (RFC 5652 §11.1).
    CONTENT_TYPE = "1.2.840.113549.1.9.3";
    /// id-messageDigest (RFC 5652 §11.2).
    MESSAGE_DIGEST = "1.2.840.113549.1.9.4";
    /// rsaEncryption (RFC 8017 §A.1).
    RSA_ENCRYPTION = "1.2.840.113549.1.1.1";
    /// id-mgf1 (RFC 8017 §A.2.1).
    MGF1 = "1.2.840.113549.1.1.8";
    /// id-RSASSA-PSS (RFC 8017 §A.2.3).
    RSASSA_PSS = "1.2.840.113549.1.1.10";
    /// id-sha256 (RFC 5754 §2.2).
    SHA256 = "2.16.840.1.101.3.4.2.1";
    /// id-sha384 (RFC 5754 §2.3).
    SHA384 = "2.16.840.1.101.3.4.2.2";
    /// id-sha512 (RFC 5754 §2.4).
    SHA512 = "2.16.840.1.101.3.4.2.3";
    /// id-ecPublicKey (RFC 5480 §2.1.1).
    EC_PUBLIC_KEY = "1.2.840.10045.2.1";
    /// secp256r1, P-256 (RFC 5480 §2.1.1.1).
    P256 = "1.2.840.10045.3.1.7";
    /// secp384r1, P-384.
    P384 = "1.3.132.0.34";
    /// secp521r1, P-521.
    P521 = "1.3.132.0.35";
    /// dhSinglePass-stdDH-sha256kdf-scheme (RFC 5753 §7.1.4).
    STD_DH_SHA256 = "1.3.132.1.11.1";
    /// dhSinglePass-stdDH-sha384kdf-scheme.
    STD_DH_SHA384 = "1.3.132.1.11.2";
    /// dhSinglePass-stdDH-sha512kdf-scheme.
    STD_DH_SHA512 = "1.3.132.1.11.3";
    /// id-aes128-wrap (RFC 3565 §2.3.2).
    AES128_WRAP = "2.16.840.1.101.3.4.1.5";
    /// id-aes192-wrap.
    AES192_WRAP = "2.16.840.1.101.3.4.1.25";
    /// id-aes256-wrap.
    AES256_WRAP = "2.16.840.1.101.3.4.1.45";
    /// id-aes128-CBC (RFC 3565 §2.2).
    AES128_CBC = "2.16.840.1.101.3.4.1.2";
    /// id-aes192-CBC.
    AES192_CBC = "2.16.840.1.101.3.4.1.22";
    /// id-aes256-CBC.
    AES256_CBC = "2.16.840.1.101.3.4.1.42";
    /// id-aes128-GCM (RFC 5084 §3.2).
    AES128_GCM = "2.16.840.1.101.3.4.1.6";
    /// id-aes192-GCM.
    AES192_GCM = "2.16.840.1.101.3.4.1.26";
    /// id-aes256-GCM.
    AES256_GCM = "2.16.840.1.101.3.4.1.46";
    /// id-PBES2 (RFC 8018 §A.4).
    PBES2 = "1.2.840.113549.1.5.13";
    /// id-PBKDF2 (RFC 8018 §A.2).
    PBKDF2 = "1.2.840.113549.1.5.12";
    /// id-scrypt (RFC 7914 §7).
    SCRYPT = "1.3.6.1.4.1.11591.4.11";
    /// id-hmacWithSHA256 (RFC 8018 §B.1.2).
    HMAC_SHA256 = "1.2.840.113549.2.9";
    /// id-hmacWithSHA384.
    HMAC_SHA384 = "1.2.840.113549.2.10";
    /// id-hmacWithSHA512.
    HMAC_SHA512 = "1.2.840.113549.2.11";
    /// commonName (X.520).
    COMMON_NAME = "2.5.4.3";
    /// subjectKeyIdentifier (RFC 5280 §4.2.1.2).
    SUBJECT_KEY_IDENTIFIER = "2.5.29.14";
    /// keyUsage (RFC 5280 §4.2.1.3).
    KEY_USAGE = "2.5.29.15";
    /// basicConstraints (RFC 5280 §4.2.1.9).
    BASIC_CONSTRAINTS = "2.5.29.19";
    /// authorityKeyIdentifier (RFC 5280 §4.2.1.1).
    AUTHORITY_KEY_IDENTIFIER = "2.5.29.35";
}

/// Encodes an object identifier in DER.
#[must_use]
pub fn to_der(oid: &ObjectIdentifier) -> Vec<u8> {
    write::tlv(tag::OID, oid.as_bytes())
}
