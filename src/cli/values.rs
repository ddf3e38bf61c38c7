//! Values of arguments.

/// The greatest number of days that is accepted: a hundred years.
const MOST_DAYS: u64 = 36_525;

/// Parses a number of days.
pub fn parse_days(text: &str) -> Result<u32, String> {
    crate::model::decimal(text)
        .filter(|n| *n <= MOST_DAYS)
        .and_then(|n| u32::try_from(n).ok())
        .ok_or_else(|| format!("expected a number of days from 0 to {MOST_DAYS}"))
}
