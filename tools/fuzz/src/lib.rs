//! Fuzz targets as plain functions, and the mutations that feed them.
//!
//! A target takes bytes and panics when something is wrong. Runs are decided by
//! a seed alone. `fixtures/corpus/<target>/` holds what mutation starts from:
//! small inputs of every shape, and all that once broke a target.
//!
//! ```text
//! cargo run -p headwater-fuzz --profile fuzz -- list
//! cargo run -p headwater-fuzz --profile fuzz -- bmff_cmaf --seconds 60 --seed 7
//! ```

pub mod bmff_cmaf;
pub mod cmaf_header;
pub mod cmaf_resolve_cut;
pub mod corpus;
#[path = "../../../tests/support/encoder.rs"]
mod encoder;
pub mod hls_reload;
pub mod http_connection;
pub mod http_range;
pub mod http_route;
pub mod ingest_name;
#[path = "../../../tests/support/ledger.rs"]
mod ledger;
pub mod mutate;
pub mod publisher;
pub mod scte35;

/// Something to be fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Of its corpus and on the command line.
    pub name: &'static str,
    /// Panics when it finds something.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "bmff_cmaf",
        run: bmff_cmaf::bmff_cmaf,
    },
    Target {
        name: "cmaf_header",
        run: cmaf_header::cmaf_header,
    },
    Target {
        name: "cmaf_resolve_cut",
        run: cmaf_resolve_cut::cmaf_resolve_cut,
    },
    Target {
        name: "hls_reload",
        run: hls_reload::hls_reload,
    },
    Target {
        name: "http_connection",
        run: http_connection::http_connection,
    },
    Target {
        name: "http_range",
        run: http_range::http_range,
    },
    Target {
        name: "http_route",
        run: http_route::http_route,
    },
    Target {
        name: "ingest_name",
        run: ingest_name::ingest_name,
    },
    Target {
        name: "publisher",
        run: publisher::publisher,
    },
    Target {
        name: "scte35",
        run: scte35::scte35,
    },
];

/// A target by its name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
