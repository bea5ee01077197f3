//! Cron expressions: five fields, as crontab(5) has them, and the civil times they match.
//!
//! Knows nothing of time zones: `walk` brings both together.

use jiff::civil::{Date, DateTime};

/// What each field holds, as a bit for each of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cron {
    pub(super) minutes: u64,
    pub(super) hours: u64,
    pub(super) days: u64,
    pub(super) months: u64,
    /// Sunday is 0.
    pub(super) weekdays: u64,
    /// Whether a day must be both a day of the month and a day of the week that match. Otherwise one of them
    /// suffices, as in every cron, where neither field begins with `*`.
    pub(super) both_days: bool,
}

struct Field {
    name: &'static str,
    first: u8,
    last: u8,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", first: 0, last: 59, names: &[] },
    Field { name: "hour", first: 0, last: 23, names: &[] },
    Field { name: "day of the month", first: 1, last: 31, names: &[] },
    Field {
        name: "month",
        first: 1,
        last: 12,
        names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    },
    Field {
        name: "day of the week",
        first: 0,
        last: 7,
        names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    },
];

const SHORTHANDS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * SUN"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// The most days each month can have.
const MONTH_DAYS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

impl Cron {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let expanded = match SHORTHANDS.iter().find(|(name, _)| text.eq_ignore_ascii_case(name)) {
            Some((_, fields)) => fields,
            None if text.starts_with('@') => {
                return Err(format!(
                    "`{text}` is not known; use `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly` or five fields"
                ));
            }
            None => text,
        };
        let words: Vec<_> = expanded.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = words.as_slice() else {
            return Err(format!(
                "`{text}` has {} fields; write five: minute, hour, day of the month, month, day of the week, such as \
                 `0 19 * * THU` (there are no seconds)",
                words.len()
            ));
        };
        let [minutes, hours, days, months, weekdays] = FIELDS;
        let mut cron = Self {
            minutes: minutes.parse(minute)?,
            hours: hours.parse(hour)?,
            days: days.parse(day)?,
            months: months.parse(month)?,
            weekdays: weekdays.parse(weekday)?,
            both_days: day.starts_with('*') || weekday.starts_with('*'),
        };
        // Sunday is 0 and 7.
        cron.weekdays = (cron.weekdays | cron.weekdays >> 7) & 0x7f;
        if cron.both_days && !cron.some_day_exists() {
            return Err(format!(
                "`{text}` never comes, since its months have no such day; correct the day of the month or the month"
            ));
        }
        Ok(cron)
    }

    fn some_day_exists(&self) -> bool {
        (1..)
            .zip(MONTH_DAYS)
            .any(|(month, last)| has(self.months, month) && (1..=last).any(|day| has(self.days, day)))
    }

    /// Whether it ticks in every hour of a day it ticks on.
    pub(super) const fn every_hour(&self) -> bool {
        self.hours == 0xff_ffff
    }

    /// The first civil time that matches, from `start` on and before `end`.
    pub(super) fn first_in(&self, start: DateTime, end: DateTime) -> Option<DateTime> {
        let start = whole_minute(start)?;
        let mut date = start.date();
        let mut minute_of_day =
            u16::try_from(start.hour()).ok()? * 60 + u16::try_from(start.minute()).ok()?;
        while date <= end.date() {
            if !has(self.months, u8::try_from(date.month()).ok()?) {
                date = date.last_of_month().tomorrow().ok()?;
                minute_of_day = 0;
                continue;
            }
            if self.day_matches(date)
                && let Some((hour, minute)) = self.time_from(minute_of_day)
            {
                let found = date.at(hour, minute, 0, 0);
                return (found < end).then_some(found);
            }
            date = date.tomorrow().ok()?;
            minute_of_day = 0;
        }
        None
    }

    fn day_matches(&self, date: Date) -> bool {
        let day = u8::try_from(date.day()).is_ok_and(|day| has(self.days, day));
        let weekday = u8::try_from(date.weekday().to_sunday_zero_offset());
        let weekday = weekday.is_ok_and(|weekday| has(self.weekdays, weekday));
        if self.both_days { day && weekday } else { day || weekday }
    }

    fn time_from(&self, minute_of_day: u16) -> Option<(i8, i8)> {
        let (from_hour, from_minute) = (minute_of_day / 60, minute_of_day % 60);
        let hour = next_bit(self.hours, from_hour)?;
        let minute = if hour == from_hour { next_bit(self.minutes, from_minute) } else { None };
        let (hour, minute) = match minute {
            Some(minute) => (hour, minute),
            None if hour == from_hour => (next_bit(self.hours, from_hour + 1)?, next_bit(self.minutes, 0)?),
            None => (hour, next_bit(self.minutes, 0)?),
        };
        Some((i8::try_from(hour).ok()?, i8::try_from(minute).ok()?))
    }
}

impl Field {
    fn parse(&self, text: &str) -> Result<u64, String> {
        text.split(',').try_fold(0, |bits, item| Ok(bits | self.item(item)?))
    }

    fn item(&self, item: &str) -> Result<u64, String> {
        let name = self.name;
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.first, self.last),
            Some((first, last)) => {
                let (first, mut last) = (self.value(first)?, self.value(last)?);
                // The week may end with its Sunday.
                if self.last == 7 && last == 0 && first > 0 {
                    last = 7;
                }
                if first > last {
                    return Err(format!(
                        "the {name} `{item}` ends before it begins; write it as two, such as `{first}-{},{}-{last}`",
                        self.last, self.first
                    ));
                }
                (first, last)
            }
            None => {
                let value = self.value(range)?;
                if step.is_some() {
                    return Err(format!(
                        "the {name} `{item}` has a step without an end; write `{range}-{}/{}`",
                        self.last,
                        step.unwrap_or_default()
                    ));
                }
                (value, value)
            }
        };
        let step = match step {
            None => 1,
            Some(step) => digits(step).filter(|step| (1..=self.last).contains(step)).ok_or_else(|| {
                format!("the {name} `{item}` has the step `{step}`; write a number from 1 to {}", self.last)
            })?,
        };
        // `*/2` over the days of the week must not take Sunday for its eighth day.
        let last = if range == "*" && self.last == 7 { 6 } else { last };
        Ok((first..=last).step_by(usize::from(step)).fold(0, |bits, value| bits | 1 << value))
    }

    fn value(&self, text: &str) -> Result<u8, String> {
        let named = (self.first..).zip(self.names).find(|(_, name)| text.eq_ignore_ascii_case(name));
        if let Some((value, _)) = named {
            return Ok(value);
        }
        digits(text).filter(|value| (self.first..=self.last).contains(value)).ok_or_else(|| {
            let names = match (self.names.first(), self.names.last()) {
                (Some(first), Some(last)) => format!(" or a name from `{first}` to `{last}`"),
                _ => String::new(),
            };
            format!(
                "the {} `{text}` is not known; write a number from {} to {}{names}, a range `a-b`, a list `a,b` or a \
                 step `*/n`",
                self.name, self.first, self.last
            )
        })
    }
}

fn digits(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The first whole minute from here on.
fn whole_minute(time: DateTime) -> Option<DateTime> {
    if time.second() == 0 && time.subsec_nanosecond() == 0 {
        return Some(time);
    }
    let minute = time.date().at(time.hour(), time.minute(), 0, 0);
    minute.checked_add(jiff::SignedDuration::from_mins(1)).ok()
}

pub(super) const fn has(bits: u64, value: u8) -> bool {
    bits >> value & 1 == 1
}

fn next_bit(bits: u64, from: u16) -> Option<u16> {
    let rest = bits.checked_shr(u32::from(from)).filter(|rest| *rest != 0)?;
    Some(from + u16::try_from(rest.trailing_zeros()).ok()?)
}
