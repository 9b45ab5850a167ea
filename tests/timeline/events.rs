//! Events of a channel: how long they stay, and when they are forgotten.

use headwater::limits;
use headwater::media::event::{Refusal, Statement};
use headwater::media::policy::Policy;
use headwater::time::Micros;

use crate::script::{Script, Source};

#[test]
fn s6_2_1_a_date_range_stays_while_filled_media_of_it_is_listed() {
    let mut script = Script::new(Policy {
        fill_gaps: true,
        window_ms: 14_000,
        ..Policy::default()
    });
    let (mut video, mut audio) = (Source::video(), Source::audio());
    script.connect(&mut video);
    script.connect(&mut audio);
    script.run(&mut [&mut video, &mut audio], 10_000);
    let mut left = false;
    for _ in 0..600 {
        script.run(&mut [&mut video], 100);
        let edge = script.publisher.edge_date(script.now);
        let mark = Statement {
            duration: Some(Micros(0)),
            ..Statement::new(&format!("mark{}", edge.0), edge)
        };
        script.publisher.tell(script.now, &mark).expect("sound");
        script.pass(0);
        let listed = ["v", "a"].map(|name| {
            let window = script.window(name);
            window.listed().next().expect("media").wall
        });
        let oldest = listed[0].min(listed[1]);
        let removed = script.publisher.channel().events().removed();
        for gone in removed {
            let date: i64 = gone.id["mark".len()..].parse().expect("its date");
            assert!(date <= oldest.0, "{} is listed from {oldest:?}", gone.id);
            left = true;
        }
    }
    assert!(left, "marks leave with their media");
}

#[test]
fn a_list_that_is_full_of_removals_takes_events_in_again() {
    let mut script = Script::new(Policy {
        window_ms: 14_000,
        ..Policy::default()
    });
    let mut video = Source::video();
    script.connect(&mut video);
    script.run(&mut [&mut video], 10_000);
    let later = script.publisher.edge_date(script.now) + Micros(3_600_000_000);
    for number in 0..limits::EVENT_IDS_MAX {
        let id = format!("e{number}");
        let said = script
            .publisher
            .tell(script.now, &Statement::new(&id, later));
        assert_eq!(said, Ok(true), "{id}");
        let left = script.publisher.withdraw(script.now, &id);
        assert_eq!(left, Some(Ok(true)), "{id}");
    }
    let more = Statement::new("more", later);
    let said = script.publisher.tell(script.now, &more);
    assert_eq!(said, Err(Refusal::Full));
    script.run(&mut [&mut video], 60_000);
    let said = script.publisher.tell(script.now, &more);
    assert_eq!(said, Ok(true), "what left is forgotten");
}
