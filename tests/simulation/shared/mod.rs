//! Several servers that share one engine: it numbers the entries elsewhere and later, its links are
//! lost, and so is what it has numbered.

mod engine;
mod scene;
mod scenes;
