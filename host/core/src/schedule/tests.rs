//! Ticks against a minute-by-minute scan, changes of clocks in several zones, and what is refused.

use jiff::tz::AmbiguousOffset;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn schedule(cron: &str, time_zone: &str) -> Schedule {
    Schedule::parse(&json!({"type": "schedule", "cron": cron, "time_zone": time_zone})).expect("checked")
}

fn every(every: &str) -> Schedule {
    Schedule::parse(&json!({"type": "schedule", "every": every})).expect("checked")
}

fn at(text: &str) -> Timestamp {
    let moment: jiff::Timestamp = text.parse().expect("a moment");
    Timestamp::from_millis(u64::try_from(moment.as_millisecond()).expect("after 1970"))
}

/// The ticks after `start` in the zone's own words, `hours` long.
fn ticks(schedule: &Schedule, start: &str, count: usize) -> Vec<String> {
    let Rule::Cron { zone, .. } = &schedule.rule else { panic!("a cron") };
    let first = schedule.next_after(at(start));
    std::iter::successors(first, |tick| schedule.next_after(*tick))
        .take(count)
        .map(|tick| {
            let moment = jiff::Timestamp::from_millisecond(tick.as_millis() as i64).unwrap();
            moment.to_zoned(zone.clone()).strftime("%m-%d %H:%M%:z").to_string()
        })
        .collect()
}

/// What `problems` says of a trigger, as `pointer: message`.
fn refused(members: Value) -> Vec<String> {
    let mut trigger = json!({"type": "schedule"});
    trigger.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let problems = Schedule::parse(&trigger).expect_err("refused");
    problems.0.into_iter().map(|problem| format!("{}: {}", problem.at, problem.message)).collect()
}

#[test]
fn every_thursday_at_seven_in_the_evening() {
    let schedule = schedule("0 19 * * THU", "Europe/Berlin");
    assert_eq!(
        ticks(&schedule, "2026-10-14T00:00:00Z", 3),
        ["10-15 19:00+02:00", "10-22 19:00+02:00", "10-29 19:00+01:00"],
        "19:00 before and after clocks go back"
    );
    assert_eq!(
        schedule.next_after(at("2026-11-19T18:00:00Z")),
        Some(at("2026-11-26T18:00:00Z")),
        "strictly later"
    );
    assert_eq!(schedule.next_after(at("2026-11-19T17:59:59.999Z")), Some(at("2026-11-19T18:00:00Z")));
}

#[test]
fn every_two_minutes_does_not_shift_with_a_restart() {
    let schedule = every("2m");
    for start in ["2026-11-22T10:00:00Z", "2026-11-22T10:00:31.5Z", "2026-11-22T10:01:59.999Z"] {
        assert_eq!(schedule.next_after(at(start)), Some(at("2026-11-22T10:02:00Z")), "{start}");
    }
}

#[test]
fn ticks_that_clocks_skip_come_once_after_the_gap() {
    // 2026-03-29: 02:00 becomes 03:00.
    let start = "2026-03-28T23:00:00Z";
    let table = [
        ("30 2 * * *", &["03-29 03:00+02:00", "03-30 02:30+02:00"]),
        ("0,30 2 * * *", &["03-29 03:00+02:00", "03-30 02:00+02:00"]),
        ("* 2 * * *", &["03-29 03:00+02:00", "03-30 02:00+02:00"]),
        ("0 2,3 * * *", &["03-29 03:00+02:00", "03-30 02:00+02:00"]),
        ("0 */2 * * *", &["03-29 00:00+01:00", "03-29 03:00+02:00"]),
        ("30 * * * *", &["03-29 00:30+01:00", "03-29 01:30+01:00"]),
        ("15 2 29 3 *", &["03-29 03:00+02:00", "03-29 02:15+02:00"]),
    ];
    for (cron, expected) in table {
        assert_eq!(ticks(&schedule(cron, "Europe/Berlin"), "2026-03-28T22:59:00Z", 2), *expected, "{cron}");
    }
    let hourly = ticks(&schedule("30 * * * *", "Europe/Berlin"), start, 4);
    assert_eq!(hourly, ["03-29 00:30+01:00", "03-29 01:30+01:00", "03-29 03:30+02:00", "03-29 04:30+02:00"]);
    // Asked just before the gap: the first instant after it is one second on.
    let missing = schedule("30 2 * * *", "Europe/Berlin");
    for before in ["2026-03-29T00:59:59Z", "2026-03-29T00:59:59.999Z", "2026-03-29T00:59:30Z"] {
        assert_eq!(missing.next_after(at(before)), Some(at("2026-03-29T01:00:00Z")), "{before}");
    }
    // Midnight itself is skipped in Beirut, and a whole Friday was in Samoa.
    assert_eq!(
        ticks(&schedule("0 0 * * *", "Asia/Beirut"), "2026-03-28T12:00:00Z", 1),
        ["03-29 01:00+03:00"]
    );
    assert_eq!(
        ticks(&schedule("0 9 * * FRI", "Pacific/Apia"), "2011-12-29T12:00:00Z", 1),
        ["12-31 00:00+14:00"]
    );
}

#[test]
fn ticks_that_come_twice_happen_the_first_time_unless_every_hour() {
    // 2026-10-25: 03:00 becomes 02:00.
    let start = "2026-10-24T23:50:00Z";
    let table: [(&str, &[&str]); 4] = [
        ("30 2 * * *", &["10-25 02:30+02:00", "10-26 02:30+01:00"]),
        ("0 2,3 * * *", &["10-25 02:00+02:00", "10-25 03:00+01:00", "10-26 02:00+01:00"]),
        ("30 * * * *", &["10-25 02:30+02:00", "10-25 02:30+01:00", "10-25 03:30+01:00"]),
        ("30 0-23 * * *", &["10-25 02:30+02:00", "10-25 02:30+01:00", "10-25 03:30+01:00"]),
    ];
    for (cron, expected) in table {
        assert_eq!(ticks(&schedule(cron, "Europe/Berlin"), start, expected.len()), expected, "{cron}");
    }
    // Asked in the middle of the second 02:00–03:00.
    let within = ticks(&schedule("45 2 * * *", "Europe/Berlin"), "2026-10-25T01:10:00Z", 1);
    assert_eq!(within, ["10-26 02:45+01:00"]);
}

#[test]
fn fields_are_read_as_crontab_does() {
    let days = |cron: &str, count| {
        let ticks = ticks(&schedule(cron, "UTC"), "2026-01-01T00:00:00Z", count);
        ticks.iter().map(|tick| tick.split('+').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        days("0 0 13 * FRI", 4),
        ["01-02 00:00", "01-09 00:00", "01-13 00:00", "01-16 00:00"],
        "either"
    );
    assert_eq!(days("0 0 */2 * MON", 2), ["01-05 00:00", "01-19 00:00"], "both, where one begins with *");
    assert_eq!(days("0 0 29 2 *", 2), ["02-29 00:00", "02-29 00:00"], "leap years");
    assert_eq!(days("0 0 29 2 */7", 1), ["02-29 00:00"], "a leap day on a Sunday is far away");
    assert_eq!(days("0 0 31 * *", 3), ["01-31 00:00", "03-31 00:00", "05-31 00:00"]);
    assert_eq!(
        days("5-20/5,50 8 * jan,DEC *", 5),
        ["01-01 08:05", "01-01 08:10", "01-01 08:15", "01-01 08:20", "01-01 08:50"]
    );
    assert_eq!(days("@weekly", 1), ["01-04 00:00"]);
    let same = [
        ("0 0 * * 7", "0 0 * * SUN"),
        ("0 0 * * SAT-SUN", "0 0 * * 0,6"),
        ("0 0 * * fri-7", "0 0 * * 0,5,6"),
        ("@hourly", "0 * * * *"),
        ("0 0 * * */2", "0 0 * * 0,2,4,6"),
    ];
    for (one, other) in same {
        assert_eq!(days(one, 20), days(other, 20), "{one}");
    }
}

#[test]
fn errors_name_the_field_and_the_remedy() {
    let cron = |cron: &str| refused(json!({"cron": cron, "time_zone": "UTC"}));
    let table = [
        (
            "0 25 * * *",
            "/cron: the hour `25` is not known; write a number from 0 to 23, a range `a-b`, a list `a,b` or a step `*/n`",
        ),
        (
            "0 0 * FOO *",
            "/cron: the month `FOO` is not known; write a number from 1 to 12 or a name from `JAN` to `DEC`, a range `a-b`, \
             a list `a,b` or a step `*/n`",
        ),
        (
            "0 0 0 * * *",
            "/cron: `0 0 0 * * *` has 6 fields; write five: minute, hour, day of the month, month, day of the week, such as \
             `0 19 * * THU` (there are no seconds)",
        ),
        ("*/0 * * * *", "/cron: the minute `*/0` has the step `0`; write a number from 1 to 59"),
        ("5/15 * * * *", "/cron: the minute `5/15` has a step without an end; write `5-59/15`"),
        (
            "0 0 * * FRI-MON",
            "/cron: the day of the week `FRI-MON` ends before it begins; write it as two, such as `5-7,0-1`",
        ),
        (
            "0 0 31 2,4 *",
            "/cron: `0 0 31 2,4 *` never comes, since its months have no such day; correct the day of the month or the month",
        ),
        (
            "@reboot",
            "/cron: `@reboot` is not known; use `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly` or five fields",
        ),
    ];
    for (given, message) in table {
        assert_eq!(cron(given), [message], "{given}");
    }
    for given in [
        "",
        "0 0 L * *",
        "0 0 ? * 1",
        "0 0 * * 1#2",
        "1,, * * * *",
        "-1 * * * *",
        "1-2-3 * * * *",
        "+1 * * * *",
    ] {
        assert_eq!(cron(given).len(), 1, "{given}");
    }
    let table = [
        (
            json!({"cron": "0 0 * * *"}),
            ": a schedule with `cron` lacks `time_zone`; add whose clocks it means: an IANA name such as `Europe/Berlin`, or \
             `UTC`",
        ),
        (
            json!({"cron": "0 0 * * *", "time_zone": "Berlin"}),
            "/time_zone: there is no time zone `Berlin`; write an IANA name such as `Europe/Berlin`, or `UTC`",
        ),
        (
            json!({}),
            ": a schedule lacks its times; add `cron`, such as `0 19 * * THU`, with `time_zone`, or `every`, such as `2m`",
        ),
        (
            json!({"cron": "0 0 * * *", "every": "2m"}),
            "/every: a schedule has `cron` or `every`, not both; remove one",
        ),
        (
            json!({"every": "30s"}),
            "/every: `30s` is shorter than one minute; write `1m` or more, or start the workflow by an event",
        ),
        (
            json!({"every": "2 minutes"}),
            "/every: `2 minutes` is not an interval; write a whole number and `m`, `h` or `d`, such as `2m`",
        ),
        (
            json!({"every": "400d"}),
            "/every: `400d` is longer than 366 days; write `cron` with a month instead",
        ),
        (
            json!({"every": "2m", "time_zone": "UTC"}),
            "/time_zone: an interval has no time zone, since it passes alike everywhere; remove `time_zone`, or write `cron` \
             instead of `every`",
        ),
        (json!({"every": "2m", "missed": "all"}), "/missed: is `all`; write one of `skip`, `catch_up`"),
    ];
    for (members, message) in table {
        assert_eq!(refused(members.clone()), [message], "{members}");
    }
    assert_eq!(refused(json!({"cron": "x", "time_zone": "y"})).len(), 2, "both at once");
    for every in ["", "m", "-2m", "2w", "99999999999999999999m", "é"] {
        assert_eq!(refused(json!({"every": every})).len(), 1, "{every}");
    }
}

#[test]
fn missed_ticks_are_skipped_or_stand_as_one() {
    let with = |missed: &str| {
        Schedule::parse(
            &json!({"type": "schedule", "cron": "*/10 * * * *", "time_zone": "UTC", "missed": missed}),
        )
        .unwrap()
    };
    let (skip, catch_up) = (with("skip"), with("catch_up"));
    let last = at("2026-11-22T10:00:00Z");
    let tick = |time: &str, count| Some(Tick { at: at(time), count });

    let on_time = at("2026-11-22T10:10:00.020Z");
    assert_eq!(skip.due(last, on_time), tick("2026-11-22T10:10:00Z", 1));
    assert_eq!(catch_up.due(last, on_time), tick("2026-11-22T10:10:00Z", 1));
    assert_eq!(skip.due(last, at("2026-11-22T10:09:59.999Z")), None);

    let late = at("2026-11-22T11:05:00Z");
    assert_eq!(skip.due(last, late), None, "skipped: the next regular tick is the next run");
    assert_eq!(catch_up.due(last, late), tick("2026-11-22T11:00:00Z", 6));
    assert_eq!(skip.missed_between(last, late), None);
    assert_eq!(catch_up.missed_between(last, at("2026-11-22T10:05:00Z")), None);

    let just_back = at("2026-11-22T11:00:30Z");
    assert_eq!(skip.due(last, just_back), tick("2026-11-22T11:00:00Z", 1), "the newest is on time");
    assert_eq!(catch_up.due(last, just_back), tick("2026-11-22T11:00:00Z", 6));

    let years = catch_up.missed_between(last, at("2036-11-22T10:09:00Z"));
    assert_eq!(years, tick("2036-11-22T10:00:00Z", COUNTED));
    assert_eq!(skip.due(last, last), None);
    assert_eq!(skip.due(late, last), None, "a clock that went back fires nothing");
}

#[test]
fn a_schedule_reads_as_a_person_says_it() {
    let table = [
        ("0 19 * * THU", "every Thursday at 19:00"),
        ("30 7,19 * * *", "every day at 07:30 and 19:30"),
        ("0 9 * * MON-FRI", "every Monday to Friday at 09:00"),
        ("0 0 1 * *", "on day 1 of the month at 00:00"),
        ("0 0 1,15 6-8 *", "on days 1 and 15 of June to August at 00:00"),
        ("0 6 * DEC SAT,SUN", "every Sunday and Saturday in December at 06:00"),
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("0 * * * *", "every hour"),
        ("20 * * * *", "at minute 20 of every hour"),
        ("0 */3 * * *", "every 3 hours"),
        ("0 8-18 * * *", "on the hour in the hours 8 to 18"),
        ("30 */6,23 * * *", "at minute 30 in the hours 0, 6, 12, 18 and 23"),
        ("*/20 9-17 * * MON", "every 20 minutes in the hours 9 to 17, every Monday"),
        ("5,7 * * 1 *", "at minute 5 and 7, every day in January"),
        ("0 0 13 * FRI", "on day 13 of the month and every Friday at 00:00"),
        ("0 0 */10 * MON", "on days 1, 11, 21 and 31 of the month that are also a Monday at 00:00"),
    ];
    for (cron, expected) in table {
        assert_eq!(
            schedule(cron, "Europe/Berlin").to_string(),
            format!("{expected}, Europe/Berlin"),
            "{cron}"
        );
    }
    for (interval, expected) in [
        ("1m", "every minute"),
        ("90m", "every 90 minutes"),
        ("24h", "every day"),
        ("90s", "every 90 seconds"),
    ] {
        assert_eq!(every(interval).to_string(), expected);
    }
}

#[test]
fn a_schedule_survives_serde() {
    let written = json!({"cron": "0 19 * * THU", "time_zone": "Europe/Berlin", "missed": "catch_up"});
    let schedule: Schedule = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(&schedule).unwrap(), written);
    assert!(serde_json::from_value::<Schedule>(json!({"every": "2m", "seconds": 1})).is_err());
    assert!(serde_json::from_value::<Schedule>(json!({"every": "2 m"})).is_err());
}

#[test]
fn a_draft_trigger_holds_its_members_flat() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    enum Trigger {
        Schedule(Timing),
    }
    let written = json!({"type": "schedule", "every": "2m", "missed": "skip"});
    let Trigger::Schedule(timing) = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(Trigger::Schedule(timing.clone())).unwrap(), written);
    assert_eq!(Schedule::check(&timing), Schedule::parse(&written));
    // A draft may be wrong; only its check says so.
    let wrong: Trigger = serde_json::from_value(json!({"type": "schedule", "cron": "x"})).unwrap();
    let Trigger::Schedule(wrong) = wrong;
    assert_eq!(Schedule::check(&wrong).unwrap_err().0.len(), 2);
    assert!(
        serde_json::from_value::<Trigger>(json!({"type": "schedule", "every": "2m", "cycle": 1})).is_err()
    );
}

/// Whether the definition in `walk` makes `minute` a tick, asked of one instant alone.
fn is_tick(cron: &Cron, zone: &TimeZone, instant: jiff::Timestamp) -> bool {
    let one = |civil: jiff::civil::DateTime| {
        cron.first_in(civil, civil + jiff::SignedDuration::from_mins(1)) == Some(civil)
    };
    let civil = zone.to_datetime(instant);
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    if one(civil) {
        let again = match ambiguous.offset() {
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(civil).unwrap() != instant,
            _ => false,
        };
        if cron.every_hour() || !again {
            return true;
        }
    }
    // The first instant after a gap: a minute earlier, the clock was more than a minute behind.
    let minute = jiff::SignedDuration::from_mins(1);
    let earlier = zone.to_datetime(instant - minute) + minute;
    let mut skipped =
        std::iter::successors(Some(earlier), |civil| Some(*civil + minute)).take_while(|at| *at < civil);
    !cron.every_hour() && skipped.any(one)
}

const ZONES: [(&str, &str); 8] = [
    ("Europe/Berlin", "2026-03-28T12:00:00Z"),
    ("Europe/Berlin", "2026-10-24T12:00:00Z"),
    ("America/New_York", "2026-11-01T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T06:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T06:00:00Z"),
    ("Asia/Beirut", "2026-03-28T12:00:00Z"),
    ("Pacific/Apia", "2011-12-29T12:00:00Z"),
    ("Asia/Kathmandu", "2026-01-01T00:00:00Z"),
];

fn field(first: u8, last: u8) -> impl Strategy<Value = String> {
    let value = first..=last;
    prop_oneof![
        3 => Just("*".to_owned()),
        3 => value.clone().prop_map(|value| value.to_string()),
        1 => (2..=last).prop_map(|step| format!("*/{step}")),
        1 => (value.clone(), value.clone()).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => prop::collection::vec(value, 1..4).prop_map(|values| {
            values.iter().map(u8::to_string).collect::<Vec<_>>().join(",")
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn ticks_agree_with_a_scan_of_every_minute(
        fields in (field(0, 59), prop_oneof![field(0, 23), field(0, 4)], field(1, 31), field(0, 6)),
        (name, start) in prop::sample::select(&ZONES[..]),
    ) {
        let (minute, hour, day, weekday) = fields;
        // The days around the change alone, so that most crons tick there.
        let text = format!("{minute} {hour} {day} * {weekday}");
        let schedule = schedule(&text, name);
        let Rule::Cron { cron, zone } = &schedule.rule else { unreachable!() };
        let minutes = 2 * 24 * 60;
        let start: jiff::Timestamp = start.parse().unwrap();
        let scanned: Vec<_> = (1..=minutes)
            .map(|minute| start + jiff::SignedDuration::from_mins(minute))
            .filter(|instant| is_tick(cron, zone, *instant))
            .collect();
        let end = start + jiff::SignedDuration::from_mins(minutes);
        let walked: Vec<_> = std::iter::successors(walk::next_after(cron, zone, start), |tick| walk::next_after(cron, zone, *tick))
            .take_while(|tick| *tick <= end)
            .collect();
        prop_assert_eq!(walked, scanned, "{} {}", text, name);
    }

    #[test]
    fn the_next_tick_is_strictly_later_and_the_first(
        fields in (field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 7)),
        (name, _) in prop::sample::select(&ZONES[..]),
        now in 0_u64..4_000_000_000_000,
        on in 0_u64..100_000_000,
    ) {
        let (minute, hour, day, month, weekday) = fields;
        let schedule = schedule(&format!("{minute} {hour} {day} {month} {weekday}"), name);
        let (now, later) = (Timestamp::from_millis(now), Timestamp::from_millis(now + on));
        let (next, after) = (schedule.next_after(now), schedule.next_after(later));
        prop_assert!(next.is_none_or(|next| next > now));
        prop_assert!(after.is_none_or(|after| after > later));
        // Monotone: either nothing lies between, or the first tick does.
        match next {
            Some(next) if next > later => prop_assert_eq!(after, Some(next)),
            Some(next) => prop_assert!(after.is_none_or(|after| after > next)),
            None => prop_assert_eq!(after, None),
        }
    }

    #[test]
    fn no_text_makes_parsing_panic(cron in "[-*/,0-9A-Za-z@ é]{0,20}", every in ".{0,6}") {
        for trigger in [json!({"type": "schedule", "cron": cron, "time_zone": "UTC"}), json!({"type": "schedule", "every": every})] {
            if let Ok(schedule) = Schedule::parse(&trigger) {
                prop_assert!(schedule.next_after(Timestamp::ZERO).is_some_and(|tick| tick > Timestamp::ZERO));
                prop_assert!(!schedule.to_string().is_empty());
            }
        }
    }
}
