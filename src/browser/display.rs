//! A private X display for browsers that cannot do without one.
