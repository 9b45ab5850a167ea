//! The HTTP/1.1 connection from outside.

mod flows;
mod log;
mod refusals;
mod splits;
mod streams;
