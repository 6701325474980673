//! The one integration test binary; a module a topic.
#![allow(clippy::unwrap_used)]
