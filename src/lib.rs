//! tabfleet
