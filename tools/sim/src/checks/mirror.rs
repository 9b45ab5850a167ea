//! When nothing is under way between shards, all of them say the same.

/// See the module's head.
pub struct Mirror;

impl Mirror {
    /// Compares the answers of all shards that have one.
    pub fn compare(&self, target: &str, answers: &[(u16, u16, Vec<u8>)]) -> Result<(), String> {
        let mut good = answers.iter().filter(|(_, status, _)| *status == 200);
        let Some((first, _, body)) = good.next() else {
            return Ok(());
        };
        match good.find(|(_, _, other)| other != body) {
            Some((shard, _, other)) => Err(format!(
                "{target} differs between shards {first} and {shard}:\n{}\n{}",
                String::from_utf8_lossy(body),
                String::from_utf8_lossy(other)
            )),
            None => Ok(()),
        }
    }
}
