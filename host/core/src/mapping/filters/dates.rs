//! Dates and times.
//!
//! They are texts in ISO 8601, and stay what they are: a date stays a date, a time without an offset stays
//! without one until `from_zone` says whose clocks it means. There is no filter for the present moment: a run
//! gives the same when it is performed again.

use jiff::{
    Span, Timestamp, Unit, Zoned,
    civil::{Date, DateTime},
    fmt::{rfc2822, strtime, temporal::Pieces},
    tz::{Offset, TimeZone},
};
use minijinja::{Environment, Error, Value, value::Kwargs};
use rust_decimal::{Decimal, prelude::ToPrimitive as _};

use super::{bounded::word, decimals, named, refuse, shortened, text};

/// A longer format is a document, not a date.
const LONGEST_FORMAT: usize = 256;

pub(super) fn install(engine: &mut Environment<'static>) {
    engine.add_filter("date", |value: &Value| read("date", value).map(Moment::written));
    engine.add_filter("date_add", |value: &Value, span: &Value, zone: Option<&Value>| {
        moved("date_add", value, span, zone, false)
    });
    engine.add_filter("date_diff", date_diff);
    engine.add_filter("date_format", date_format);
    engine.add_filter("date_only", date_only);
    engine.add_filter("date_subtract", |value: &Value, span: &Value, zone: Option<&Value>| {
        moved("date_subtract", value, span, zone, true)
    });
    engine.add_filter("from_epoch", from_epoch);
    engine.add_filter("from_zone", from_zone);
    engine.add_filter("in_zone", in_zone);
    engine.add_filter("parse_date", parse_date);
    engine.add_filter("to_epoch", to_epoch);
}

#[derive(Clone, Debug)]
enum Moment {
    Day(Date),
    /// A time on clocks nobody named.
    Civil(DateTime),
    Instant(Zoned),
}

impl Moment {
    fn written(self) -> Value {
        match self {
            Self::Day(day) => day.to_string().into(),
            Self::Civil(time) => time.to_string().into(),
            Self::Instant(zoned) if zoned.offset().is_zero() => zoned.timestamp().to_string().into(),
            Self::Instant(zoned) => zoned.timestamp().display_with_offset(zoned.offset()).to_string().into(),
        }
    }

    fn day(&self) -> Date {
        match self {
            Self::Day(day) => *day,
            Self::Civil(time) => time.date(),
            Self::Instant(zoned) => zoned.date(),
        }
    }

    /// The instant, where it is one.
    fn instant(self, filter: &str, value: &Value) -> Result<Zoned, Error> {
        match self {
            Self::Instant(zoned) => Ok(zoned),
            Self::Day(_) | Self::Civil(_) => Err(refuse(
                filter,
                format!(
                    "needs to know whose clocks {} means; say it first, as with `from_zone('Europe/Berlin')`",
                    named(value)
                ),
            )),
        }
    }

    /// The same moment on other clocks, where a zone is given.
    fn on_clocks(self, filter: &str, value: &Value, zone: Option<&Value>) -> Result<Self, Error> {
        let Some(zone) = zone else { return Ok(self) };
        let zone = time_zone(filter, zone)?;
        Ok(Self::Instant(self.instant(filter, value)?.with_time_zone(zone)))
    }
}

fn read(filter: &str, value: &Value) -> Result<Moment, Error> {
    let unreadable = || {
        refuse(
            filter,
            format!(
                "cannot read {} as a date; give it ISO 8601 such as `2026-11-22T19:00:00Z`, or read it first with \
                 `parse_date` or `from_epoch`",
                named(value)
            ),
        )
    };
    let text = value.as_str().map(str::trim).ok_or_else(unreadable)?;
    let Ok(pieces) = Pieces::parse(text) else {
        return rfc2822::parse(text).map(Moment::Instant).map_err(|_| unreadable());
    };
    if pieces.time_zone_annotation().is_some() {
        return text.parse().map(Moment::Instant).map_err(|_| unreadable());
    }
    match (pieces.offset(), pieces.time()) {
        (Some(offset), Some(_)) => {
            let instant: Timestamp = text.parse().map_err(|_| unreadable())?;
            let offset = match offset {
                jiff::fmt::temporal::PiecesOffset::Numeric(numeric) => numeric.offset(),
                _ => Offset::UTC,
            };
            Ok(Moment::Instant(instant.to_zoned(TimeZone::fixed(offset))))
        }
        (_, Some(time)) => Ok(Moment::Civil(pieces.date().to_datetime(time))),
        (_, None) => Ok(Moment::Day(pieces.date())),
    }
}

fn time_zone(filter: &str, zone: &Value) -> Result<TimeZone, Error> {
    let found = zone.as_str().and_then(|name| TimeZone::get(name).ok()).filter(|zone| !zone.is_unknown());
    found.ok_or_else(|| {
        refuse(
            filter,
            format!(
                "has {} for its time zone; write an IANA name such as `Europe/Berlin`, or `UTC`",
                named(zone)
            ),
        )
    })
}

fn in_zone(value: &Value, zone: &Value) -> Result<Value, Error> {
    read("in_zone", value)?.on_clocks("in_zone", value, Some(zone)).map(Moment::written)
}

/// A skipped time is taken after the gap, the first of two is taken where a time comes twice.
fn from_zone(value: &Value, zone: &Value) -> Result<Value, Error> {
    let zone = time_zone("from_zone", zone)?;
    let civil = match read("from_zone", value)? {
        Moment::Day(day) => day.to_datetime(jiff::civil::Time::midnight()),
        Moment::Civil(time) => time,
        Moment::Instant(_) => {
            return Err(refuse(
                "from_zone",
                format!("was given {}, which has an offset already; convert it with `in_zone`", named(value)),
            ));
        }
    };
    let zoned = zone.to_zoned(civil).map_err(|_| out_of_calendar("from_zone", value))?;
    Ok(Moment::Instant(zoned).written())
}

fn out_of_calendar(filter: &str, value: &Value) -> Error {
    refuse(
        filter,
        format!("takes {} past the years -9999 to 9999; correct the date or the duration", named(value)),
    )
}

fn format_argument<'v>(filter: &str, format: &'v Value) -> Result<&'v str, Error> {
    let format = text(filter, format)?;
    if format.len() > LONGEST_FORMAT {
        return Err(refuse(
            filter,
            format!("has a format of {} bytes; write at most {LONGEST_FORMAT}", format.len()),
        ));
    }
    Ok(format)
}

fn date_format(value: &Value, format: &Value, zone: Option<&Value>) -> Result<Value, Error> {
    let pattern = format_argument("date_format", format)?;
    let moment = read("date_format", value)?.on_clocks("date_format", value, zone)?;
    let formatted = match &moment {
        Moment::Day(day) => strtime::format(pattern, *day),
        Moment::Civil(time) => strtime::format(pattern, *time),
        Moment::Instant(zoned) => strtime::format(pattern, zoned),
    };
    formatted.map(Value::from).map_err(|error| {
        refuse(
            "date_format",
            format!("cannot write {} as `{}`: {error}; correct the format", named(value), shortened(pattern)),
        )
    })
}

fn parse_date(value: &Value, format: &Value) -> Result<Value, Error> {
    let (given, pattern) = (text("parse_date", value)?, format_argument("parse_date", format)?);
    let unreadable = |error: jiff::Error| {
        refuse(
            "parse_date",
            format!("cannot read {} as `{}`: {error}; correct the format", named(value), shortened(pattern)),
        )
    };
    let parts = strtime::parse(pattern, given).map_err(unreadable)?;
    // As much as the format holds: an instant, a time, or a day.
    let moment =
        if parts.offset().is_some() || parts.iana_time_zone().is_some() || parts.timestamp().is_some() {
            Moment::Instant(
                parts
                    .to_zoned()
                    .or_else(|_| parts.to_timestamp().map(|at| at.to_zoned(TimeZone::UTC)))
                    .map_err(unreadable)?,
            )
        } else if parts.hour().is_some() {
            Moment::Civil(parts.to_datetime().map_err(unreadable)?)
        } else {
            Moment::Day(parts.to_date().map_err(unreadable)?)
        };
    Ok(moment.written())
}

fn date_only(value: &Value, zone: Option<&Value>) -> Result<Value, Error> {
    let moment = read("date_only", value)?.on_clocks("date_only", value, zone)?;
    Ok(moment.day().to_string().into())
}

fn moved(
    filter: &str,
    value: &Value,
    span: &Value,
    zone: Option<&Value>,
    back: bool,
) -> Result<Value, Error> {
    let given = span;
    let span: Span = span.as_str().and_then(|span| span.parse().ok()).ok_or_else(|| {
        refuse(
            filter,
            format!("has {} for its duration; write it as in `3 days`, `2h 30m` or `P1M`", named(given)),
        )
    })?;
    let span = if back { span.negate() } else { span };
    let past = |_| out_of_calendar(filter, value);
    let moment = match read(filter, value)?.on_clocks(filter, value, zone)? {
        Moment::Day(_) if span.fieldwise() != days_only(span).fieldwise() => {
            return Err(refuse(
                filter,
                format!(
                    "cannot move {}, a date without a time, by {}; use days, weeks, months or years",
                    named(value),
                    named(given)
                ),
            ));
        }
        Moment::Day(day) => Moment::Day(day.checked_add(span).map_err(past)?),
        Moment::Civil(time) => Moment::Civil(time.checked_add(span).map_err(past)?),
        Moment::Instant(zoned) => Moment::Instant(zoned.checked_add(span).map_err(past)?),
    };
    Ok(moment.written())
}

/// A span's years to days.
fn days_only(span: Span) -> Span {
    span.hours(0).minutes(0).seconds(0).milliseconds(0).microseconds(0).nanoseconds(0)
}

fn date_diff(value: &Value, other: &Value, kwargs: Kwargs) -> Result<Value, Error> {
    let unit: Option<Value> = kwargs.get("unit")?;
    kwargs.assert_all_used()?;
    let words = ["seconds", "minutes", "hours", "days", "weeks", "months", "years"];
    let unit = unit.map_or(Ok("days"), |unit| word("date_diff", "unit", &unit, &words))?;
    let unit = match unit {
        "seconds" => Unit::Second,
        "minutes" => Unit::Minute,
        "hours" => Unit::Hour,
        "weeks" => Unit::Week,
        "months" => Unit::Month,
        "years" => Unit::Year,
        _ => Unit::Day,
    };
    let span = match (read("date_diff", value)?, read("date_diff", other)?) {
        (Moment::Day(one), Moment::Day(other)) => {
            one.to_datetime(jiff::civil::Time::midnight()).since((unit, other))
        }
        (Moment::Civil(one), Moment::Civil(other)) => one.since((unit, other)),
        (Moment::Instant(one), Moment::Instant(other)) => {
            let other = other.with_time_zone(one.time_zone().clone());
            one.since((unit, &other))
        }
        _ => {
            return Err(refuse(
                "date_diff",
                format!(
                    "cannot compare {} with {}, since one has an offset or a time and the other has none; make them alike, \
                     as with `date_only` or `from_zone`",
                    named(value),
                    named(other)
                ),
            ));
        }
    };
    let span = span.map_err(|_| out_of_calendar("date_diff", value))?;
    Ok(match unit {
        Unit::Second => Value::from(span.get_seconds()),
        Unit::Minute => Value::from(span.get_minutes()),
        Unit::Hour => Value::from(span.get_hours()),
        Unit::Week => Value::from(span.get_weeks()),
        Unit::Month => Value::from(span.get_months()),
        Unit::Year => Value::from(span.get_years()),
        _ => Value::from(span.get_days()),
    })
}

/// Units of an epoch, as a power of ten of nanoseconds.
fn epoch_unit(filter: &str, unit: Option<&Value>) -> Result<u32, Error> {
    let unit = unit.map_or(Ok("seconds"), |unit| word(filter, "unit", unit, &["seconds", "milliseconds"]))?;
    Ok(if unit == "seconds" { 9 } else { 6 })
}

fn from_epoch(value: &Value, unit: Option<&Value>) -> Result<Value, Error> {
    let power = epoch_unit("from_epoch", unit)?;
    let number = decimals::read("from_epoch", value)?;
    let nanos =
        number.checked_mul(Decimal::from(10_u64.pow(power))).and_then(|nanos| nanos.trunc().to_i128());
    let instant = nanos.and_then(|nanos| Timestamp::from_nanosecond(nanos).ok());
    let instant = instant.ok_or_else(|| {
        refuse(
            "from_epoch",
            format!("takes {} past the year 9999; say its unit, `milliseconds` or `seconds`", named(value)),
        )
    })?;
    Ok(Moment::Instant(instant.to_zoned(TimeZone::UTC)).written())
}

fn to_epoch(value: &Value, unit: Option<&Value>) -> Result<Value, Error> {
    let power = epoch_unit("to_epoch", unit)?;
    let instant = read("to_epoch", value)?.instant("to_epoch", value)?.timestamp();
    Ok(Value::from(if power == 9 { instant.as_second() } else { instant.as_millisecond() }))
}
