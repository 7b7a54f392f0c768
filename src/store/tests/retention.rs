//! What is removed, and what stays.
