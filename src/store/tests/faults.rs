//! What a disk does to a store, and what goes on.
