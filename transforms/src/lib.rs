//! The implementations of Transform.
