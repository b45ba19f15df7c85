//! RS-002: node ids, identity keys, certificates, certification paths and trust.
