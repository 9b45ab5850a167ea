//! `headwater-check`: see the library of the same name.

use std::process::ExitCode;

fn main() -> ExitCode {
    headwater_check::cli::main()
}
