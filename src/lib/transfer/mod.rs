//! Content of any size: it is cut into parts that parcels hold, and joined again (relay-parts(5)).

pub mod cut; // content becomes pieces
pub mod join; // parts become one content again
pub mod joiner; // the parts of several contents, each into its file
