//! Why the shell could not start, in a sentence for people.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Why the shell could not start or go on.
#[derive(Debug)]
pub enum Error {
    /// The kernel lacks or forbids something.
    Kernel {
        /// What was asked of it.
        what: &'static str,
        /// Its answer.
        source: io::Error,
    },
    /// A listener could not be opened.
    Listen {
        /// At which address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// An executor could not be started.
    Executor {
        /// For which processor.
        cpu: usize,
        /// Why.
        reason: String,
    },
    /// The options contradict themselves.
    Options(&'static str),
}

impl Error {
    pub(crate) fn kernel(what: &'static str, source: io::Error) -> Self {
        Self::Kernel { what, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel { what, source } => {
                write!(f, "this host does not give headwater {what}: {source}")?;
                if source.raw_os_error() == Some(libc::EPERM) {
                    f.write_str(" (see kernel.io_uring_disabled and the seccomp profile)")?;
                }
                Ok(())
            }
            Self::Listen { address, source } => write!(f, "cannot listen on {address}: {source}"),
            Self::Executor { cpu, reason } => write!(f, "cannot run on processor {cpu}: {reason}"),
            Self::Options(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Kernel { source, .. } | Self::Listen { source, .. } => Some(source),
            Self::Executor { .. } | Self::Options(_) => None,
        }
    }
}
