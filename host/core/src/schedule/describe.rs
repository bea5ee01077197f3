//! A cron as a person says it.

use std::fmt;

use super::cron::{Cron, has};

/// More times of the day than this are given as minutes and hours.
const TIMES_SHOWN: usize = 4;

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 13] = [
    "",
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Such as `every Thursday at 19:00`.
pub(super) fn cron(cron: &Cron, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let minutes = set(cron.minutes, 0, 59);
    let hours = set(cron.hours, 0, 23);
    let days = days(cron);
    if minutes.len() * hours.len() <= TIMES_SHOWN {
        let times: Vec<_> = hours
            .iter()
            .flat_map(|hour| minutes.iter().map(move |minute| format!("{hour:02}:{minute:02}")))
            .collect();
        let days = days.unwrap_or_else(|| "every day".to_owned());
        return write!(f, "{days} at {}", joined(&times, "and"));
    }
    let hour_step = step(&hours, 24).filter(|step| *step < 24);
    match (step(&minutes, 60), hour_step) {
        (Some(1), _) => f.write_str("every minute")?,
        (Some(60), Some(1)) => f.write_str("every hour")?,
        (Some(60), Some(step)) => write!(f, "every {step} hours")?,
        (Some(60), None) => f.write_str("on the hour")?,
        (Some(step), _) => write!(f, "every {step} minutes")?,
        (None, _) => write!(f, "at minute {}", ranges(&minutes, |minute| minute.to_string()))?,
    }
    match hour_step {
        Some(1) if minutes.len() == 1 && minutes != [0] => f.write_str(" of every hour")?,
        Some(1) => {}
        Some(_) if minutes == [0] => {}
        _ => write!(f, " in the hours {}", ranges(&hours, |hour| hour.to_string()))?,
    }
    match days {
        Some(days) => write!(f, ", {days}"),
        None => Ok(()),
    }
}

/// Which days, as far as they are not all.
fn days(cron: &Cron) -> Option<String> {
    let weekdays = set(cron.weekdays, 0, 6);
    let days = set(cron.days, 1, 31);
    let months = set(cron.months, 1, 12);
    let name_day = |day: u8| WEEKDAYS.get(usize::from(day)).copied().unwrap_or_default().to_owned();
    let name_month = |month: u8| MONTHS.get(usize::from(month)).copied().unwrap_or_default().to_owned();
    let in_months = (months.len() < 12).then(|| ranges(&months, name_month));
    let of_month = match &in_months {
        Some(months) => format!("of {months}"),
        None => "of the month".to_owned(),
    };
    let on_days = || {
        let days_word = if days.len() == 1 { "day" } else { "days" };
        format!("on {days_word} {} {of_month}", ranges(&days, |day| day.to_string()))
    };
    match (days.len() < 31, weekdays.len() < 7, in_months) {
        (false, false, None) => None,
        (false, false, Some(months)) => Some(format!("every day in {months}")),
        (false, true, None) => Some(format!("every {}", ranges(&weekdays, name_day))),
        (false, true, Some(months)) => Some(format!("every {} in {months}", ranges(&weekdays, name_day))),
        (true, false, _) => Some(on_days()),
        (true, true, _) => {
            let word = if cron.both_days { "that are also a" } else { "and every" };
            Some(format!("{} {word} {}", on_days(), ranges(&weekdays, name_day)))
        }
    }
}

fn set(bits: u64, first: u8, last: u8) -> Vec<u8> {
    (first..=last).filter(|value| has(bits, *value)).collect()
}

/// The even step from 0 on that gives these values of a whole of `whole`, if there is one.
fn step(values: &[u8], whole: u8) -> Option<u8> {
    let count = u8::try_from(values.len()).ok().filter(|count| *count > 0)?;
    let step = whole.checked_div(count).filter(|step| step * count == whole)?;
    values.iter().copied().eq((0..whole).step_by(usize::from(step))).then_some(step)
}

/// Values as a list, three or more in a row as a range.
fn ranges(values: &[u8], name: impl Fn(u8) -> String) -> String {
    let runs = values.chunk_by(|one, next| one + 1 == *next);
    let parts: Vec<_> = runs
        .flat_map(|run| match run {
            [first, _, .., last] => vec![format!("{} to {}", name(*first), name(*last))],
            run => run.iter().map(|value| name(*value)).collect(),
        })
        .collect();
    joined(&parts, "and")
}

fn joined(parts: &[String], word: &str) -> String {
    match parts {
        [rest @ .., last] if !rest.is_empty() => format!("{} {word} {last}", rest.join(", ")),
        parts => parts.concat(),
    }
}
