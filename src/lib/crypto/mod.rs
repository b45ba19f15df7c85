//! RS-018: the cryptographic primitives of Relaynet, each in one file.
