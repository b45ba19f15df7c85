//! Content of any size: cut into parts that fit into parcels, and joined again (relay-parts(5)).

pub mod cut; // content becomes pieces
pub mod join; // parts become one content again
pub mod joiner; // the parts of several contents, each into its file
