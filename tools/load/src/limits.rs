//! Limits of the process that a crowd runs into.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are not connections.
const RESERVED: u64 = 64;

/// Raises the limit on descriptors to what so many connections need.
pub fn raise_descriptors(connections: u64) -> Result<(), String> {
    let needed = connections + RESERVED;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        return Err(format!(
            "{connections} connections need {needed} descriptors, the limit is {}; \
             raise it with ulimit -n, or take fewer connections",
            limit.maximum.unwrap_or(u64::MAX)
        ));
    }
    let raised = Rlimit {
        current: Some(needed),
        ..limit
    };
    setrlimit(Resource::Nofile, raised).map_err(|e| format!("descriptors: {e}"))
}

/// How many ports one source address has for connections to one server.
pub fn ports() -> u64 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let ends = range.unwrap_or_default();
    let ends: Vec<u64> = ends
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    match ends[..] {
        [first, last] if last >= first => last - first + 1,
        _ => 28_232,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_descriptors_than_there_are_is_said() {
        let error = raise_descriptors(u64::MAX - RESERVED);
        // A machine without a limit has nothing to say.
        if getrlimit(Resource::Nofile).maximum.is_some() {
            assert!(error.unwrap_err().contains("ulimit -n"));
        }
        assert!(raise_descriptors(1).is_ok());
        assert!(ports() > 1000);
    }
}
