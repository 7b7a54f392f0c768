//! Scenes with two nodes and one Redis, without faults but those that they name.
