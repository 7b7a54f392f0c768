//! Objects as clients send and read them.
