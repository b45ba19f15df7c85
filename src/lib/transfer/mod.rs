//! Content of any size: it is cut into parts that parcels hold, and joined again (relay-parts(5)).

pub mod join; // parts become one file again
