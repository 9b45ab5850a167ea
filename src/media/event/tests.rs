use super::*;

fn at(seconds: i64) -> Wall {
    Wall(seconds * 1_000_000)
}

fn seconds(seconds: i64) -> Option<Micros> {
    Some(Micros(seconds * 1_000_000))
}

fn say(events: &mut Events, statement: &Statement, edge: Wall) -> Result<bool, Refusal> {
    let Some(more) = events.weigh(statement, edge, None)? else {
        return Ok(false);
    };
    events.step(&EventChange::Told(Arc::new(more)));
    Ok(true)
}

fn leave(events: &mut Events, id: &str) {
    events.step(&EventChange::Left(vec![id.into()]));
}

#[test]
fn s4_4_5_1_later_statements_add_and_never_change() {
    let mut events = Events::default();
    let first = Statement {
        class: Some("ad".into()),
        planned: seconds(30),
        ..Statement::new("a", at(10))
    };
    assert_eq!(say(&mut events, &first, at(1)), Ok(true));
    assert_eq!(say(&mut events, &first, at(2)), Ok(false), "said before");
    let mut more = Statement {
        duration: seconds(28),
        ..first.clone()
    };
    let uri = Value::Text("https://a/b".into());
    more.attributes.insert("X-A".into(), uri);
    assert_eq!(say(&mut events, &more, at(20)), Ok(true));
    let event = events.get("a").unwrap();
    let added = &event.told[1];
    assert_eq!((added.since, &added.statement.class), (2, &None));
    assert_eq!(added.statement.duration, seconds(28));
    assert_eq!((event.end(), event.whole()), (Some(at(38)), more.clone()));

    let changes: [fn(&mut Statement); 5] = [
        |said| said.start = at(11),
        |said| said.class = Some("b".into()),
        |said| said.planned = seconds(31),
        |said| said.duration = seconds(27),
        |said| {
            said.attributes.insert("X-A".into(), Value::Number(1.0));
        },
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut other = more.clone();
        change(&mut other);
        let refused = say(&mut events, &other, at(21)).unwrap_err();
        assert!(matches!(refused, Refusal::Contradicts(_)), "{number}");
    }
    let end = Statement {
        end: Some(at(39)),
        ..Statement::new("a", at(10))
    };
    let refused = say(&mut events, &end, at(21)).unwrap_err();
    assert!(
        matches!(refused, Refusal::Unsound(_)),
        "28 s do not end there"
    );
}

#[test]
fn s4_4_5_1_what_makes_no_sense_is_refused() {
    let unsound: [fn(&mut Statement); 6] = [
        |said| said.duration = seconds(-1),
        |said| said.planned = seconds(-1),
        |said| said.end = Some(at(9)),
        |said| (said.end, said.duration) = (Some(at(20)), seconds(11)),
        |said| said.until_next = true,
        |said| {
            (said.class, said.until_next) = (Some("a".into()), true);
            said.duration = seconds(1);
        },
    ];
    for (number, make) in unsound.iter().enumerate() {
        let mut statement = Statement::new("a", at(10));
        make(&mut statement);
        let refused = say(&mut Events::default(), &statement, at(0)).unwrap_err();
        assert!(matches!(refused, Refusal::Unsound(_)), "{number}");
    }
}

#[test]
fn s6_2_1_an_event_stays_while_any_of_it_belongs_to_listed_media() {
    let mut events = Events::default();
    let lasts = |id: &str, start, duration, planned| Statement {
        duration,
        planned,
        ..Statement::new(id, at(start))
    };
    let programme = |id: &str, start| Statement {
        class: Some("programme".into()),
        until_next: true,
        ..Statement::new(id, at(start))
    };
    let out = Statement {
        splice: Some((Role::Out, Bytes::from_static(b"out"))),
        ..Statement::new("out", at(10))
    };
    let command = Statement {
        splice: Some((Role::Command, Bytes::from_static(b"cue"))),
        ..Statement::new("cue", at(10))
    };
    let list = [
        lasts("moment", 10, seconds(0), None),
        lasts("known", 10, seconds(10), seconds(90)),
        lasts("planned", 10, None, seconds(20)),
        lasts("open", 10, None, None),
        programme("first", 10),
        programme("second", 40),
        out,
        command,
    ];
    for statement in &list {
        say(&mut events, statement, at(0)).unwrap();
    }
    let over = |oldest| {
        let ids = events.over(at(oldest));
        ids.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(over(10), "");
    assert_eq!(over(11), "moment cue");
    assert_eq!(over(20), "moment cue", "tracks begin within a margin");
    assert_eq!(over(21), "moment known cue");
    assert_eq!(over(31), "moment known planned cue");
    assert_eq!(over(41), "moment known planned first cue");
    let open = limits::EVENT_OPEN_S_MAX;
    assert_eq!(over(open + 10), "moment known planned first cue");
    assert_eq!(over(open + 11), "moment known planned open first out cue");
}

#[test]
fn what_cannot_be_seen_is_not_taken_in() {
    let mut events = Events::default();
    let past = Statement {
        duration: seconds(5),
        ..Statement::new("past", at(10))
    };
    let weigh = |events: &Events, statement: &Statement| {
        let told = events.weigh(statement, at(100), Some(at(40)));
        told.map(|told| told.is_some())
    };
    assert_eq!(weigh(&events, &past), Err(Refusal::Past));
    let reaches_in = Statement {
        duration: seconds(31),
        ..Statement::new("in", at(10))
    };
    assert_eq!(weigh(&events, &reaches_in), Ok(true));
    let limit = 100 + limits::EVENT_AHEAD_S_MAX;
    assert_eq!(weigh(&events, &Statement::new("a", at(limit))), Ok(true));
    let ahead = Statement::new("a", at(limit + 1));
    assert_eq!(weigh(&events, &ahead), Err(Refusal::Ahead));
    say(&mut events, &reaches_in, at(100)).unwrap();
    leave(&mut events, "in");
    let (left, shown) = (events.version(), Statement::new("other", at(50)));
    say(&mut events, &shown, at(100)).unwrap();
    leave(&mut events, "other");
    assert_eq!(weigh(&events, &reaches_in), Err(Refusal::Spent));
    assert!(events.remembers(left - 1));
    let version = events.version();
    events.step(&EventChange::Forgotten(left));
    assert_eq!(events.version(), version, "nothing listed has changed");
    assert_eq!(weigh(&events, &reaches_in), Ok(true), "long ago");
    assert_eq!(weigh(&events, &shown), Err(Refusal::Spent), "of late");
    assert!(events.remembers(left) && !events.remembers(left - 1));
}

#[test]
fn the_list_ends_at_its_limits() {
    let mut events = Events::default();
    for number in 0..limits::EVENT_STATEMENTS_MAX {
        let statement = Statement::new(&format!("e{number}"), at(10));
        assert_eq!(say(&mut events, &statement, at(0)), Ok(true));
    }
    let further = Statement::new("further", at(10));
    assert_eq!(say(&mut events, &further, at(0)), Err(Refusal::Full));
    let more = Statement {
        duration: seconds(1),
        ..Statement::new("e0", at(10))
    };
    assert_eq!(say(&mut events, &more, at(0)), Err(Refusal::Full));
    let known = Statement::new("e0", at(10));
    assert_eq!(say(&mut events, &known, at(0)), Ok(false));
    leave(&mut events, "e1");
    assert_eq!(say(&mut events, &further, at(0)), Ok(true));

    let mut events = Events::default();
    let heavy = |number: usize| {
        let mut statement = Statement::new(&format!("e{number}"), at(10));
        let text = Value::Text("x".repeat(16 * 1024 - 128 - 6));
        statement.attributes.insert("X-A".into(), text);
        statement
    };
    for number in 10..10 + limits::EVENT_BYTES_MAX / (16 * 1024) {
        assert_eq!(
            say(&mut events, &heavy(number), at(0)),
            Ok(true),
            "{number}"
        );
    }
    assert_eq!(say(&mut events, &heavy(99), at(0)), Err(Refusal::Full));

    let mut events = Events::default();
    for number in 0..limits::EVENT_IDS_MAX {
        let id = format!("e{number}");
        assert_eq!(
            say(&mut events, &Statement::new(&id, at(10)), at(0)),
            Ok(true)
        );
        leave(&mut events, &id);
    }
    assert_eq!(say(&mut events, &further, at(0)), Err(Refusal::Full));
    events.step(&EventChange::Forgotten(2));
    assert_eq!(say(&mut events, &further, at(0)), Ok(true));
}

#[test]
fn an_operators_schedule_outlives_the_channels_life() {
    let mut events = Events::default();
    let ad = Statement {
        duration: seconds(10),
        ..Statement::new("ad", at(50))
    };
    let cue = Statement {
        splice: Some((Role::Out, Bytes::from_static(b"out"))),
        ..Statement::new("cue", at(50))
    };
    say(&mut events, &ad, at(0)).unwrap();
    say(&mut events, &cue, at(0)).unwrap();
    assert_eq!(events.standing(at(59)).collect::<Vec<_>>(), [ad]);
    assert_eq!(events.standing(at(60)).count(), 0);
}
