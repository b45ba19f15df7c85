//! Session keys: Diffie-Hellman on the NIST curves (SEC 1 §3.3.1, RFC 5753). Not by ring, whose
//! ephemeral keys cannot be stored.

use std::fmt;

use der::asn1::{AnyRef, BitString, ObjectIdentifier, OctetStringRef};
use der::{Decode, Reader, TagMode, TagNumber};
use p256::NistP256;
use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use p256::elliptic_curve::{
    self, ALGORITHM_OID, AffinePoint, CurveArithmetic, FieldBytesSize, Generate, PublicKey,
    SecretKey,
};
use p256::pkcs8::{AssociatedOid, DecodePrivateKey, EncodePrivateKey, PrivateKeyInfoRef};
use p384::NistP384;
use p521::NistP521;

use super::{Error, Secret};

/// The first octet of an uncompressed point (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

/// A curve that RS-018 allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Curve {
    /// NIST P-256, also called secp256r1 and prime256v1: the default of nodes.
    P256,
    /// NIST P-384, also called secp384r1.
    P384,
    /// NIST P-521, also called secp521r1.
    P521,
}

impl Curve {
    /// Every curve, smallest first.
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// The length of a coordinate, and of an agreement's result, in octets: 32, 48 or 66.
    #[must_use]
    pub const fn field_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The length of an uncompressed point, in octets: 65, 97 or 133.
    #[must_use]
    pub const fn point_len(self) -> usize {
        1 + 2 * self.field_len()
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        })
    }
}

/// A private key on one of the curves, wiped when dropped.
pub struct PrivateKey {
    key: Key,
    /// The public point, if it came with the private key and was checked to belong to it.
    point: Option<Vec<u8>>,
}

enum Key {
    P256(p256::SecretKey),
    P384(p384::SecretKey),
    P521(p521::SecretKey),
}

/// Evaluates an expression with the key, whichever curve it is on.
macro_rules! on_curve {
    ($self:expr, $key:ident => $body:expr) => {
        match &$self.key {
            Key::P256($key) => $body,
            Key::P384($key) => $body,
            Key::P521($key) => $body,
        }
    };
}

impl PrivateKey {
    /// Generates a random key. Nodes generate theirs on [`Curve::P256`], the only curve that RS-018
    /// requires of all nodes.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn generate(curve: Curve) -> Result<Self, Error> {
        let key = match curve {
            Curve::P256 => Key::P256(random()?),
            Curve::P384 => Key::P384(random()?),
            Curve::P521 => Key::P521(random()?),
        };
        Ok(Self { key, point: None })
    }

    /// Parses a PKCS#8 `PrivateKeyInfo` in DER (RFC 5208 §5, RFC 5958 §2) that holds an
    /// `ECPrivateKey` (RFC 5915 §3) on a named curve. A public key in it must match the private
    /// key.
    ///
    /// # Errors
    /// [`Error::KeyMalformed`], [`Error::KeyAlgorithm`], [`Error::Curve`], and
    /// [`Error::KeyInconsistent`] when the number is out of range or the public key does not match.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, Error> {
        let info = PrivateKeyInfoRef::try_from(der).map_err(|_| Error::KeyMalformed {
            expected: "PKCS#8 PrivateKeyInfo",
        })?;
        if info.algorithm.oid != ALGORITHM_OID {
            return Err(Error::KeyAlgorithm { expected: "EC" });
        }
        let key = match info.algorithm.parameters_oid() {
            Ok(oid) if oid == NistP256::OID => Key::P256(from_pkcs8(der)?),
            Ok(oid) if oid == NistP384::OID => Key::P384(from_pkcs8(der)?),
            Ok(oid) if oid == NistP521::OID => Key::P521(from_pkcs8(der)?),
            _ => return Err(Error::Curve),
        };
        // `from_pkcs8` has compared the public key, so it need not be computed again.
        let point = sec1_point(info.private_key.as_bytes()).ok().flatten();
        let mut loaded = Self { key, point: None };
        loaded.point = point.filter(|point| {
            point.len() == loaded.curve().point_len() && point.first() == Some(&UNCOMPRESSED)
        });
        Ok(loaded)
    }

    /// Parses a bare `ECPrivateKey` in DER (SEC 1 §C.4, RFC 5915 §3), as OpenSSL writes it under
    /// `EC PRIVATE KEY`. It must name its curve, which is optional within PKCS#8.
    ///
    /// # Errors
    /// [`Error::KeyMalformed`], [`Error::Curve`] and [`Error::KeyInconsistent`], as
    /// [`from_pkcs8_der`](Self::from_pkcs8_der).
    pub fn from_sec1_der(der: &[u8]) -> Result<Self, Error> {
        // The crate has the curve in its types, so it has to be known before the key is parsed.
        let curve = sec1_curve(der).map_err(|_| Error::KeyMalformed {
            expected: "ECPrivateKey",
        })?;
        match curve {
            Some(oid) if oid == NistP256::OID => SecretKey::from_sec1_der(der).map(Key::P256),
            Some(oid) if oid == NistP384::OID => SecretKey::from_sec1_der(der).map(Key::P384),
            Some(oid) if oid == NistP521::OID => SecretKey::from_sec1_der(der).map(Key::P521),
            _ => return Err(Error::Curve),
        }
        .map(|key| Self { key, point: None })
        .map_err(|_| Error::KeyInconsistent)
    }

    /// Encodes a PKCS#8 `PrivateKeyInfo` in DER, version 0, that holds an `ECPrivateKey` with its
    /// public key: the form that OpenSSL, Java and JavaScript read.
    ///
    /// # Errors
    /// [`Error::KeyInconsistent`] if it cannot be encoded, which no key is known to cause.
    pub fn to_pkcs8_der(&self) -> Result<Secret, Error> {
        on_curve!(self, key => key.to_pkcs8_der())
            .map(|document| document.to_bytes().into())
            .map_err(|_| Error::KeyInconsistent)
    }

    /// The curve it is on.
    #[must_use]
    pub const fn curve(&self) -> Curve {
        match self.key {
            Key::P256(_) => Curve::P256,
            Key::P384(_) => Curve::P384,
            Key::P521(_) => Curve::P521,
        }
    }

    /// Its public key: an uncompressed point (SEC 1 §2.3.3) of [`Curve::point_len`] octets, `04 ‖ x
    /// ‖ y`.
    ///
    /// Unless it came with the private key it is computed, at about the cost of an agreement.
    #[must_use]
    pub fn public_point(&self) -> Vec<u8> {
        if let Some(point) = &self.point {
            return point.clone();
        }
        on_curve!(self, key => key.public_key().to_sec1_point(false).as_bytes().to_vec())
    }

    /// Agrees on a secret with a peer: the x coordinate of the product of both keys, padded on the
    /// left to [`Curve::field_len`] octets. This is Z of SEC 1 §3.3.1, to be passed to
    /// [`derive`](super::x963_kdf::derive) and used for nothing else.
    ///
    /// The peer's point must be uncompressed, as in [`check_point`].
    ///
    /// # Errors
    /// [`Error::PointForm`] and [`Error::PointOffCurve`].
    pub fn agree(&self, peer_uncompressed_point: &[u8]) -> Result<Secret, Error> {
        let curve = self.curve();
        on_curve!(self, key => {
            let peer = point(curve, peer_uncompressed_point)?;
            Ok(key.diffie_hellman(&peer).raw_secret_bytes().as_slice().into())
        })
    }
}

/// Checks that these octets are an uncompressed point on the curve (SEC 1 §3.2.2.1): `04 ‖ x ‖ y`,
/// of [`Curve::point_len`] octets. The curves have cofactor 1, so no other check is needed.
///
/// # Errors
/// [`Error::PointForm`] for a compressed or hybrid point, the point at infinity or another length;
/// [`Error::PointOffCurve`] for coordinates that are out of range or not on the curve.
pub fn check_point(curve: Curve, octets: &[u8]) -> Result<(), Error> {
    match curve {
        Curve::P256 => point::<NistP256>(curve, octets).map(drop),
        Curve::P384 => point::<NistP384>(curve, octets).map(drop),
        Curve::P521 => point::<NistP521>(curve, octets).map(drop),
    }
}

fn point<C>(curve: Curve, octets: &[u8]) -> Result<PublicKey<C>, Error>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    // The crate would accept compressed points too.
    if octets.len() != curve.point_len() || octets.first() != Some(&UNCOMPRESSED) {
        return Err(Error::PointForm { curve });
    }
    PublicKey::from_sec1_bytes(octets).map_err(|_| Error::PointOffCurve { curve })
}

/// The named curve of an `ECPrivateKey`, which is optional in its ASN.1:
///
/// ```text
/// ECPrivateKey ::= SEQUENCE {
///   version        INTEGER { ecPrivkeyVer1(1) } (ecPrivkeyVer1),
///   privateKey     OCTET STRING,
///   parameters [0] ECParameters {{ NamedCurve }} OPTIONAL,
///   publicKey  [1] BIT STRING OPTIONAL }
/// ```
fn sec1_curve(der: &[u8]) -> der::Result<Option<ObjectIdentifier>> {
    AnyRef::from_der(der)?.sequence(|reader| {
        u8::decode(reader)?;
        <&OctetStringRef>::decode(reader)?;
        let curve = reader.context_specific(TagNumber(0), TagMode::Explicit)?;
        // A reader must reach the end of its SEQUENCE; the crate checks the rest later.
        reader.read_slice(reader.remaining_len())?;
        Ok(curve)
    })
}

/// The public key of an `ECPrivateKey`, if it has one.
fn sec1_point(der: &[u8]) -> der::Result<Option<Vec<u8>>> {
    AnyRef::from_der(der)?.sequence(|reader| {
        u8::decode(reader)?;
        <&OctetStringRef>::decode(reader)?;
        let _: Option<ObjectIdentifier> =
            reader.context_specific(TagNumber(0), TagMode::Explicit)?;
        let point: Option<BitString> = reader.context_specific(TagNumber(1), TagMode::Explicit)?;
        reader.read_slice(reader.remaining_len())?;
        Ok(point.and_then(|point| point.as_bytes().map(<[u8]>::to_vec)))
    })
}

fn random<C: elliptic_curve::Curve>() -> Result<SecretKey<C>, Error> {
    SecretKey::try_generate_from_rng(&mut getrandom::SysRng).map_err(|_| Error::Random)
}

fn from_pkcs8<K: DecodePrivateKey>(der: &[u8]) -> Result<K, Error> {
    K::from_pkcs8_der(der).map_err(|_| Error::KeyInconsistent)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::crypto::vectors::{
        EC, EC_PEER_OF_SHORT_Z, EC_SHORT_Z, ED25519_PKCS8, SECP256K1_PKCS8, hex,
    };

    fn error(der: &[u8]) -> Option<Error> {
        PrivateKey::from_pkcs8_der(der).err()
    }

    #[test]
    fn agrees_as_openssl_does() {
        for vector in &EC {
            let key = PrivateKey::from_pkcs8_der(&hex(vector.pkcs8)).unwrap();
            assert_eq!(key.curve(), vector.curve);
            assert_eq!(key.public_point(), hex(vector.point));
            let z = key.agree(&hex(vector.peer)).unwrap();
            assert_eq!(z.as_bytes(), hex(vector.z), "{}", vector.curve);
            assert_eq!(z.len(), vector.curve.field_len());
            assert_eq!(check_point(vector.curve, &hex(vector.peer)), Ok(()));
        }
    }

    #[test]
    fn writes_the_pkcs8_that_openssl_writes() {
        for vector in &EC {
            let der = hex(vector.pkcs8);
            let key = PrivateKey::from_pkcs8_der(&der).unwrap();
            assert_eq!(key.to_pkcs8_der().unwrap().as_bytes(), der);
        }
    }

    #[test]
    fn a_public_key_beside_the_private_one_is_its_own() {
        for vector in &EC {
            let mut der = hex(vector.pkcs8);
            assert!(PrivateKey::from_pkcs8_der(&der).unwrap().point.is_some());
            *der.last_mut().unwrap() ^= 1;
            assert_eq!(error(&der), Some(Error::KeyInconsistent));
        }
    }

    #[test]
    fn reads_sec1() {
        for vector in &EC {
            let der = hex(vector.sec1);
            let key = PrivateKey::from_sec1_der(&der).unwrap();
            assert_eq!(key.curve(), vector.curve);
            assert_eq!(key.public_point(), hex(vector.point));

            let malformed = Some(Error::KeyMalformed {
                expected: "ECPrivateKey",
            });
            let error = |der: &[u8]| PrivateKey::from_sec1_der(der).err();
            assert_eq!(error(&der[1..]), malformed);
            assert_eq!(error(&hex(vector.pkcs8)), malformed);
            let mut other_public = der.clone();
            *other_public.last_mut().unwrap() ^= 1;
            assert_eq!(error(&other_public), Some(Error::KeyInconsistent));
        }
    }

    #[test]
    fn generates_keys_that_agree_and_can_be_stored() {
        for curve in Curve::ALL {
            let ours = PrivateKey::generate(curve).unwrap();
            let stored =
                PrivateKey::from_pkcs8_der(ours.to_pkcs8_der().unwrap().as_bytes()).unwrap();
            let theirs = PrivateKey::generate(curve).unwrap();
            let z = stored.agree(&theirs.public_point()).unwrap();
            assert!(z == theirs.agree(&ours.public_point()).unwrap());
            assert_eq!(ours.curve(), curve);
            assert_ne!(ours.public_point(), theirs.public_point());
        }
    }

    /// About one agreement in 256 starts with a zero octet, which must be kept.
    #[test]
    fn pads_z() {
        let key = PrivateKey::from_pkcs8_der(&hex(EC[0].pkcs8)).unwrap();
        let z = key.agree(&hex(EC_PEER_OF_SHORT_Z)).unwrap();
        assert_eq!(z.as_bytes(), hex(EC_SHORT_Z));
        assert_eq!(z.as_bytes()[0], 0);
    }

    #[test]
    fn refuses_points_of_another_form() {
        for vector in &EC {
            let (curve, good) = (vector.curve, hex(vector.peer));
            let key = PrivateKey::from_pkcs8_der(&hex(vector.pkcs8)).unwrap();
            let mut compressed = good[..=curve.field_len()].to_vec();
            compressed[0] = 2 + (good[good.len() - 1] & 1);
            let mut compact = good[..=curve.field_len()].to_vec();
            compact[0] = 5;
            let mut hybrid = good.clone();
            hybrid[0] = 6 + (good[good.len() - 1] & 1);
            let mut long = good.clone();
            long.push(0);
            let short = good[..good.len() - 1].to_vec();
            let infinity = vec![0];
            let zeros = vec![0; good.len()];
            let forms = [
                compressed,
                compact,
                hybrid,
                long,
                short,
                infinity,
                zeros,
                vec![],
            ];
            for point in forms {
                let expected = Error::PointForm { curve };
                assert_eq!(key.agree(&point).err(), Some(expected.clone()), "{point:?}");
                assert_eq!(check_point(curve, &point), Err(expected));
            }
        }
        let key = PrivateKey::from_pkcs8_der(&hex(EC[0].pkcs8)).unwrap();
        assert!(
            key.agree(&hex(EC[1].peer)).is_err(),
            "a point of another curve"
        );
    }

    #[test]
    fn refuses_points_off_the_curve() {
        for vector in &EC {
            let (curve, good) = (vector.curve, hex(vector.peer));
            let key = PrivateKey::from_pkcs8_der(&hex(vector.pkcs8)).unwrap();
            let mut changed = good.clone();
            changed[good.len() - 1] ^= 1;
            let mut origin = vec![0; good.len()];
            origin[0] = 4;
            let mut over = vec![0xff; good.len()];
            over[0] = 4;
            for point in [changed, origin, over] {
                let expected = Error::PointOffCurve { curve };
                assert_eq!(key.agree(&point).err(), Some(expected.clone()), "{point:?}");
                assert_eq!(check_point(curve, &point), Err(expected));
            }
        }
    }

    #[test]
    fn says_why_a_key_is_refused() {
        let pkcs8 = "PKCS#8 PrivateKeyInfo";
        let malformed = Some(Error::KeyMalformed { expected: pkcs8 });
        assert_eq!(error(b""), malformed);
        assert_eq!(error(b"-----BEGIN PRIVATE KEY-----"), malformed);
        assert_eq!(error(&hex(EC[0].sec1)), malformed);
        assert_eq!(
            error(&hex(ED25519_PKCS8)),
            Some(Error::KeyAlgorithm { expected: "EC" })
        );
        assert_eq!(error(&hex(SECP256K1_PKCS8)), Some(Error::Curve));
        // SEQUENCE { 1, OCTET STRING 01 }: no curve.
        let unnamed = PrivateKey::from_sec1_der(&[0x30, 6, 2, 1, 1, 4, 1, 1]);
        assert_eq!(unnamed.err(), Some(Error::Curve));

        let mut trailing = hex(EC[0].pkcs8);
        trailing.push(0);
        assert_eq!(error(&trailing), malformed);
        let mut other_public = hex(EC[0].pkcs8);
        *other_public.last_mut().unwrap() ^= 1;
        assert_eq!(error(&other_public), Some(Error::KeyInconsistent));
        // The number itself: 32 octets after `04 20`.
        let number = other_public
            .windows(2)
            .position(|two| two == [4, 32])
            .unwrap()
            + 2;
        for octet in [0, 0xff] {
            let mut out_of_range = hex(EC[0].pkcs8);
            out_of_range[number..number + 32].fill(octet);
            assert_eq!(error(&out_of_range), Some(Error::KeyInconsistent));
        }
    }
}
