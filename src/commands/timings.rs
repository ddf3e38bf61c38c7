//! `--timings`: where the time of a command went.

use serde_json::{Value, json};

use super::table;
use crate::context::Context;
use crate::reporter::{Phase, line};

/// Prints the time that each phase of each tree took. Threads work at the same time, so the times may
/// add up to more than that of the whole command.
pub fn tell(cx: &Context) {
    let spent = cx.reporter.spent();
    let used: Vec<Phase> = Phase::ALL
        .into_iter()
        .filter(|phase| spent.values().any(|phases| phases.contains_key(phase)))
        .collect();
    let seconds = |time: Option<&std::time::Duration>| match time {
        Some(time) => format!("{:.2}", time.as_secs_f64()),
        None => "-".to_owned(),
    };
    let mut rows: Vec<Vec<String>> = spent
        .iter()
        .map(|(subject, phases)| {
            let times = used.iter().map(|phase| seconds(phases.get(phase)));
            std::iter::once(subject.clone()).chain(times).collect()
        })
        .collect();
    let mut sum = vec!["all, as threads add up".to_owned()];
    sum.extend(used.iter().map(|phase| {
        let all: std::time::Duration = spent.values().filter_map(|phases| phases.get(phase)).sum();
        seconds(Some(&all))
    }));
    rows.push(sum);
    let header: Vec<&str> =
        ["seconds"].into_iter().chain(used.iter().map(|p| p.as_str())).collect();
    let right: Vec<usize> = (1..header.len()).collect();
    if !used.is_empty() {
        line(table::render(&header, &rows, &right).trim_end());
    }
    line(&format!("the whole command: {:.2} seconds", cx.elapsed().as_secs_f64()));
}

/// Returns the same as JSON.
pub fn json(cx: &Context) -> Value {
    let of =
        |(subject, phases): (&String, &std::collections::BTreeMap<Phase, std::time::Duration>)| {
            let phases: serde_json::Map<String, Value> = phases
                .iter()
                .map(|(phase, time)| (phase.as_str().to_owned(), time.as_secs_f64().into()))
                .collect();
            json!({ "of": subject, "seconds": phases })
        };
    let list: Vec<Value> = cx.reporter.spent().iter().map(of).collect();
    json!({ "seconds": cx.elapsed().as_secs_f64(), "trees": list })
}
