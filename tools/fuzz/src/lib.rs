//! Fuzz targets as plain functions.

pub mod hls_reload;
pub mod http_connection;
pub mod http_range;
pub mod http_route;
