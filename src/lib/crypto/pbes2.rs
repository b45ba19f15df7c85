//! Encrypted private keys: PKCS#8 `EncryptedPrivateKeyInfo` (RFC 5958 §3) under PBES2 (RFC 8018
//! §6.2), with scrypt (RFC 7914 §7) or PBKDF2 (RFC 8018 §5.2), and AES-CBC.
//!
//! The parameters come from a file, so their cost is bounded before any work. Deriving a key is a step
//! of its own, because it may take a tenth of a second, and what is encrypted under the same
//! parameters shares the key. The crate `pkcs8` does both in one, does not wipe the key, and panics for
//! a salt of more than 32 octets or an N of 0.

use zeroize::Zeroizing;

use super::{Error, Secret, aes_cbc, random};
use crate::asn1::algorithm::{self, Algorithm};
use crate::asn1::{self, Element, oid, tag, write};

/// The most memory that deriving a key may take, in octets.
pub const MAX_MEMORY: u64 = 64 << 20;

/// The most rounds of PBKDF2.
pub const MAX_ROUNDS: u32 = 10_000_000;

/// The largest p of scrypt, which multiplies the time.
const MAX_PARALLEL: u32 = 16;

/// The rounds for a password with 256 bits of randomness, which nobody guesses: the fewest that RFC
/// 8018 §4.2 recommends and strict implementations take.
const FEW_ROUNDS: u32 = 1000;

/// The length of new salts, in octets.
const SALT_LEN: usize = 16;

/// How a key is derived from a password: function, salt and length of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derivation {
    function: Function,
    salt: Vec<u8>,
    key_len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    /// N = 2 to the power of `log_n`.
    Scrypt {
        log_n: u8,
        r: u32,
        p: u32,
    },
    Pbkdf2 {
        prf: Prf,
        rounds: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prf {
    Sha256,
    Sha384,
    Sha512,
}

impl Derivation {
    /// One for the passphrases of people: scrypt with N = 2^15, r = 8 and p = 1, and a new salt.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn costly() -> Result<Self, Error> {
        let (log_n, r, p) = (15, 8, 1);
        Ok(Self {
            function: Function::Scrypt { log_n, r, p },
            salt: random::array::<SALT_LEN>()?.to_vec(),
            key_len: 32,
        })
    }

    /// One for passwords that are random octets: PBKDF2 with few rounds, and a new salt.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn cheap() -> Result<Self, Error> {
        let (prf, rounds) = (Prf::Sha256, FEW_ROUNDS);
        Ok(Self {
            function: Function::Pbkdf2 { prf, rounds },
            salt: random::array::<SALT_LEN>()?.to_vec(),
            key_len: 32,
        })
    }

    /// Whether it is as costly as that of [`Derivation::costly`].
    #[must_use]
    pub fn is_costly(&self) -> bool {
        let (log_n, r, p) = (15, 8, 1);
        self.function == Function::Scrypt { log_n, r, p } && self.key_len == 32
    }

    /// Derives the key of a password.
    ///
    /// # Errors
    /// [`Error::Costly`].
    pub fn derive(&self, password: &[u8]) -> Result<Secret, Error> {
        self.check_cost()?;
        let mut key = Zeroizing::new(vec![0; self.key_len]);
        let salt = &self.salt;
        match self.function {
            Function::Scrypt { log_n, r, p } => {
                let params = scrypt::Params::new(log_n, r, p).map_err(|_| Error::Costly)?;
                scrypt::scrypt(password, salt, &params, &mut key).map_err(|_| Error::Costly)?;
            }
            Function::Pbkdf2 { prf, rounds } => {
                let derive = match prf {
                    Prf::Sha256 => pbkdf2::pbkdf2_hmac::<sha2::Sha256>,
                    Prf::Sha384 => pbkdf2::pbkdf2_hmac::<sha2::Sha384>,
                    Prf::Sha512 => pbkdf2::pbkdf2_hmac::<sha2::Sha512>,
                };
                derive(password, salt, rounds, &mut key);
            }
        }
        Ok(key.into())
    }

    fn check_cost(&self) -> Result<(), Error> {
        let is_bounded = match self.function {
            Function::Scrypt { log_n, r, p } => {
                // 128 N r octets, of which a file may name more than a u64 holds.
                let memory = (log_n < 32).then(|| (128_u64 << log_n).checked_mul(r.into()));
                let is_small = memory.flatten().is_some_and(|memory| memory <= MAX_MEMORY);
                is_small && p <= MAX_PARALLEL
            }
            Function::Pbkdf2 { rounds, .. } => rounds <= MAX_ROUNDS,
        };
        if is_bounded {
            Ok(())
        } else {
            Err(Error::Costly)
        }
    }

    /// ```text
    /// PBES2-params ::= SEQUENCE {
    ///     keyDerivationFunc AlgorithmIdentifier, encryptionScheme AlgorithmIdentifier }
    /// ```
    fn parse(function: &Algorithm<'_>, key_len: usize) -> Result<Self, Problem> {
        let parameters = function.parameters.ok_or(Problem::Malformed)?;
        let mut fields = parameters.children();
        let Some(salt) = fields.optional(tag::OCTET_STRING)? else {
            return Err(Problem::Unsupported("salt from elsewhere"));
        };
        let derivation = match function.oid {
            oid::SCRYPT => {
                let n = fields.take(tag::INTEGER)?.small_integer();
                let r = fields.take(tag::INTEGER)?.small_integer();
                let p = fields.take(tag::INTEGER)?.small_integer();
                let (Ok(n), Ok(r), Ok(p)) = (n, r, p) else {
                    return Err(Problem::Costly);
                };
                if !n.is_power_of_two() || n < 2 || r == 0 || p == 0 {
                    return Err(Problem::Malformed);
                }
                let log_n = u8::try_from(n.ilog2()).map_err(|_| Problem::Costly)?;
                Function::Scrypt { log_n, r, p }
            }
            oid::PBKDF2 => {
                let rounds = fields.take(tag::INTEGER)?.small_integer();
                let rounds = rounds.map_err(|_| Problem::Costly)?;
                if rounds == 0 {
                    return Err(Problem::Malformed);
                }
                // keyLength comes before prf.
                check_length(fields.optional(tag::INTEGER)?, key_len)?;
                let prf = fields.optional(tag::SEQUENCE)?;
                // Absent it is HMAC with SHA-1.
                let prf = prf.map(|prf| Algorithm::parse(&prf)).transpose()?;
                let prf = match prf.map(|prf| prf.oid) {
                    Some(oid::HMAC_SHA256) => Prf::Sha256,
                    Some(oid::HMAC_SHA384) => Prf::Sha384,
                    Some(oid::HMAC_SHA512) => Prf::Sha512,
                    _ => return Err(Problem::Unsupported("PBKDF2 with another hash than SHA-2")),
                };
                Function::Pbkdf2 { prf, rounds }
            }
            _ => return Err(Problem::Unsupported("key derivation")),
        };
        check_length(fields.optional(tag::INTEGER)?, key_len)?;
        fields.finish()?;
        Ok(Self {
            function: derivation,
            salt: salt.content().to_vec(),
            key_len,
        })
    }

    fn to_der(&self) -> Vec<u8> {
        let salt = write::tlv(tag::OCTET_STRING, &self.salt);
        let integer = |value| write::tlv(tag::INTEGER, &write::integer_content(value));
        match self.function {
            Function::Scrypt { log_n, r, p } => {
                let n = 1_u32.checked_shl(log_n.into()).unwrap_or_default();
                let fields = [salt, integer(n), integer(r), integer(p)].concat();
                algorithm::to_der(&oid::SCRYPT, &write::tlv(tag::SEQUENCE, &fields))
            }
            Function::Pbkdf2 { prf, rounds } => {
                let prf = match prf {
                    Prf::Sha256 => oid::HMAC_SHA256,
                    Prf::Sha384 => oid::HMAC_SHA384,
                    Prf::Sha512 => oid::HMAC_SHA512,
                };
                let prf = algorithm::to_der(&prf, &[tag::NULL, 0]);
                let fields = [salt, integer(rounds), prf].concat();
                algorithm::to_der(&oid::PBKDF2, &write::tlv(tag::SEQUENCE, &fields))
            }
        }
    }
}

/// Checks a key length that a file gives beside that of the cipher.
fn check_length(given: Option<Element<'_>>, key_len: usize) -> Result<(), Problem> {
    let Some(given) = given else {
        return Ok(());
    };
    match given.small_integer().map(usize::try_from) {
        Ok(Ok(given)) if given == key_len => Ok(()),
        _ => Err(Problem::Malformed),
    }
}

/// Why parameters are refused.
enum Problem {
    Malformed,
    Costly,
    Unsupported(&'static str),
}

impl From<asn1::Error> for Problem {
    fn from(_: asn1::Error) -> Self {
        Self::Malformed
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Malformed => Self::KeyMalformed {
                expected: "PKCS#8 EncryptedPrivateKeyInfo",
            },
            Problem::Costly => Self::Costly,
            Problem::Unsupported(what) => Self::Encryption(what),
        }
    }
}

/// An encrypted private key.
#[derive(Debug, Clone)]
pub struct EncryptedKey {
    derivation: Derivation,
    iv: [u8; aes_cbc::BLOCK_LEN],
    ciphertext: Vec<u8>,
}

impl EncryptedKey {
    /// Parses an `EncryptedPrivateKeyInfo` in DER.
    ///
    /// ```text
    /// EncryptedPrivateKeyInfo ::= SEQUENCE {
    ///     encryptionAlgorithm AlgorithmIdentifier, encryptedData OCTET STRING }
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyMalformed`], [`Error::Encryption`] and [`Error::Costly`].
    pub fn parse(der: &[u8]) -> Result<Self, Error> {
        Ok(Self::read(der)?)
    }

    fn read(der: &[u8]) -> Result<Self, Problem> {
        let mut fields = Element::der(der, tag::SEQUENCE)?.children();
        let scheme = Algorithm::parse(&fields.take(tag::SEQUENCE)?)?;
        let ciphertext = fields.take(tag::OCTET_STRING)?.content().to_vec();
        fields.finish()?;
        if scheme.oid != oid::PBES2 {
            return Err(Problem::Unsupported("scheme, not PBES2"));
        }
        let parameters = scheme.parameters.ok_or(Problem::Malformed)?;
        let mut fields = parameters.children();
        let function = Algorithm::parse(&fields.take(tag::SEQUENCE)?)?;
        let cipher = Algorithm::parse(&fields.take(tag::SEQUENCE)?)?;
        fields.finish()?;
        let key_len = match cipher.oid {
            oid::AES128_CBC => 16,
            oid::AES192_CBC => 24,
            oid::AES256_CBC => 32,
            _ => return Err(Problem::Unsupported("cipher, not AES-CBC")),
        };
        let iv = cipher.parameters.ok_or(Problem::Malformed)?;
        if iv.tag() != tag::OCTET_STRING {
            return Err(Problem::Malformed);
        }
        let iv = iv.content().try_into().map_err(|_| Problem::Malformed)?;
        let derivation = Derivation::parse(&function, key_len)?;
        derivation.check_cost().map_err(|_| Problem::Costly)?;
        Ok(Self {
            derivation,
            iv,
            ciphertext,
        })
    }

    /// Whether these octets are DER of an `EncryptedPrivateKeyInfo` and no other private key, which
    /// begins with a version.
    #[must_use]
    pub fn is_in(der: &[u8]) -> bool {
        let inner = Element::der(der, tag::SEQUENCE).map(|outer| outer.children().peek());
        inner == Ok(Some(tag::SEQUENCE))
    }

    /// How its key is derived.
    #[must_use]
    pub fn derivation(&self) -> &Derivation {
        &self.derivation
    }

    /// Decrypts it with the derived key. What comes out may be garbage: nothing authenticates it.
    ///
    /// # Errors
    /// [`Error::Decrypt`] for most wrong keys.
    pub fn open(&self, key: &Secret) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut octets = Zeroizing::new(self.ciphertext.clone());
        let len = aes_cbc::decrypt_in_place(key.as_bytes(), &self.iv, &mut octets)?;
        octets.truncate(len);
        Ok(octets)
    }

    /// Encrypts a PKCS#8 key under the key that was derived so, as DER.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn seal(derivation: &Derivation, key: &Secret, pkcs8: &[u8]) -> Result<Vec<u8>, Error> {
        let iv = random::array()?;
        // Allocated at its full size: growing would leave a copy of the key in freed memory.
        let len = aes_cbc::encrypted_len(pkcs8.len());
        let mut octets = Zeroizing::new(Vec::with_capacity(len));
        octets.extend_from_slice(pkcs8);
        aes_cbc::pad(&mut octets, 0)?;
        aes_cbc::encrypt_and_hash(key.as_bytes(), &iv, &mut octets, 0..len)?;
        let cipher = match derivation.key_len {
            16 => oid::AES128_CBC,
            24 => oid::AES192_CBC,
            _ => oid::AES256_CBC,
        };
        let cipher = algorithm::to_der(&cipher, &write::tlv(tag::OCTET_STRING, &iv));
        let parameters = write::constructed(tag::SEQUENCE, &[&derivation.to_der(), &cipher]);
        let scheme = algorithm::to_der(&oid::PBES2, &parameters);
        let ciphertext = write::tlv(tag::OCTET_STRING, &octets);
        Ok(write::constructed(tag::SEQUENCE, &[&scheme, &ciphertext]))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use der::asn1::ObjectIdentifier;

    use super::*;

    fn scrypt(log_n: u8, r: u32, p: u32) -> Derivation {
        Derivation {
            function: Function::Scrypt { log_n, r, p },
            salt: b"SodiumChloride".to_vec(),
            key_len: 32,
        }
    }

    #[test]
    fn scrypt_is_that_of_the_rfc() {
        // RFC 7914 §12, the first 32 octets.
        let key = scrypt(14, 8, 1).derive(b"pleaseletmein").unwrap();
        let expected = "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2";
        assert_eq!(asn1::Hex(key.as_bytes()).to_string(), expected);
    }

    #[test]
    fn a_sealed_key_is_opened_by_its_password_alone() {
        for derivation in [Derivation::costly().unwrap(), Derivation::cheap().unwrap()] {
            let key = derivation.derive(b"secret").unwrap();
            let sealed = EncryptedKey::seal(&derivation, &key, b"a private key").unwrap();
            assert!(EncryptedKey::is_in(&sealed));
            let parsed = EncryptedKey::parse(&sealed).unwrap();
            assert_eq!(*parsed.derivation(), derivation);
            assert_eq!(**parsed.open(&key).unwrap(), *b"a private key");
            let other = derivation.derive(b"Secret").unwrap();
            let opened = parsed.open(&other);
            assert!(opened.is_err() || **opened.unwrap() != *b"a private key");
            for len in 0..sealed.len() {
                assert!(EncryptedKey::parse(&sealed[..len]).is_err(), "{len}");
            }
        }
        assert!(!EncryptedKey::is_in(b"\x30\x03\x02\x01\x00"));
    }

    #[test]
    fn what_costs_too_much_is_refused_before_any_work() {
        for (log_n, r, p) in [
            (30, 8, 1),
            (16, 9, 1),
            (31, u32::MAX, 1),
            (1, u32::MAX, 1),
            (10, 8, 17),
            (255, 1, 1),
        ] {
            let derivation = scrypt(log_n, r, p);
            assert_eq!(
                derivation.derive(b"x").err(),
                Some(Error::Costly),
                "{log_n} {r} {p}"
            );
            if log_n < 32 {
                let key = Secret::from(vec![0; 32]);
                let sealed = EncryptedKey::seal(&derivation, &key, b"k").unwrap();
                let parsed = EncryptedKey::parse(&sealed);
                assert_eq!(parsed.err(), Some(Error::Costly), "{log_n} {r} {p}");
            }
        }
        assert!(scrypt(16, 8, 1).check_cost().is_ok());
        let mut many = Derivation::cheap().unwrap();
        let (prf, rounds) = (Prf::Sha512, MAX_ROUNDS + 1);
        many.function = Function::Pbkdf2 { prf, rounds };
        assert_eq!(many.derive(b"x").err(), Some(Error::Costly));
    }

    /// The parameters of a file, as it may have them.
    fn parsed(
        function: &[u8],
        scheme: ObjectIdentifier,
        cipher: ObjectIdentifier,
    ) -> Option<Error> {
        let cipher = algorithm::to_der(&cipher, &write::tlv(tag::OCTET_STRING, &[0; 16]));
        let parameters = write::constructed(tag::SEQUENCE, &[function, &cipher]);
        let scheme = algorithm::to_der(&scheme, &parameters);
        let ciphertext = write::tlv(tag::OCTET_STRING, &[0; 32]);
        EncryptedKey::parse(&write::constructed(tag::SEQUENCE, &[&scheme, &ciphertext])).err()
    }

    #[test]
    fn other_schemes_and_hostile_parameters_are_refused() {
        let integer = |octets: &[u8]| write::tlv(tag::INTEGER, octets);
        let salt = |len| write::tlv(tag::OCTET_STRING, &vec![7; len]);
        let function = |oid, fields: &[Vec<u8>]| {
            algorithm::to_der(&oid, &write::tlv(tag::SEQUENCE, &fields.concat()))
        };
        let pbes2 = |function: &[u8]| parsed(function, oid::PBES2, oid::AES256_CBC);
        let sha1 = function(oid::PBKDF2, &[salt(8), integer(&[1])]);
        let fine = scrypt(10, 1, 1).to_der();
        assert_eq!(pbes2(&fine), None);
        let is_unsupported = |error| matches!(error, Some(Error::Encryption(_)));
        assert!(is_unsupported(pbes2(&sha1)));
        assert!(is_unsupported(pbes2(&function(oid::DATA, &[salt(8)]))));
        assert!(is_unsupported(parsed(&fine, oid::DATA, oid::AES256_CBC)));
        assert!(is_unsupported(parsed(&fine, oid::PBES2, oid::AES256_GCM)));
        // A salt of any length, which takes part and nothing else.
        assert_eq!(
            pbes2(&function(
                oid::SCRYPT,
                &[salt(4000), integer(&[4]), integer(&[1]), integer(&[1])]
            )),
            None
        );
        let is_malformed = |error| matches!(error, Some(Error::KeyMalformed { .. }));
        for n in [&[0][..], &[1], &[3], &[0xff]] {
            let fields = [salt(8), integer(n), integer(&[1]), integer(&[1])];
            let error = pbes2(&function(oid::SCRYPT, &fields));
            assert!(error.is_some(), "{n:?}");
        }
        let huge = [
            salt(8),
            integer(&[1, 0, 0, 0, 0, 0]),
            integer(&[8]),
            integer(&[1]),
        ];
        assert_eq!(pbes2(&function(oid::SCRYPT, &huge)), Some(Error::Costly));
        let length = [
            salt(8),
            integer(&[4]),
            integer(&[1]),
            integer(&[1]),
            integer(&[16]),
        ];
        assert!(is_malformed(pbes2(&function(oid::SCRYPT, &length))));
        let none = function(oid::PBKDF2, &[salt(8), integer(&[0])]);
        assert!(is_malformed(pbes2(&none)));
        assert!(is_malformed(pbes2(&algorithm::to_der(&oid::SCRYPT, &[]))));
    }
}
