//! HTTP/1.1 without sockets: bytes to exchanges, replies to bytes.
//!
//! Heads are parsed by httparse and then held to RFC 9112 where it is lenient.
//! Nothing here waits or knows media; `route` turns targets into what the
//! origin serves.

mod body;
pub mod conditional;
pub mod connection;
mod head;
pub mod range;
pub mod reply;
pub mod request;
pub mod route;
