//! When nothing is under way between shards, all of them say the same.

/// Compares the answers of all shards that have one.
pub fn compare(target: &str, answers: &[(u16, u16, Vec<u8>)]) -> Result<(), String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_good_answers_are_compared() {
        let answer = |shard, status, body: &[u8]| (shard, status, body.to_vec());
        let same = [
            answer(0, 200, b"a"),
            answer(1, 404, b"x"),
            answer(2, 200, b"a"),
        ];
        assert_eq!(compare("t", &same), Ok(()));
        assert!(compare("t", &[answer(0, 200, b"a"), answer(1, 200, b"b")]).is_err());
    }
}
