//! The headwater binary; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    headwater::cli::main()
}
