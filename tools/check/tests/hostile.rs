//! Servers that mean harm: the checker ends, says why, and keeps little.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::io::{BufRead, BufReader, Result, Write};
use std::net::{TcpListener, TcpStream};

use headwater_check::limits::NUMBER_MAX;
use headwater_check::probe::Run;
use headwater_check::verdict::Level;

/// Answers every request by `answer`, which is given its target; the address.
fn serve(answer: fn(&mut TcpStream, &str) -> Result<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone()?).lines();
                while let Some(request) = lines.next().transpose()? {
                    for line in lines.by_ref() {
                        if line?.is_empty() {
                            break;
                        }
                    }
                    let target = request.split(' ').nth(1).unwrap_or("");
                    answer(&mut stream, target)?;
                }
                Result::Ok(())
            });
        }
    });
    format!("http://{address}/list.m3u8")
}

fn refused(answer: fn(&mut TcpStream, &str) -> Result<()>) -> String {
    let outcome = Run::new(1, Vec::new()).check(&serve(answer), |_| {});
    outcome.expect_err("nothing can be checked")
}

/// A body without an end, of pieces of 64 KiB.
fn endless(stream: &mut TcpStream, line: &str) -> Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n#EXTM3U\n\r\n")?;
    let piece = line.repeat(65_536 / line.len());
    let piece = format!("{:x}\r\n{piece}\r\n", piece.len());
    loop {
        stream.write_all(piece.as_bytes())?;
    }
}

#[test]
fn what_has_no_end_is_given_up() {
    let lines = refused(|stream, _| endless(stream, "#EXTINF:1,\na\n"));
    assert!(lines.contains("more than 16777216 bytes"), "{lines}");
    let line = refused(|stream, _| endless(stream, "aaaaaaaa"));
    assert!(line.contains("more than 16777216 bytes"), "{line}");
    let round = refused(|stream, _| {
        let head = "HTTP/1.1 302 X\r\nLocation: /list.m3u8\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(head.as_bytes())
    });
    assert!(round.contains("redirect"), "{round}");
    let head = refused(|stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nA: ")?;
        loop {
            stream.write_all(&[b'a'; 4096])?;
        }
    });
    assert!(head.contains("header"), "{head}");
}

#[test]
fn what_breaks_off_is_said() {
    let short = refused(|stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n#EXTM3U\n")?;
        stream.shutdown(std::net::Shutdown::Both)
    });
    assert!(short.contains("status 200, then"), "{short}");
    let nonsense = refused(|stream, _| stream.write_all(b"\0\xff\r\n\r\n"));
    assert!(nonsense.contains("list.m3u8: "), "{nonsense}");
}

/// A list of which every number is `huge`; a delta of it skips as many.
fn huge_list(stream: &mut TcpStream, target: &str, huge: u64) -> Result<()> {
    let segment = "#EXT-X-PART:DURATION=99999999,URI=\"p\"\n#EXTINF:99999999,\ns\n";
    let skip = match target.contains("_HLS_skip") {
        true => format!("#EXT-X-SKIP:SKIPPED-SEGMENTS={huge}\n"),
        false => String::new(),
    };
    let list = format!(
        "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{huge}\n\
         #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=99999999,\
         CAN-SKIP-UNTIL=99999999\n#EXT-X-PART-INF:PART-TARGET=99999999\n\
         #EXT-X-MEDIA-SEQUENCE:{huge}\n#EXT-X-DISCONTINUITY-SEQUENCE:{huge}\n{skip}\
         #EXT-X-PROGRAM-DATE-TIME:9999-12-31T23:59:59.999Z\n{}\
         #EXT-X-PART:DURATION=99999999,URI=\"q\",BYTERANGE=\"{huge}@{huge}\"\n\
         #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"q\",BYTERANGE-START={huge}\n\
         #EXT-X-RENDITION-REPORT:URI=\"a\",LAST-MSN={huge},LAST-PART={huge}\n",
        segment.repeat(1_000)
    );
    let len = list.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n{list}"
    )
}

#[test]
fn numbers_of_any_size_are_reckoned_with_or_refused() {
    let answers: [fn(&mut TcpStream, &str) -> Result<()>; 2] = [
        |stream, target| huge_list(stream, target, NUMBER_MAX),
        |stream, target| huge_list(stream, target, u64::MAX),
    ];
    for answer in answers {
        let outcome = Run::new(2, Vec::new()).check(&serve(answer), |_| {});
        let findings = outcome.expect("a playlist").verdicts.findings(|_| true);
        let failed = findings.iter().filter(|found| found.level == Level::Fail);
        assert!(failed.count() > 0, "{findings:#?}");
    }
}
