//! Spreads runs that many nodes start at the same second.

use std::time::Duration;

use jiff::SignedDuration;

use crate::crypto::hash;
use crate::pki::NodeId;

/// Waits for a part of `most` that depends on the node alone, so that its runs stay as far apart as they are started.
pub fn wait(node: NodeId, most: Option<SignedDuration>) {
    if let Some(most) = most {
        std::thread::sleep(part(node, most.unsigned_abs()));
    }
}

fn part(node: NodeId, most: Duration) -> Duration {
    let digest = hash::sha256(node.digest());
    let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    most.mul_f64(f64::from(number) / (f64::from(u32::MAX) + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_spread_and_each_keeps_its_part() {
        let most = Duration::from_secs(30);
        let parts: Vec<Duration> = (0..100_u8)
            .map(|at| part(NodeId::of_spki(&[at]), most))
            .collect();
        assert!(parts.iter().all(|part| *part < most));
        let early = parts.iter().filter(|part| **part < most / 2).count();
        assert!((25..75).contains(&early), "{early}");
        assert_eq!(parts[0], part(NodeId::of_spki(&[0]), most));
    }
}
