//! The expressions of the types other than cron: `09:30`, `1,3,5 09:00`, `mon,wed@09:30`, `1,15 09:00`.

use super::cron::{Fields, MonthDays, Values, WeekDays, Wrong};

/// `HH:MM`; the hour may have one digit.
pub(super) fn daily(text: &str) -> Result<Fields, Wrong> {
    let (hour, minute) = time(text)?;
    Ok(Fields::at(hour, minute))
}

/// `DAYS HH:MM` with 1 for Monday to 7 for Sunday, or `DAYS@HH:MM`, also with names.
pub(super) fn weekly(text: &str) -> Result<Fields, Wrong> {
    const NAMES: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    const LONG: [&str; 7] =
        ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    let (days, time, named) = split(text)?;
    let mut on = Vec::new();
    for day in items(days)? {
        let lower = day.to_ascii_lowercase();
        let place = NAMES.iter().position(|name| *name == lower);
        let place = place.or_else(|| LONG.iter().position(|name| *name == lower));
        let number = match place.and_then(|place| u8::try_from(place).ok()) {
            Some(_) if !named => {
                let wrong = Wrong::new(format!("`{day}` is a name before a space"));
                return Err(wrong.hinting("write names with @, as in `mon,wed@09:30`"));
            }
            Some(place) => Some(place),
            None => self::number(day, 1).filter(|day| (1..=7).contains(day)).map(|day| day % 7),
        };
        let wrong = || {
            Wrong::new(format!("`{}` is no day of the week", crate::problem::shortened(day)))
                .hinting("1 is Monday and 7 is Sunday")
        };
        on.push(number.ok_or_else(wrong)?);
    }
    let (hour, minute) = self::time(time)?;
    let weekday = WeekDays { values: Values::of(on), ..WeekDays::default() };
    Ok(Fields { weekday, ..Fields::at(hour, minute) })
}

/// `DAYS HH:MM` or `DAYS@HH:MM` with days from 1 to 31; months without the day are left out.
pub(super) fn monthly(text: &str) -> Result<Fields, Wrong> {
    let (days, time, _) = split(text)?;
    let mut on = Vec::new();
    for day in items(days)? {
        let number = number(day, 2).filter(|day| (1..=31).contains(day));
        let wrong = || Wrong::new(format!("`{}` is not 1 to 31", crate::problem::shortened(day)));
        on.push(number.ok_or_else(wrong)?);
    }
    let (hour, minute) = self::time(time)?;
    let day = MonthDays { values: Values::of(on), ..MonthDays::default() };
    Ok(Fields { day, ..Fields::at(hour, minute) })
}

/// A whole number of seconds.
pub(super) fn interval(text: &str) -> Result<i64, Wrong> {
    let most = super::MAX_INTERVAL_SECONDS;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits.then(|| text.parse::<i64>().unwrap_or(i64::MAX));
    match seconds {
        Some(seconds) if (1..=most).contains(&seconds) => Ok(seconds),
        Some(_) => Err(Wrong::new(format!("`{text}` is not 1 to {most} seconds"))),
        None => {
            let text = crate::problem::shortened(text);
            Err(Wrong::new(format!("`{text}` is no whole number of seconds")))
        }
    }
}

/// The days, the time, and whether an `@` stands between them.
fn split(text: &str) -> Result<(&str, &str, bool), Wrong> {
    let text = text.trim_matches([' ', '\t']);
    if let Some((days, time)) = text.split_once('@') {
        return Ok((days, time, true));
    }
    let none = || Wrong::new("the expression has no days before the time");
    let (days, time) = text.split_once([' ', '\t']).ok_or_else(none)?;
    Ok((days, time.trim_start_matches([' ', '\t']), false))
}

fn items(text: &str) -> Result<Vec<&str>, Wrong> {
    let items: Vec<&str> = text.split(',').collect();
    if items.contains(&"") {
        return Err(Wrong::new("the list of days has an empty item"));
    }
    Ok(items)
}

fn time(text: &str) -> Result<(u8, u8), Wrong> {
    let text = text.trim_matches([' ', '\t']);
    let read = || {
        let (hour, minute) = text.split_once(':')?;
        let hour = number(hour, 2).filter(|hour| *hour <= 23)?;
        let minute = number(minute, 2).filter(|value| minute.len() == 2 && *value <= 59)?;
        Some((hour, minute))
    };
    read().ok_or_else(|| {
        let text = crate::problem::shortened(text);
        Wrong::new(format!("`{text}` is no time of day from 00:00 to 23:59"))
    })
}

fn number(text: &str, digits: usize) -> Option<u8> {
    let fits = (1..=digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_weekly_and_monthly_mean_the_same() {
        assert_eq!(weekly("1,3 09:30"), weekly("mon,Wednesday@9:30"));
        assert_eq!(weekly("7 00:00"), weekly("sun@00:00"));
        assert_eq!(monthly("1,15 09:00"), monthly("15,1,1@09:00"));
        assert_eq!(daily("9:05"), daily("09:05"));
    }

    #[test]
    fn what_the_python_server_refused_is_refused() {
        for text in ["9:5", "24:00", "09:60", "", "0900", "09:00:00", "-1:00", "9:+5", "٩:٣٠"] {
            assert!(daily(text).is_err(), "{text}");
        }
        for text in ["8 00:00", "mon 09:00", "0 09:00", "1, 09:00", "09:00", "@09:00", "1-5 09:00"]
        {
            assert!(weekly(text).is_err(), "{text}");
        }
        for text in ["32 09:00", "0 09:00", "09:00", "1,,2 09:00", "L 09:00", "mon@09:00"] {
            assert!(monthly(text).is_err(), "{text}");
        }
        for text in ["0", "-5", "1.5", "abc", "", "+5", "1000000000000000000", "1e3", " 5"] {
            assert!(interval(text).is_err(), "{text}");
        }
        assert_eq!(interval("3600"), Ok(3600));
        assert_eq!(
            interval(&super::super::MAX_INTERVAL_SECONDS.to_string()).ok(),
            Some(315_360_000)
        );
    }
}
